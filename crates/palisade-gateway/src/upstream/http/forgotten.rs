//! Sessions that an upstream forgot: it was restarted, or tidied up. Its 404 to a call in a session says so, and says as
//! well that the call was not run (2025-11-25, transports, "Session Management"). So the session is opened once more, with
//! what its client said when it opened it, and the call is sent again; the client's handle stays what it is.
//!
//! What is kept for that is bounded, and whoever has most of it makes room. A session of which nothing is kept ends with 404, upon which clients open another
//! one themselves.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use palisade_guard::message::Revision;

use super::{HttpUpstream, Sent};
use crate::session::{Resumed, Session};

/// Sessions that are kept.
const KEPT: usize = 1024;
/// The longest `initialize` that is kept, and the longest id of a session.
const INITIALIZE_BYTES: usize = 4096;
const ID_BYTES: usize = 512;

const INITIALIZED: Bytes = Bytes::from_static(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);

/// How sessions were opened, by the id that handles hold.
#[derive(Default)]
pub(super) struct Sessions {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    sessions: HashMap<Box<str>, Opening>,
    order: VecDeque<Box<str>>,
}

#[derive(Clone)]
struct Opening {
    /// Whose it is; nobody's is the gateway's own.
    owner: Arc<str>,
    initialize: Bytes,
    /// The id of that request.
    request: Bytes,
    /// The session that stands in its place, if it was opened again.
    now: Option<HeaderValue>,
    /// Held while it is opened again, so that many calls in it open it once. Others need not wait for that.
    renewing: Arc<tokio::sync::Mutex<()>>,
}

impl Sessions {
    /// Keeps how a session was opened.
    pub(super) fn keep(&self, owner: &Arc<str>, id: &str, initialize: &Bytes, request: &Bytes) {
        if initialize.len() > INITIALIZE_BYTES || id.len() > ID_BYTES {
            return;
        }
        // Copies: the bytes that came in stand in a buffer which is larger.
        let copy = |bytes: &Bytes| Bytes::copy_from_slice(bytes);
        let opening = Opening {
            owner: Arc::clone(owner),
            initialize: copy(initialize),
            request: copy(request),
            now: None,
            renewing: Arc::default(),
        };
        let mut table = self.lock();
        if table.sessions.insert(id.into(), opening).is_none() {
            table.order.push_back(id.into());
        }
        if table.order.len() > KEPT {
            table.make_room();
        }
    }

    /// The session in force under an id.
    pub(super) fn now(&self, id: &str) -> Option<HeaderValue> {
        let renewed = self.lock().sessions.get(id).and_then(|opening| opening.now.clone());
        renewed.or_else(|| HeaderValue::from_str(id).ok())
    }

    /// Forgets a session that was ended.
    pub(super) fn forget(&self, id: &str) {
        let mut table = self.lock();
        if table.sessions.remove(id).is_some() {
            table.order.retain(|kept| **kept != *id);
        }
    }

