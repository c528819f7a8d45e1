//! Legacy sessions: what a caller's `Mcp-Session-Id` holds.
//!
//! The handle is sealed to its principal and its server. It says which session of the upstream it stands for and
//! which revision was agreed on; nothing is kept here for it, so a million of them cost nothing.

use http::HeaderMap;
use palisade_guard::authenticate::Principal;
use palisade_guard::message::Revision;
use palisade_guard::message::headers::SESSION;
use palisade_guard::refusal::{Reason, Refusal};
use palisade_guard::seal::Sealer;

use crate::random;

/// The upstream's side of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Session {
    /// The session id of an HTTP upstream; `None` where it minted none.
    Http(Box<str>),
    /// The number of a child's session.
    Stdio(u64),
    /// The number of a session with several servers.
    Aggregate(u64),
}

/// A session that was presented and opened.
#[derive(Debug, Clone)]
pub(crate) struct Resumed {
    /// The upstream's side.
    pub(crate) session: Session,
    /// The revision agreed on.
    pub(crate) revision: Revision,
}

/// A handle for a session of `caller` on `server`.
pub(crate) fn seal(
    sealer: &Sealer,
    session: &Session,
    revision: Revision,
    caller: &Principal,
    server: &str,
) -> Option<String> {
    let mut plain = vec![revision.code()];
    match session {
        Session::Http(id) => {
            plain.push(b'h');
            plain.extend_from_slice(id.as_bytes());
        }
        Session::Stdio(number) => {
            plain.push(b's');
            plain.extend_from_slice(&number.to_le_bytes());
        }
        Session::Aggregate(number) => {
            plain.push(b'a');
            plain.extend_from_slice(&number.to_le_bytes());
        }
    }
    sealer.seal(random::bytes(), &plain, &[caller.id(), server])
}

/// The session a request names. `Ok(None)` where it names none; somebody else's is as unknown as one that never was.
pub(crate) fn open(
    sealer: &Sealer,
    headers: &HeaderMap,
    caller: &Principal,
    server: &str,
) -> Result<Option<Resumed>, Refusal> {
    let mut values = headers.get_all(&SESSION).iter();
    let Some(handle) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Refusal::new(Reason::SessionUnknown).because("two session headers"));
    }
    let plain = sealer.open(handle.as_bytes(), &[caller.id(), server]);
    let resumed = plain.as_deref().and_then(parse);
    resumed.map(Some).ok_or_else(|| Refusal::new(Reason::SessionUnknown).because("the session handle does not open"))
}

fn parse(plain: &[u8]) -> Option<Resumed> {
    let (revision, kind, rest) = match plain {
        [revision, kind, rest @ ..] => (Revision::from_code(*revision)?, kind, rest),
        _ => return None,
    };
    let session = match kind {
        b'h' => Session::Http(std::str::from_utf8(rest).ok()?.into()),
        b's' => Session::Stdio(u64::from_le_bytes(rest.try_into().ok()?)),
        b'a' => Session::Aggregate(u64::from_le_bytes(rest.try_into().ok()?)),
        _ => return None,
    };
    Some(Resumed { session, revision })
}
