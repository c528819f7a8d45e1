//! What an authorization server gives: a registration, tokens, or an error.

use zeroize::Zeroizing;

use super::{NODES, Wrong};
use crate::token::Document;

/// Tokens that were given.
pub struct Granted {
    /// Goes along with every request.
    pub access: Zeroizing<String>,
    /// Worth the next access token.
    pub refresh: Option<Zeroizing<String>>,
    /// Seconds that the access token is good for.
    pub seconds: Option<u64>,
}

/// The longest token, and the longest name of a client.
const LONGEST: usize = 16 * 1024;
const LONGEST_NAME: usize = 2048;

/// Reads what the token endpoint answers.
pub fn granted(text: &[u8]) -> Result<Granted, Wrong> {
    const UNREADABLE: Wrong = Wrong("the authorization server's answer holds no token that can be used");
    let document = Document::read(text, NODES).ok_or(UNREADABLE)?;
    let member = |name: &str| document.text(name).map_err(|_| UNREADABLE);
    if !member("token_type")?.is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")) {
        return Err(UNREADABLE);
    }
    let token = |text: &str| is_visible(text, LONGEST).then(|| Zeroizing::new(text.to_owned())).ok_or(UNREADABLE);
    Ok(Granted {
        access: token(&member("access_token")?.ok_or(UNREADABLE)?)?,
        refresh: member("refresh_token")?.map(|text| token(&text)).transpose()?,
        // A wrong one is none: the server says by itself when a token is over.
        seconds: document.seconds("expires_in").unwrap_or_default(),
    })
}

/// Reads what the registration endpoint answers: the name that we have there.
pub fn client_id(text: &[u8]) -> Result<String, Wrong> {
    const UNREADABLE: Wrong = Wrong("the authorization server's answer holds no registration that can be used");
    let document = Document::read(text, NODES).ok_or(UNREADABLE)?;
    let method = document.text("token_endpoint_auth_method").map_err(|_| UNREADABLE)?;
    if method.is_some_and(|method| method != "none") {
        return Err(Wrong(
            "the authorization server wants a secret of every client: register one without, see --client-id",
        ));
    }
    let name = document.text("client_id").map_err(|_| UNREADABLE)?.ok_or(UNREADABLE)?;
    is_visible(&name, LONGEST_NAME).then(|| name.into_owned()).ok_or(UNREADABLE)
}

/// The code of an error, as far as it can be repeated.
pub fn problem(text: &[u8]) -> String {
    let document = Document::read(text, NODES);
    let code = document.as_ref().and_then(|document| document.text("error").ok().flatten());
    code.map_or_else(|| "no reason given".to_owned(), |code| word(&code))
}

/// A stranger's word as it may stand on a terminal.
pub(super) fn word(text: &str) -> String {
    let plain = |ch: &char| ch.is_ascii_alphanumeric() || matches!(ch, '_' | '-' | '.');
    text.chars().filter(plain).take(64).collect()
}

fn is_visible(text: &str, longest: usize) -> bool {
    !text.is_empty() && text.len() <= longest && text.bytes().all(|byte| byte.is_ascii_graphic())
}
