//! One client's session with several servers: what it is told of each, and each server's session with it.
//!
//! Sessions with servers are opened on first need, once, however many calls need it. They end when the client ends its
//! own, or when nobody has used it for `timeouts.session`. A server that has forgotten its session gets a new one.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use palisade_guard::authenticate::Principal;
use palisade_guard::identify::client_address::Client;
use palisade_guard::message::headers::REVISION;
use palisade_guard::message::{Call, Revision};
use palisade_guard::refusal::{Detail, Reason, Refusal};
use palisade_guard::{authorize, validate};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::home::Home;
use super::standing;
use super::visit::{Visit, Way, response};
use crate::random;
use crate::session::{Resumed, Session};
use crate::snapshot::Snapshot;
use crate::time;
use crate::transport::sse::Event;
use crate::upstream::http::agreed_revision;
use crate::upstream::{Server, invalid, unavailable};

/// A client's session with several servers.
pub(super) struct Joined {
    /// The client's own `initialize`, which each server hears; ours for a caller of 2026-07-28.
    hello: Bytes,
    /// Whether its client speaks 2026-07-28, and has no ids and requests of the server in a session.
    pub(super) modern: bool,
    revision: Revision,
    slots: Mutex<HashMap<Arc<str>, Arc<Slot>>>,
    numbers: AtomicU64,
    state: Mutex<State>,
    used_ms: AtomicU64,
    /// Cancelled when its client ends it.
    pub(super) ended: CancellationToken,
}

type Slot = tokio::sync::Mutex<Option<Arc<Link>>>;

/// The session with one server.
pub(super) struct Link {
    /// The server's side; `None` where it keeps no sessions.
    pub(super) session: Option<Resumed>,
    /// What was agreed on with it.
    pub(super) revision: Revision,
    /// What it needs to be ended in the name of whoever opened it.
    end: End,
}

#[derive(Clone)]
struct End {
    server: Arc<Server>,
    client: Client,
    principal: Principal,
    headers: Arc<HeaderMap>,
}

impl End {
    async fn run(self, session: Resumed) {
        let ended = async {
            let permit = authorize::call(&self.principal, self.client.address(), &self.server.name)?;
            let vetted = validate::call(&[], None, permit, Call::End)?;
            self.server.forward(&vetted, self.principal.id(), &self.headers, Some(&session)).await
        };
        if let Err(refusal) = ended.await {
            tracing::debug!(server = %self.server.name, cause = refusal.cause_for_log(), "a session was not ended");
        }
    }
}

/// What is under way in one session.
#[derive(Default)]
pub(super) struct State {
    /// Requests of servers that the client has not answered.
    pub(super) asked: VecDeque<Asked>,
    /// Requests of the client, and who has them: the last ones.
    pub(super) sent: VecDeque<(Bytes, Arc<str>)>,
    /// `logging/setLevel`, for servers that are not open yet.
    pub(super) level: Option<Bytes>,
    /// The client's GET stream.
    pub(super) standing: Option<mpsc::Sender<Event>>,
}

/// A request of a server, under a number of ours: two servers may choose the same id.
pub(super) struct Asked {
    pub(super) number: u64,
    pub(super) server: Arc<str>,
    pub(super) id: Bytes,
    pub(super) token: Option<Bytes>,
}

/// Requests kept in mind, of each direction.
const UNDER_WAY: usize = 256;

/// Keeps one more in mind; the oldest is forgotten where there are too many.
pub(super) fn keep<T>(under_way: &mut VecDeque<T>, one: T) {
    if under_way.len() >= UNDER_WAY {
        under_way.pop_front();
    }
    under_way.push_back(one);
}

impl State {
    /// The request of a server that has this number: it is answered now.
    pub(super) fn answered(&mut self, number: u64) -> Option<Asked> {
        let at = self.asked.iter().position(|asked| asked.number == number)?;
        self.asked.remove(at)
    }

    /// A server takes its request back: the number that the client knows it by.
    pub(super) fn taken_back(&mut self, server: &str, id: &Bytes) -> Option<u64> {
        let at = self.asked.iter().position(|asked| *asked.server == *server && asked.id == *id)?;
        self.asked.remove(at).map(|asked| asked.number)
    }
}

