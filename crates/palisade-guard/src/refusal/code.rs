//! The stable names of errors and of security events.

/// The stable name of an error, as callers see it in `data.code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// `MCP-001`
    InvalidArgs,
    /// `MCP-002`
    Unauthorized,
    /// `MCP-003`
    BackendUnavailable,
    /// `MCP-004`
    Timeout,
    /// `MCP-005`
    IdempotencyConflict,
    /// `MCP-006`
    RateLimitExceeded,
    /// `MCP-007`
    UnknownTool,
    /// `MCP-008`
    NoHandler,
    /// `MCP-009`
    OutputSchemaViolation,
    /// `MCP-010`
    InsufficientData,
    /// `MCP-011`
    MissingConfiguration,
    /// `MCP-012`
    InsufficientLiquidity,
    /// `MCP-013`
    KeyNotFound,
    /// `MCP-014`
    StorageQuotaExceeded,
    /// `MCP-015`
    InvalidSymbol,
    /// `MCP-016`
    SsrfBlocked,
    /// `MCP-017`
    PayloadTooLarge,
    /// `MCP-999`
    InternalError,
}

impl Code {
    /// Every code, in order.
    pub const ALL: [Self; 18] = [
        Self::InvalidArgs,
        Self::Unauthorized,
        Self::BackendUnavailable,
        Self::Timeout,
        Self::IdempotencyConflict,
        Self::RateLimitExceeded,
        Self::UnknownTool,
        Self::NoHandler,
        Self::OutputSchemaViolation,
        Self::InsufficientData,
        Self::MissingConfiguration,
        Self::InsufficientLiquidity,
        Self::KeyNotFound,
        Self::StorageQuotaExceeded,
        Self::InvalidSymbol,
        Self::SsrfBlocked,
        Self::PayloadTooLarge,
        Self::InternalError,
    ];

    /// The name and the upper-case word: `("MCP-006", "RATE_LIMIT_EXCEEDED")`.
    pub const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::InvalidArgs => ("MCP-001", "INVALID_ARGS"),
            Self::Unauthorized => ("MCP-002", "UNAUTHORIZED"),
            Self::BackendUnavailable => ("MCP-003", "BACKEND_UNAVAILABLE"),
            Self::Timeout => ("MCP-004", "TIMEOUT"),
            Self::IdempotencyConflict => ("MCP-005", "IDEMPOTENCY_CONFLICT"),
            Self::RateLimitExceeded => ("MCP-006", "RATE_LIMIT_EXCEEDED"),
            Self::UnknownTool => ("MCP-007", "UNKNOWN_TOOL"),
            Self::NoHandler => ("MCP-008", "NO_HANDLER"),
            Self::OutputSchemaViolation => ("MCP-009", "OUTPUT_SCHEMA_VIOLATION"),
            Self::InsufficientData => ("MCP-010", "INSUFFICIENT_DATA"),
            Self::MissingConfiguration => ("MCP-011", "MISSING_CONFIGURATION"),
            Self::InsufficientLiquidity => ("MCP-012", "INSUFFICIENT_LIQUIDITY"),
            Self::KeyNotFound => ("MCP-013", "KEY_NOT_FOUND"),
            Self::StorageQuotaExceeded => ("MCP-014", "STORAGE_QUOTA_EXCEEDED"),
            Self::InvalidSymbol => ("MCP-015", "INVALID_SYMBOL"),
            Self::SsrfBlocked => ("MCP-016", "SSRF_BLOCKED"),
            Self::PayloadTooLarge => ("MCP-017", "PAYLOAD_TOO_LARGE"),
            Self::InternalError => ("MCP-999", "INTERNAL_ERROR"),
        }
    }
}

/// What a refusal means for whoever watches: the class of a security event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// A credential was missing or wrong.
    AuthFailure,
    /// A caller exceeded a limit.
    RateLimit,
    /// A URL pointed to where no caller may reach.
    SsrfAttempt,
    /// A message was malformed, oversized or contradictory.
    InputValidation,
    /// A rule forbids the call, its origin, its host or its address.
    PolicyDenied,
}

impl Event {
    /// Name and severity as they stand in records and answers.
    pub const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::AuthFailure => ("auth_failure", "high"),
            Self::RateLimit => ("rate_limit", "medium"),
            Self::SsrfAttempt => ("ssrf_attempt", "critical"),
            Self::InputValidation => ("input_validation", "medium"),
            Self::PolicyDenied => ("policy_denied", "medium"),
        }
    }
}
