//! What we say to an authorization server: the address for the browser, forms, our registration.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Issuer;
use crate::digest::sha256;

/// One login: what is made up for it, and what it is for.
#[derive(Clone, Copy)]
pub struct Attempt<'a> {
    /// Who we are to the authorization server.
    pub client_id: &'a str,
    /// Our own address for the answer.
    pub redirect: &'a str,
    /// The address of the server that the token is for (RFC 8707).
    pub resource: &'a str,
    /// The scopes, with spaces between.
    pub scope: &'a str,
    /// Random: the answer must bear it.
    pub state: &'a str,
    /// Random: only whoever began the login can end it (RFC 7636).
    pub verifier: &'a str,
}

impl Attempt<'_> {
    /// Where the person logs in.
    pub fn address(&self, issuer: &Issuer) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(sha256(self.verifier.as_bytes()));
        let mut fields = vec![
            ("response_type", "code"),
            ("client_id", self.client_id),
            ("redirect_uri", self.redirect),
            ("resource", self.resource),
            ("state", self.state),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        if !self.scope.is_empty() {
            fields.push(("scope", self.scope));
        }
        // Without it some give no refresh token, as OIDC wants (Core, section 11).
        if self.scope.split(' ').any(|scope| scope == "offline_access") {
            fields.push(("prompt", "consent"));
        }
        let own = issuer.authorization.to_string();
        let joint = if own.contains('?') { '&' } else { '?' };
        format!("{own}{joint}{}", form(&fields))
    }

    /// What the token endpoint gets for a code.
    pub fn redemption(&self, code: &str) -> String {
        form(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", self.redirect),
            ("client_id", self.client_id),
            ("code_verifier", self.verifier),
            ("resource", self.resource),
        ])
    }
}

/// Our registration: a program on somebody's machine, which cannot keep a secret.
pub fn registration(redirect: &str) -> String {
    serde_json::json!({
        "client_name": "Palisade",
        "application_type": "native",
        "redirect_uris": [redirect],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    })
    .to_string()
}

/// A form, as bodies and queries have it.
pub fn form(fields: &[(&str, &str)]) -> String {
    let field = |(name, value): &(&str, &str)| format!("{name}={}", encoded(value.as_bytes()));
    fields.iter().map(field).collect::<Vec<_>>().join("&")
}

/// A text as it stands in a form.
pub fn encoded(text: &[u8]) -> String {
    use std::fmt::Write as _;
    text.iter().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(*byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}