impl Joined {
    pub(super) fn new(hello: Bytes, revision: Revision, modern: bool) -> Self {
        Self {
            hello,
            modern,
            revision,
            slots: Mutex::default(),
            numbers: AtomicU64::new(1),
            state: Mutex::default(),
            used_ms: AtomicU64::new(time::now().monotonic_ms),
            ended: CancellationToken::new(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number nobody in this session has.
    pub(super) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Relaxed)
    }

    /// Something that came beside an answer of ours: for the GET stream, if there is one.
    pub(super) fn stray(&self, visit: &Visit, server: &Arc<Server>, way: &Way, mut event: Event) {
        // It was on a stream of ours, which nobody can resume.
        event.id = None;
        let Some(event) = Home::of(visit, server, way).event(event) else { return };
        let standing = self.state().standing.clone();
        if standing.is_none_or(|standing| standing.try_send(event).is_err()) {
            tracing::debug!(server = %server.name, "dropped a message: no client listens");
        }
    }

    /// The servers that have a session now, and it.
    pub(super) fn links(&self) -> Vec<(Arc<str>, Arc<Link>)> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let open = slots.iter().filter_map(|(name, slot)| Some((Arc::clone(name), slot.try_lock().ok()?.clone()?)));
        open.collect()
    }

    /// The session with a server, opened if there is none.
    pub(super) async fn link(self: &Arc<Self>, visit: &Visit, server: &Arc<Server>) -> Result<Arc<Link>, Refusal> {
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(slots.entry(Arc::clone(&server.name)).or_default())
        };
        let mut slot = slot.lock_owned().await;
        // Another upstream under the same name, since a reload, knows nothing of it.
        if let Some(link) = slot.as_ref().filter(|link| link.end.server.upstream.is(&server.upstream)) {
            return Ok(Arc::clone(link));
        }
        let (joined, visit, server) = (Arc::clone(self), visit.clone(), Arc::clone(server));
        let (late, begun) = (server.catalog.is_late(), time::instant());
        // Whoever needs it may leave: a server that is slow to start would otherwise never get there.
        let opening = tokio::spawn(async move {
            let link = Arc::new(open(&joined, &visit, &server).await?);
            settle(&joined, &visit, &server, &link).await;
            *slot = Some(Arc::clone(&link));
            drop(slot);
            join(&joined, &visit, &server, &link, late || begun.elapsed() >= visit.patience());
            Ok(link)
        });
        opening.await.map_err(|error| Refusal::new(Reason::Internal).because(error))?
    }

    /// Forgets the session with a server, which has forgotten it.
    pub(super) async fn forget(&self, server: &str, link: &Arc<Link>) {
        let slot = self.slots.lock().unwrap_or_else(PoisonError::into_inner).get(server).cloned();
        if let Some(slot) = slot {
            let mut slot = slot.lock().await;
            if slot.as_ref().is_some_and(|known| Arc::ptr_eq(known, link)) {
                *slot = None;
            }
        }
    }
}

impl Drop for Joined {
    /// Ends what was opened. What cannot be ended expires on the server's side.
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        for (_, link) in self.links() {
            if let Some(session) = link.session.clone() {
                runtime.spawn(link.end.clone().run(session));
            }
        }
    }
}

/// Opens a session with one server, in the caller's name and with the caller's own words.
async fn open(joined: &Arc<Joined>, visit: &Visit, server: &Arc<Server>) -> Result<Link, Refusal> {
    let mut end = End {
        server: Arc::clone(server),
        client: visit.client,
        principal: visit.principal.clone(),
        headers: Arc::clone(&visit.headers),
    };
    let first = Link { session: None, revision: joined.revision, end: end.clone() };
    let way = Way::Legacy(Arc::clone(joined), Arc::new(first));
    let mut headers = visit.headers(&way, "initialize", None);
    headers.remove(&REVISION);
    let call = visit.judged(&headers, None, joined.hello.clone())?;
    let answered = visit.send(server, &headers, None, call).await?;
    let opened = answered.opened;
    let hello = response(answered.answer, |_| {}).await?;
    let Some(revision) = agreed_revision(&hello) else {
        return Err(unavailable("the server does not speak the caller's era"));
    };
    let session = opened.map(|opened| Resumed { session: opened.session, revision });
    if session.as_ref().is_some_and(|session| matches!(session.session, Session::Aggregate(_))) {
        return Err(invalid("a session of ours from a server"));
    }
    headers.insert(&REVISION, HeaderValue::from_static(revision.name()));
    end.headers = Arc::new(headers);
    Ok(Link { session, revision, end })
}

