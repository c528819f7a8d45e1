//! The wire's own rules, for HTTP only: which host, which origin, which headers.
//!
//! 1. [`host::judge`]: the request names exactly one host, and it is one of ours. Before anything else, because a
//!    page that rebinds its own name to our address is told apart by nothing but this name.
//! 2. [`origin::judge`]: a browser's page may call only when its origin is on the list. CORS headers alone would
//!    not stop the call from being executed, so a wrong origin is refused.
//! 3. [`cors`]: what an allowed origin may send and read.
//! 4. [`security_headers`]: on every answer, refusals included.
//! 5. [`strip`]: what of the caller's headers goes on to the upstream, and what of the upstream's comes back.

pub mod authority;
pub mod cors;
pub mod destination;
pub mod host;
pub mod origin;
pub mod security_headers;
pub mod strip;

use host::HostPattern;
use origin::OriginPattern;
use security_headers::SecurityHeaders;

/// What the edge accepts and adds.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Host names served here; empty serves none but the loopback names.
    pub hosts: Vec<HostPattern>,
    /// Browser origins that may call; empty lets none in but a loopback host's own pages.
    pub origins: Vec<OriginPattern>,
    /// The protective headers on every answer.
    pub headers: SecurityHeaders,
}
