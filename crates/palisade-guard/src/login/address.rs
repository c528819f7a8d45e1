//! Addresses that somebody else named.

use http::Uri;

use crate::host;

use super::Wrong;

/// The longest address.
const LONGEST: usize = 2048;

/// An address that may be asked, or given to a browser: `https`, or `http` on this machine where `plain` allows it.
///
/// It is handed to a program that opens browsers, which on some systems is a shell script (CVE-2025-6514): so it holds
/// only what is text in every shell.
pub fn place(text: &str, plain: bool) -> Result<Uri, Wrong> {
    let inert = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?[]@,+=&%".contains(&byte);
    if text.len() > LONGEST || !text.bytes().all(inert) {
        return Err(Wrong("an address in it has characters that an address should not have"));
    }
    let url: Uri = text.parse().map_err(|_| Wrong("an address in it cannot be read"))?;
    match url.scheme_str() {
        Some("https") => {}
        Some("http") if plain && is_here(&url) => {}
        _ => return Err(Wrong("an address in it is not https")),
    }
    let authority = url.authority().map_or("", |authority| authority.as_str());
    if authority.contains('@') || url.host().is_none_or(str::is_empty) {
        return Err(Wrong("an address in it has no plain host"));
    }
    Ok(url)
}

/// Whether an address is on this machine, by its name alone.
pub fn is_here(url: &Uri) -> bool {
    host::is_here(url.host().unwrap_or_default())
}

/// Whether two addresses have scheme, host and port in common.
pub fn same_origin(one: &Uri, other: &Uri) -> bool {
    let port = |url: &Uri| url.port_u16().unwrap_or(if url.scheme_str() == Some("https") { 443 } else { 80 });
    let host = |url: &Uri| url.host().map(str::to_ascii_lowercase);
    one.scheme_str() == other.scheme_str() && host(one) == host(other) && port(one) == port(other)
}
