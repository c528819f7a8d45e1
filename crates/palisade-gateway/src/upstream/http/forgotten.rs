//! Sessions that an upstream forgot: it was restarted, or tidied up. Its 404 to a call in a session says so, and says as
//! well that the call was not run (2025-11-25, transports, "Session Management"). So the session is opened once more, with
//! what its client said when it opened it, and the call is sent again; the client's handle stays what it is.
//!
//! What is kept for that is bounded. A session of which nothing is kept ends with 404, upon which clients open another
//! one themselves.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use palisade_guard::message::Revision;

use super::{HttpUpstream, Sent};
use crate::session::{Resumed, Session};

/// Sessions that are kept, oldest first to go.
const KEPT: usize = 1024;
/// The longest `initialize` that is kept, and the longest id of a session.
const INITIALIZE_BYTES: usize = 4096;
const ID_BYTES: usize = 512;

const INITIALIZED: Bytes = Bytes::from_static(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);

/// How sessions were opened, by the id that handles hold.
#[derive(Default)]
pub(super) struct Sessions {
    table: Mutex<Table>,
    /// One session is opened again at a time, so that many calls in one open it once.
    renewing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Table {
    sessions: HashMap<Box<str>, Opening>,
    order: VecDeque<Box<str>>,
}

#[derive(Clone)]
struct Opening {
    initialize: Bytes,
    /// The id of that request.
    request: Bytes,
    /// The session that stands in its place, if it was opened again.
    now: Option<HeaderValue>,
}

impl Sessions {
    /// Keeps how a session was opened.
    pub(super) fn keep(&self, id: &str, initialize: &Bytes, request: &Bytes) {
        if initialize.len() > INITIALIZE_BYTES || id.len() > ID_BYTES {
            return;
        }
        // Copies: the bytes that came in stand in a buffer which is larger.
        let copy = |bytes: &Bytes| Bytes::copy_from_slice(bytes);
        let opening = Opening { initialize: copy(initialize), request: copy(request), now: None };
        let mut table = self.lock();
        if table.sessions.insert(id.into(), opening).is_none() {
            table.order.push_back(id.into());
        }
        while table.order.len() > KEPT {
            let Some(oldest) = table.order.pop_front() else { return };
            table.sessions.remove(&oldest);
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
        let used = match session {
            Some(Resumed { session: Session::Http(id), revision }) => {
                self.sessions.now(id).map(|now| (id, *revision, now))
            }
            _ => None,
        };
        let sent = self.sent(self.request(method, body.clone(), headers, session)).await?;
        match used {
            Some((id, revision, used)) if repeatable && sent.0.status() == StatusCode::NOT_FOUND => {
                if Box::pin(self.renew(id, revision, &used)).await {
                    return self.sent(self.request(method, body, headers, session)).await;
                }
                Ok(sent)
            }
            _ => Ok(sent),
        }
    }

    /// Opens a session again in which `used` was forgotten; true if there is another one now.
    async fn renew(&self, id: &str, revision: Revision, used: &HeaderValue) -> bool {
        let _one = self.sessions.renewing.lock().await;
        if self.sessions.now(id).is_some_and(|now| now != *used) {
            return true;
        }
        let Some(opening) = self.sessions.lock().sessions.get(id).cloned() else { return false };
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

    /// A3: what is kept of sessions is bounded, and the newest stay; one that was ended is forgotten.
    #[test]
    fn kept_openings_are_bounded() {
        let (sessions, body, id) = (Sessions::default(), Bytes::from_static(b"{}"), Bytes::from_static(b"1"));
        for number in 0..KEPT + 10 {
            sessions.keep(&number.to_string(), &body, &id);
        }
        sessions.keep("large", &Bytes::from(vec![b' '; INITIALIZE_BYTES + 1]), &id);
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
}
