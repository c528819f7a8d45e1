//! Who is calling, as far as the world must be asked: the side of `authenticate` that touches it.

use http::request;
use palisade_guard::authenticate::{self, Presented, Principal, Verdict};
use palisade_guard::clock::Moment;
use palisade_guard::refusal::Refusal;

use crate::snapshot::Snapshot;

/// The verified caller of a request.
pub(crate) fn verified(gate: &Snapshot, head: &request::Parts, now: Moment) -> Result<Principal, Refusal> {
    let presented = Presented { method: &head.method, uri: &head.uri, headers: &head.headers, now };
    match authenticate::caller(&gate.authenticate, &presented)? {
        Verdict::Accept(principal) => Ok(principal),
    }
}