/// What a new session is told before anything else: that it is open, and how much to log.
async fn settle(joined: &Arc<Joined>, visit: &Visit, server: &Arc<Server>, link: &Arc<Link>) {
    let way = Way::Legacy(Arc::clone(joined), Arc::clone(link));
    let initialized = Bytes::from_static(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    if let Err(refusal) = visit.tell(server, &way, initialized).await {
        tracing::warn!(server = %server.name, cause = refusal.cause_for_log(), "notifications/initialized was not taken");
    }
    let level = joined.state().level.clone();
    if let Some(level) = level {
        super::home::tell_level(visit, server, &way, &level).await;
    }
}

/// A new session is heard from now on. If lists had to go without its server, the client hears that they have changed.
fn join(joined: &Arc<Joined>, visit: &Visit, server: &Arc<Server>, link: &Arc<Link>, was_missing: bool) {
    server.catalog.saw(true);
    let Some(standing) = joined.state().standing.clone() else { return };
    if was_missing {
        for kind in ["tools", "prompts", "resources"] {
            let changed = format!(r#"{{"jsonrpc":"2.0","method":"notifications/{kind}/list_changed"}}"#);
            // A client that reads too slowly asks again by itself, or not at all.
            let _full = standing.try_send(Event::message(Bytes::from(changed)));
        }
    }
    standing::follow(visit, joined, server, link, &standing);
}

/// Every session, by its number, or by its caller where that one speaks 2026-07-28.
#[derive(Default)]
pub(crate) struct Table(Mutex<HashMap<Key, Arc<Joined>>>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Session(u64),
    Caller(Arc<str>),
}

impl Table {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// A new session of a legacy client.
    pub(super) fn begin(&self, gate: &Snapshot, hello: Bytes, revision: Revision) -> Result<Session, Refusal> {
        let number = u64::from_le_bytes(random::bytes());
        drop(self.insert(gate, Key::Session(number), Joined::new(hello, revision, false))?);
        Ok(Session::Aggregate(number))
    }

    /// The session that a handle of ours stands for.
    pub(super) fn find(&self, resumed: &Resumed) -> Result<Arc<Joined>, Refusal> {
        let Session::Aggregate(number) = resumed.session else {
            return Err(Refusal::new(Reason::SessionUnknown).because("a session with one server"));
        };
        let joined = self.lock().get(&Key::Session(number)).cloned();
        let joined = joined.ok_or_else(|| Refusal::new(Reason::SessionUnknown).because("the session has ended"))?;
        joined.used_ms.store(time::now().monotonic_ms, Relaxed);
        Ok(joined)
    }

    /// The sessions of a caller of 2026-07-28 with servers that do not speak it.
    pub(super) fn of_caller(&self, visit: &Visit) -> Result<Arc<Joined>, Refusal> {
        let key = Key::Caller(Arc::clone(visit.principal.id()));
        if let Some(joined) = self.lock().get(&key).cloned() {
            joined.used_ms.store(time::now().monotonic_ms, Relaxed);
            return Ok(joined);
        }
        let revision = Revision::V2025_11_25;
        let hello = format!(
            r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"{}","capabilities":{{}},"clientInfo":{{"name":"palisade","version":"{}"}}}}}}"#,
            revision.name(),
            env!("CARGO_PKG_VERSION"),
        );
        self.insert(&visit.gate, key, Joined::new(Bytes::from(hello), revision, true))
    }

    fn insert(&self, gate: &Snapshot, key: Key, joined: Joined) -> Result<Arc<Joined>, Refusal> {
        let most = gate.aggregate.max_sessions;
        if self.len() >= most {
            self.sweep(gate.timeouts.session);
        }
        let mut sessions = self.lock();
        if let Some(known) = sessions.get(&key) {
            return Ok(Arc::clone(known));
        }
        if sessions.len() >= most {
            let limit = u64::try_from(most).unwrap_or(u64::MAX);
            return Err(Refusal::new(Reason::NoCapacity)
                .says("all sessions are in use (aggregate.max_sessions)")
                .with("limit", Detail::Number(limit))
                .retry_after(Duration::from_secs(10)));
        }
        let joined = Arc::new(joined);
        sessions.insert(key, Arc::clone(&joined));
        Ok(joined)
    }

    /// Ends a session.
    pub(super) fn end(&self, resumed: &Resumed) {
        if let Session::Aggregate(number) = resumed.session {
            let ended = self.lock().remove(&Key::Session(number));
            if let Some(joined) = ended {
                joined.ended.cancel();
            }
        }
    }

    /// Ends sessions that nobody has used for long. Whoever uses one now holds it.
    pub(crate) fn sweep(&self, idle: Duration) {
        let now = time::now().monotonic_ms;
        let idle = u64::try_from(idle.as_millis()).unwrap_or(u64::MAX);
        let mut ended = Vec::new();
        self.lock().retain(|_, joined| {
            let unused = Arc::strong_count(joined) == 1;
            let old = now.saturating_sub(joined.used_ms.load(Relaxed)) >= idle;
            if unused && old {
                ended.push(Arc::clone(joined));
            }
            !(unused && old)
        });
        // Dropped here, outside of the lock.
        drop(ended);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Joined>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{UNDER_WAY, keep};
    use std::collections::VecDeque;

    /// D3: what is kept in mind of a session is bounded, and the newest stays.
    #[test]
    fn what_is_under_way_is_bounded() {
        let mut under_way = VecDeque::new();
        for number in 0..UNDER_WAY + 10 {
            keep(&mut under_way, number);
        }
        assert_eq!(
            (under_way.len(), under_way.front(), under_way.back()),
            (UNDER_WAY, Some(&10), Some(&(UNDER_WAY + 9)))
        );
    }
}
