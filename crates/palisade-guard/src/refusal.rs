//! Why a call is turned away, and what each side hears of it.
//!
//! One table ([`Reason::row`]) maps every reason to its stable code, JSON-RPC code, HTTP statuses, security
//! event and public words. `docs/reference/errors.md` is generated from it, and only the gateway's `reply`
//! reads its numbers.
//!
//! 1. Where the protocol has a JSON-RPC code, that one is used. Ours alone are `1000 + n` for `MCP-n`, outside
//!    the range the specification reserves (MCP 2026-07-28, basic, "Error Codes").
//! 2. What is decided before the message is understood is an HTTP error. What is decided about an understood
//!    message is HTTP 200 with a JSON-RPC error: clients show its code and words instead of a broken connection.
//! 3. A refusal's cause is for the log. It has no way into an answer.

mod code;

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

pub use code::{Code, Event};

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident: $code:ident, $json_rpc:literal, $modern:literal, $legacy:literal, $rest:literal, $event:expr, $words:literal;)*) => {
        /// Every reason a call is turned away.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// Every reason, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// What each side hears of this reason.
            pub const fn row(self) -> Row {
                match self {
                    $(Self::$name => Row {
                        name: stringify!($name),
                        code: Code::$code,
                        json_rpc: $json_rpc,
                        http: Http { modern: $modern, legacy: $legacy, rest: $rest },
                        event: $event,
                        words: $words,
                    },)*
                }
            }
        }
    };
}

use Event::{AuthFailure, InputValidation, PolicyDenied, RateLimit, SsrfAttempt};

