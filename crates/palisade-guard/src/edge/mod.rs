//! The wire's own rules, for HTTP only: which host, which origin, which headers.

/// What the edge accepts and adds.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Host names served here; empty serves none but the loopback names.
    pub hosts: Vec<HostPattern>,
    /// Browser origins that may call.
    pub origins: Vec<OriginPattern>,
    /// The protective headers on every answer.
    pub headers: SecurityHeaders,
}
