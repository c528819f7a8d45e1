//! What a request calls, as a token's audience names it (RFC 8707): `https://mcp.example.com/mcp/files`.
//!
//! 1. A token is good for the one address that it names. One for `/mcp/files` opens neither `/mcp` nor `/mcp/search`.
//! 2. Everything that is not MCP is `/api`: a token for a server is no good for the administration, nor the reverse.
//! 3. Scheme and host are compared in lower case, without the scheme's own port; the rest letter by letter, without a
//!    slash at the end.

use std::borrow::Cow;

use http::header::HOST;

use super::Presented;

/// The address of what is called.
#[derive(Debug, Clone)]
pub struct Resource<'a> {
    base: Cow<'a, str>,
    path: &'a str,
}

impl<'a> Resource<'a> {
    /// What a request calls: at the address that the operator named, or else at the one that the client used, which was
    /// judged to be one of ours.
    pub fn of(base: Option<&'a str>, presented: &Presented<'a>) -> Self {
        let path = about(presented.uri.path());
        let base = base.map_or_else(|| Cow::Owned(used(presented)), Cow::Borrowed);
        Self { base, path }
    }

    /// Whether an audience, in canonical form, names it.
    pub fn is(&self, audience: &str) -> bool {
        audience.strip_prefix(&*self.base).is_some_and(|path| path == self.path)
    }

    /// Whether it is an MCP endpoint.
    pub fn is_mcp(&self) -> bool {
        self.path != API
    }

    /// Where its metadata stands (RFC 9728 section 3.1).
    pub fn metadata(&self) -> String {
        format!("{}{METADATA}{}", self.base, self.path)
    }

    /// The address itself.
    pub fn url(&self) -> String {
        format!("{}{}", self.base, self.path)
    }
}

/// The well-known place of metadata about a resource.
pub const METADATA: &str = "/.well-known/oauth-protected-resource";
/// What stands for everything that is not MCP.
const API: &str = "/api";

/// The path of the resource that a path belongs to.
fn about(path: &str) -> &str {
    match path.strip_prefix(METADATA) {
        Some("") => "/mcp",
        Some(below) => about(below),
        None if path == "/mcp/marketplace" => "/mcp",
        None if path == "/mcp" || path.starts_with("/mcp/") => path,
        None => API,
    }
}

fn used(presented: &Presented<'_>) -> String {
    let host = presented.uri.authority().map(http::uri::Authority::as_str);
    let host = host.or_else(|| presented.headers.get(HOST)?.to_str().ok()).unwrap_or_default();
    canonical(&format!("{}://{host}", if presented.secure { "https" } else { "http" }))
}

/// An address in the form in which addresses are compared; what is none stays as it is.
pub fn canonical(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let (scheme, authority) = (scheme.to_ascii_lowercase(), authority.to_ascii_lowercase());
    let own_port = if scheme == "https" { ":443" } else { ":80" };
    let authority = authority.strip_suffix(own_port).unwrap_or(&authority);
    format!("{scheme}://{authority}{}", path.strip_suffix('/').unwrap_or(path))
}