reasons! {
    // name                 code                JSON-RPC  HTTP: modern legacy REST  security event      public words

    /// The body is not one strict JSON document.
    NotJson:                InvalidArgs,          -32700,  400, 400, 400, Some(InputValidation), "the body is not one valid JSON document";
    /// Valid JSON that is no JSON-RPC message, or not one this revision allows.
    NotAMessage:            InvalidArgs,          -32600,  400, 400, 400, Some(InputValidation), "the message is not a valid JSON-RPC request of this protocol revision";
    /// A 2026-07-28 request without its mandatory `_meta`.
    MetaMissing:            InvalidArgs,          -32602,  400, 400, 400, Some(InputValidation), "the request lacks mandatory _meta fields";
    /// Parameters that do not have the shape the method asks for.
    InvalidParams:          InvalidArgs,          -32602,  200, 200, 400, Some(InputValidation), "the parameters do not fit the method";
    /// A mirrored header disagrees with the body, is missing or stands twice.
    HeaderMismatch:         InvalidArgs,          -32020,  400, 400, 400, Some(InputValidation), "a request header disagrees with the body";
    /// A protocol revision nobody here speaks.
    UnsupportedRevision:    InvalidArgs,          -32022,  400, 400, 400, None,                  "this protocol revision is not supported";
    /// The client has not declared what this call needs.
    CapabilityMissing:      InvalidArgs,          -32021,  400, 400, 400, None,                  "the client has not declared a capability that this call needs";
    /// The revision has no such method, or it may not pass.
    UnknownMethod:          NoHandler,            -32601,  404, 200, 404, Some(InputValidation), "no such method";
    /// No such path.
    UnknownPath:            NoHandler,            -32601,  404, 404, 404, None,                  "no such path";
    /// The path does not take this HTTP method.
    MethodNotAllowed:       NoHandler,            -32601,  405, 405, 405, None,                  "this path does not take this HTTP method";
    /// The request body is not `application/json` in plain encoding.
    UnsupportedMediaType:   InvalidArgs,          -32600,  415, 415, 415, Some(InputValidation), "the body must be application/json without content encoding";
    /// The client takes none of the forms an answer can have.
    NotAcceptable:          InvalidArgs,          -32600,  406, 406, 406, None,                  "Accept must allow application/json and text/event-stream";
    /// A legacy request that needs a session and names none.
    SessionMissing:         InvalidArgs,          -32600,  400, 400, 400, None,                  "Mcp-Session-Id is missing: initialize first";
    /// A session that never was, has ended, or is somebody else's.
    SessionUnknown:         InvalidArgs,          -32600,  404, 404, 404, None,                  "no such session: initialize again";
    /// A tool nobody offers.
    UnknownTool:            UnknownTool,          -32602,  200, 200, 404, Some(InputValidation), "unknown tool";
    /// No credential, or a wrong one.
    Unauthenticated:        Unauthorized,           1002,  401, 401, 401, Some(AuthFailure),     "authentication is needed";
    /// Several credentials, or a malformed one.
    CredentialMalformed:    Unauthorized,           1002,  400, 400, 400, Some(AuthFailure),     "send exactly one well-formed credential";
    /// A signature is needed, and there is none.
    SignatureMissing:       Unauthorized,           1002,  401, 401, 401, Some(AuthFailure),     "authentication is needed";
    /// A signature, or what belongs to it, is not of its form, or leaves out what it must cover.
    SignatureMalformed:     Unauthorized,           1002,  401, 401, 401, Some(AuthFailure),     "the signature is not accepted";
    /// A signature in a scheme that is not taken here.
    SignatureScheme:        Unauthorized,           1002,  401, 401, 401, Some(AuthFailure),     "the signature is not accepted";
    /// A signature with a key id that nobody has.
    SignatureKeyUnknown:    Unauthorized,           1002,  401, 401, 401, Some(AuthFailure),     "the signature is not accepted";
    /// A signature that was made too long ago.
    SignatureTooOld:        Unauthorized,           1002,  401, 401, 401, Some(AuthFailure),     "the signature is not accepted";
    /// A signature of a time to come.
    SignatureTooEarly:      Unauthorized,           1002,  401, 401, 401, Some(AuthFailure),     "the signature is not accepted";
    /// A signature that is not over this request, or not by this client.
    SignatureWrong:         Unauthorized,           1002,  401, 401, 401, Some(AuthFailure),     "the signature is not accepted";
    /// A signature that came before.
    SignatureReplayed:      Unauthorized,           1002,  401, 401, 401, Some(AuthFailure),     "the signature is not accepted";
    /// A known caller who may not do this.
    Forbidden:              Unauthorized,           1002,  200, 200, 403, Some(PolicyDenied),    "not allowed";
    /// A rule of the policy that could not be evaluated: it may have been one that forbids.
    PolicyBroken:           Unauthorized,           1002,  200, 200, 403, Some(PolicyDenied),    "not allowed";
    /// A token or key whose scopes do not cover this.
    ScopeMissing:           Unauthorized,           1002,  403, 403, 403, Some(PolicyDenied),    "the credential lacks a scope that this needs";
    /// The `Host` is not one of ours.
    HostRefused:            Unauthorized,           1002,  421, 421, 421, Some(PolicyDenied),    "this host name is not served here";
    /// The `Host` is missing, doubled or malformed.
    HostMalformed:          InvalidArgs,          -32600,  400, 400, 400, Some(InputValidation), "the request needs exactly one valid Host";
    /// The browser origin is not on the list.
    OriginRefused:          Unauthorized,           1002,  403, 403, 403, Some(PolicyDenied),    "this origin is not allowed";
    /// The client address is refused by an IP list.
    AddressRefused:         Unauthorized,           1002,  403, 403, 403, Some(PolicyDenied),    "this address is not allowed";
    /// A limit is used up.
    RateLimited:            RateLimitExceeded,      1006,  429, 429, 429, Some(RateLimit),       "too many calls";
    /// The same idempotency key with another body, or still in flight.
    IdempotencyConflict:    IdempotencyConflict,    1005,  409, 409, 409, None,                  "this idempotency key is in use";
    /// What is wanted does not fit what there is: a name that is taken, a key that is over.
    Conflict:               InvalidArgs,          -32600,  409, 409, 409, None,                  "this does not fit the state of things";
    /// An idempotency key that is missing where one is needed, or that is none.
    IdempotencyKeyInvalid:  InvalidArgs,          -32600,  400, 400, 400, Some(InputValidation), "Idempotency-Key is missing or malformed";
    /// The upstream cannot be reached or answers nonsense.
    BackendUnavailable:     BackendUnavailable,     1003,  200, 200, 503, None,                  "the server behind the gateway is not available";
    /// No more sessions or children can be had now.
    NoCapacity:             BackendUnavailable,     1003,  503, 503, 503, None,                  "no capacity left: try again later";
    /// What must be recorded cannot be recorded, so it is not done.
    JournalUnavailable:     BackendUnavailable,     1003,  503, 503, 503, None,                  "the audit journal cannot be written: nothing was done";
    /// What must be remembered cannot be written or read, so nothing is done.
    StoreUnavailable:       BackendUnavailable,     1003,  503, 503, 503, None,                  "the store cannot be used: nothing was done";
    /// The upstream did not answer in time.
    Timeout:                Timeout,                1004,  200, 200, 504, None,                  "the server behind the gateway did not answer in time";
    /// The client did not send its body in time.
    BodyTimeout:            Timeout,                1004,  408, 408, 408, Some(InputValidation), "the body did not arrive in time";
    /// The upstream's answer breaks the rules of the protocol or its own schema.
    AnswerInvalid:          OutputSchemaViolation,  1009,  200, 200, 502, None,                  "the server behind the gateway gave an invalid answer";
    /// A symbol outside the list.
    InvalidSymbol:          InvalidSymbol,        -32602,  200, 200, 400, Some(InputValidation), "this symbol is not allowed";
    /// A URL that leads inside.
    SsrfBlocked:            SsrfBlocked,            1016,  200, 200, 400, Some(SsrfAttempt),     "this URL is not allowed";
    /// Body, header, argument or nesting beyond its limit.
    PayloadTooLarge:        PayloadTooLarge,        1017,  413, 413, 413, Some(InputValidation), "the message is too large";
    /// Something of ours broke.
    Internal:               InternalError,        -32603,  500, 500, 500, None,                  "internal error";
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The reason's name, as it stands in records.
    pub name: &'static str,
    /// The stable code.
    pub code: Code,
    /// `error.code` of the JSON-RPC answer.
    pub json_rpc: i32,
    /// The HTTP statuses.
    pub http: Http,
    /// The security event it raises, if any.
    pub event: Option<Event>,
    /// What the caller reads unless the refusal says it better.
    pub words: &'static str,
}

