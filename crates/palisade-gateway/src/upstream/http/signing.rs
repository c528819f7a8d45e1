//! Requests to an upstream that wants them signed: another gateway like this one.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Uri};
use palisade_guard::sign::{self, IDEMPOTENCY_KEY, Occasion, Signer};

use crate::{random, time};

/// Signs a request whose headers are complete. A caller's idempotency key goes on; without one each request gets its
/// own, since the other side asks for one.
pub(super) fn sign(
    signer: &Signer,
    (method, path): (&Method, &Uri),
    headers: &mut HeaderMap,
    from: &HeaderMap,
    body: &Bytes,
) {
    if method == Method::POST {
        let given = from.get(&IDEMPOTENCY_KEY).cloned();
        let made = || HeaderValue::try_from(random::new_key()).ok();
        if let Some(key) = given.or_else(made) {
            headers.insert(&IDEMPOTENCY_KEY, key);
        }
    }
    let nonce = random::new_key();
    let occasion = Occasion { now_s: time::now().unix_ms / 1000, nonce: &nonce };
    let added = signer.sign(&sign::Request::of(method, path, headers), body, occasion);
    match added {
        Ok(added) => headers.extend(added),
        // Sent as it is, and refused there: it has a header twice, or one that is not ASCII.
        Err(unfit) => tracing::warn!(?unfit, "a request cannot be signed"),
    }
}