    fn replace(&self, id: &str, now: HeaderValue) {
        if let Some(opening) = self.lock().sessions.get_mut(id) {
            opening.now = Some(now);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Forgets the oldest session of whoever has most of them.
    fn make_room(&mut self) {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for opening in self.sessions.values() {
            *counts.entry(&opening.owner).or_default() += 1;
        }
        let Some(most) = counts.values().copied().max() else { return };
        let of_most = |id: &str| {
            let owner = self.sessions.get(id).map(|opening| opening.owner.as_ref());
            owner.and_then(|owner| counts.get(owner)) == Some(&most)
        };
        if let Some(id) = self.order.iter().position(|id| of_most(id)).and_then(|at| self.order.remove(at)) {
            self.sessions.remove(&id);
        }
    }
}

impl HttpUpstream {
    /// Sends a call, and once more if its session was forgotten.
    pub(super) async fn sent_in(
        &self,
        session: Option<&Resumed>,
        method: &Method,
        body: Bytes,
        headers: &HeaderMap,
        repeatable: bool,
    ) -> Sent {
        let used = self.session_now(session);
        let sent = self.sent_known(self.target.request(method, &body, headers, used.as_ref())).await?;
        match (session, used) {
            (Some(Resumed { session: Session::Http(id), revision }), Some(used))
                if repeatable && sent.0.status == StatusCode::NOT_FOUND =>
            {
                if Box::pin(self.renew(id, *revision, &used)).await {
                    return self.sent_known(self.request(method, &body, headers, session)).await;
                }
                Ok(sent)
            }
            _ => Ok(sent),
        }
    }

    /// Opens a session again in which `used` was forgotten; true if there is another one now.
    async fn renew(&self, id: &str, revision: Revision, used: &HeaderValue) -> bool {
        let Some(opening) = self.sessions.lock().sessions.get(id).cloned() else { return false };
        let _one = opening.renewing.lock().await;
        if self.sessions.now(id).is_some_and(|now| now != *used) {
            return true;
        }
        let opened = tokio::time::timeout(self.answer_timeout, self.open_again(&opening, revision)).await;
        let Ok(Some(now)) = opened else {
            tracing::warn!("the upstream forgot a session and opens no other");
            return false;
        };
        tracing::info!("the upstream forgot a session: another one stands in its place");
        self.sessions.replace(id, now);
        true
    }

    /// Another session like the first: of the same revision, or the client would speak another one than its server.
    async fn open_again(&self, opening: &Opening, revision: Revision) -> Option<HeaderValue> {
        let (session, _) = self.initialized(&opening.initialize, opening.request.clone()).await.ok()?;
        let session = session.filter(|session| session.revision == revision)?;
        self.tell(&INITIALIZED, Some(&session)).await.ok()?;
        match &session.session {
            Session::Http(id) => HeaderValue::from_str(id).ok(),
            Session::Stdio(_) | Session::Aggregate(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{INITIALIZE_BYTES, KEPT, Sessions};
    use bytes::Bytes;
    use http::HeaderValue;
    use std::sync::Arc;

    /// A3: what is kept of sessions is bounded, and the newest stay; one that was ended is forgotten.
    #[test]
    fn kept_openings_are_bounded() {
        let (sessions, body, id) = (Sessions::default(), Bytes::from_static(b"{}"), Bytes::from_static(b"1"));
        let owner = Arc::from("key:a");
        for number in 0..KEPT + 10 {
            sessions.keep(&owner, &number.to_string(), &body, &id);
        }
        sessions.keep(&owner, "large", &Bytes::from(vec![b' '; INITIALIZE_BYTES + 1]), &id);
        let sizes = || {
            let table = sessions.lock();
            (table.sessions.len(), table.order.len())
        };
        assert_eq!(sizes(), (KEPT, KEPT));
        sessions.replace("1000", HeaderValue::from_static("other"));
        sessions.replace("0", HeaderValue::from_static("other"));
        assert_eq!(sessions.now("1000").unwrap(), "other");
        assert_eq!(sessions.now("0").unwrap(), "0", "the oldest went");
        sessions.forget("1000");
        assert_eq!((sessions.now("1000").unwrap(), sizes()), (HeaderValue::from_static("1000"), (KEPT - 1, KEPT - 1)));
    }

    /// A3, D3: a caller who opens sessions without end loses its own, and no other caller's.
    #[test]
    fn whoever_has_most_makes_room() {
        let (sessions, body, id) = (Sessions::default(), Bytes::from_static(b"{}"), Bytes::from_static(b"1"));
        let [greedy, other] = ["key:greedy", "key:other"].map(Arc::from);
        for number in 0..10 {
            sessions.keep(&other, &format!("other-{number}"), &body, &id);
        }
        for number in 0..2 * KEPT {
            sessions.keep(&greedy, &format!("greedy-{number}"), &body, &id);
        }
        let kept = |id: &str| sessions.lock().sessions.contains_key(id);
        assert!((0..10).all(|number| kept(&format!("other-{number}"))));
        assert!(kept(&format!("greedy-{}", 2 * KEPT - 1)) && !kept("greedy-0"));
        assert_eq!(sessions.lock().sessions.len(), KEPT);
    }
}