/// HTTP status of a reason, by who asks: a 404 tells a legacy client that its session is gone, so the eras differ.
#[derive(Debug, Clone, Copy)]
pub struct Http {
    /// MCP 2026-07-28 and later.
    pub modern: u16,
    /// MCP 2025-11-25 and earlier.
    pub legacy: u16,
    /// Everything that is not MCP.
    pub rest: u16,
}

/// A call turned away: what the caller hears, and what only the log hears.
///
/// One pointer wide: refusals are rare, and every stage returns one place for them.
#[derive(Clone)]
pub struct Refusal(Box<Inner>);

#[derive(Clone)]
struct Inner {
    reason: Reason,
    words: Option<Cow<'static, str>>,
    pointer: Option<String>,
    details: Vec<(&'static str, Detail)>,
    retry_after: Option<Duration>,
    undone: bool,
    challenge: Option<Cow<'static, str>>,
    cause: Option<Box<str>>,
}

/// A public fact about a refusal: the limit, the actual value, what is supported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detail {
    /// A count or size.
    Number(u64),
    /// A short text without secrets.
    Text(Cow<'static, str>),
    /// Several texts.
    List(Vec<&'static str>),
}

impl Refusal {
    /// A refusal with the words of its row.
    // Cold: where a call may be refused, the code of the call that is not stands together.
    #[cold]
    #[inline(never)]
    pub fn new(reason: Reason) -> Self {
        Self(Box::new(Inner {
            reason,
            words: None,
            pointer: None,
            details: Vec::new(),
            retry_after: None,
            undone: false,
            challenge: None,
            cause: None,
        }))
    }

    /// Says it better than the row. Never put a secret or an upstream's text here.
    #[must_use]
    pub fn says(mut self, words: impl Into<Cow<'static, str>>) -> Self {
        self.0.words = Some(words.into());
        self
    }

    /// Names the field at fault: a JSON pointer (RFC 6901) or a header name.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        self.0.pointer = Some(pointer.into());
        self
    }

    /// Adds a public fact.
    #[must_use]
    pub fn with(mut self, name: &'static str, detail: Detail) -> Self {
        self.0.details.push((name, detail));
        self
    }

    /// Adds the limit and the actual value.
    #[must_use]
    pub fn limit(self, limit: u64, actual: u64) -> Self {
        self.with("limit", Detail::Number(limit)).with("actual", Detail::Number(actual))
    }

    /// Says when to come back; rounded up to at least one second when sent.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.0.retry_after = Some(after);
        self
    }

    /// The `WWW-Authenticate` challenge (RFC 9110 section 11.6.1).
    #[must_use]
    pub fn challenge(mut self, challenge: impl Into<Cow<'static, str>>) -> Self {
        self.0.challenge = Some(challenge.into());
        self
    }

    /// Says that nothing was done: the call had not left when this went wrong.
    #[must_use]
    pub fn undone(mut self) -> Self {
        self.0.undone = true;
        self
    }

    /// Whether it is known that nothing was done.
    pub fn is_undone(&self) -> bool {
        self.0.undone
    }

    /// What only the log may know.
    #[must_use]
    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        self.0.cause = Some(cause.to_string().into_boxed_str());
        self
    }

    /// Why.
    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    /// The caller's words.
    pub fn words(&self) -> &str {
        self.0.words.as_deref().unwrap_or(self.0.reason.row().words)
    }

    /// The field at fault.
    pub fn pointer(&self) -> Option<&str> {
        self.0.pointer.as_deref()
    }

    /// The public facts.
    pub fn details(&self) -> &[(&'static str, Detail)] {
        &self.0.details
    }

    /// Whole seconds until a retry makes sense, at least 1.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.0.retry_after.map(|after| after.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX).max(1))
    }

    /// The `WWW-Authenticate` value.
    pub fn challenge_value(&self) -> Option<&str> {
        self.0.challenge.as_deref()
    }

    /// The private cause, for the log and the record alone.
    pub fn cause_for_log(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Refusal({:?}: {})", self.0.reason, self.words())
    }
}

#[cfg(test)]
mod tests;
