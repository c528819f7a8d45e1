//! Asking an issuer what a token is worth (RFC 7662).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request};
use http_body_util::Full;
use palisade_guard::login::encoded;
use palisade_guard::refusal::{Reason, Refusal};

use super::Remote;

/// Nothing was said.
pub(crate) fn unsaid(cause: &str) -> Refusal {
    Refusal::new(Reason::NoCapacity).says("the issuer of this token cannot be asked: try again later").because(cause)
}

/// One question. Out of reach, the issuer says nothing, and nobody is let in.
pub(super) async fn question(remote: &Remote, token: &[u8]) -> Result<Bytes, Refusal> {
    let Some(asked) = &remote.settings.introspection else { return Err(unsaid("nobody can be asked")) };
    let body = format!("token={}&token_type_hint=access_token", encoded(token));
    let mut request = Request::new(Full::new(Bytes::from(body)));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = asked.url.clone();
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    // RFC 6749 section 2.3.1: both parts are encoded before they are joined.
    let client = encoded(asked.client_id.as_bytes()) + ":" + &encoded(asked.client_secret.reveal().as_bytes());
    let mut basic = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(client)))
        .map_err(|_| unsaid("the client's credential cannot stand in a header"))?;
    basic.set_sensitive(true);
    headers.insert(AUTHORIZATION, basic);
    remote.getter.answer(request).await.map_err(|error| unsaid(&format!("introspection: {error}")))
}
