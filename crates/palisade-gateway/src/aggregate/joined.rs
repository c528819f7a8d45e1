//! One client's session with several servers: what it is told of each, and each server's session with it.
//!
//! Sessions with servers are opened on first need, once, however many calls need it. They end when the client ends its
//! own, or when nobody has used it for `timeouts.session`. A server that has forgotten its session gets a new one.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use palisade_guard::authenticate::Principal;
use palisade_guard::authorize::Asker;
use palisade_guard::identify::client_address::Client;
use palisade_guard::message::headers::REVISION;
use palisade_guard::message::{Call, Message, Revision, json};
use palisade_guard::refusal::{Reason, Refusal};
use palisade_guard::{authorize, validate};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::home::Home;
use super::slot::Slot;
use super::standing;
use super::visit::{Visit, Way, response};
use crate::ending::Grounds;
use crate::pipeline::Door;
use crate::session::{Resumed, Session};
use crate::snapshot::Snapshot;
use crate::time;
use crate::transport::sse::Event;
use crate::upstream::http::agreed_revision;
use crate::upstream::{Server, invalid, unavailable};

/// A client's session with several servers.
pub(super) struct Joined {
    /// Whose it is.
    pub(super) owner: Arc<str>,
    /// The client's own `initialize`, which each server hears; ours for a caller of 2026-07-28.
    hello: Bytes,
    /// Whether its client speaks 2026-07-28, and has no ids and requests of the server in a session.
    pub(super) modern: bool,
    revision: Revision,
    slots: Mutex<HashMap<Arc<str>, Arc<Slot<Link>>>>,
    numbers: AtomicU64,
    state: Mutex<State>,
    pub(super) used_ms: AtomicU64,
    /// Cancelled when its client ends it.
    pub(super) ended: CancellationToken,
}

/// The session with one server.
pub(super) struct Link {
    /// The server's side; `None` where it keeps no sessions.
    pub(super) session: Option<Resumed>,
    /// What was agreed on with it.
    pub(super) revision: Revision,
    /// Cancelled when a configuration comes in force that does not permit it.
    pub(super) withdrawn: CancellationToken,
    /// The stream that hears what its server says by itself.
    followed: Mutex<Option<mpsc::WeakSender<Event>>>,
    /// What it needs to be ended in the name of whoever opened it.
    end: End,
}

impl Link {
    fn new(session: Option<Resumed>, revision: Revision, end: End) -> Self {
        Self { session, revision, withdrawn: CancellationToken::new(), followed: Mutex::default(), end }
    }

    /// Whether this stream does not follow it yet; from now on it does. A stream that begins while a session is being
    /// opened is told of it twice.
    pub(super) fn claim(&self, to: &mpsc::Sender<Event>) -> bool {
        claim(&mut self.followed.lock().unwrap_or_else(PoisonError::into_inner), to)
    }

    /// Whether it still stands for this server: another upstream under the same name, since a reload, knows nothing of it.
    fn is_for(&self, server: &Server) -> bool {
        self.end.server.upstream.is(&server.upstream) && !self.withdrawn.is_cancelled()
    }

    /// Whether `gate` permits it too.
    pub(super) fn holds(&self, gate: &Snapshot) -> bool {
        let End { server, client, principal, policy, .. } = &self.end;
        let door = Door::One(Arc::clone(server));
        let (caller, address, policy) = (principal.clone(), client.address(), *policy);
        Grounds { caller, token: None, address, secured: None, door, policy }.hold(gate).is_ok()
    }
}

fn claim<T>(followed: &mut Option<mpsc::WeakSender<T>>, to: &mpsc::Sender<T>) -> bool {
    let follows = followed.as_ref().and_then(mpsc::WeakSender::upgrade).is_some_and(|by| by.same_channel(to));
    *followed = Some(to.downgrade());
    !follows
}

#[derive(Clone)]
struct End {
    server: Arc<Server>,
    client: Client,
    principal: Principal,
    headers: Arc<HeaderMap>,
    /// Under which policy it was opened.
    policy: Option<[u8; 32]>,
}

impl End {
    async fn run(self, session: Resumed) {
        let ended = async {
            let call = Call::End;
            let permit = {
                // Ending gives back what others wait for: no rule speaks of it.
                let (caller, address) = (&self.principal, self.client.address());
                authorize::call(&Asker { policy: None, caller, address, now: time::now() }, &self.server.name, &call)?
            };
            let vetted = validate::call(&[], None, permit, call)?;
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
    pub(super) sent: VecDeque<Sent>,
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

/// A request of the client, and who has it.
pub(super) struct Sent {
    pub(super) id: Bytes,
    pub(super) server: Arc<str>,
    token: Option<Token>,
}

/// A progress token, the same however it is escaped.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Token {
    Text(Box<str>),
    Number(Box<[u8]>),
}

impl Token {
    /// As it stands in a message.
    pub(super) fn of(token: &[u8]) -> Self {
        if token.starts_with(b"\"") { Self::Text(json::text_of(token).into()) } else { Self::Number(token.into()) }
    }
}

impl Sent {
    /// What is kept of a request. Copies: the bytes that came in stand in a buffer which is larger.
    pub(super) fn new(message: &Message, server: &Arc<str>) -> Option<Self> {
        let token = message.progress_token().and_then(|span| message.bytes().get(span));
        let token = token.filter(|token| token.len() <= TOKEN_BYTES).map(Token::of);
        Some(Self { id: Bytes::copy_from_slice(&message.id()?), server: Arc::clone(server), token })
    }
}

/// Requests of one server that are kept in mind, of each direction.
const UNDER_WAY: usize = 256;
/// A longer progress token is not kept, so that no progress comes for it.
pub(super) const TOKEN_BYTES: usize = 1024;

/// Keeps one more in mind; the oldest of the same server is forgotten where it has too many, and no other one's.
pub(super) fn keep<T>(under_way: &mut VecDeque<T>, one: T, server: impl Fn(&T) -> &Arc<str>) {
    let theirs = under_way.iter().enumerate().filter(|(_, other)| server(other) == server(&one));
    let mut theirs = theirs.map(|(at, _)| at);
    if let Some(oldest) = theirs.next()
        && 1 + theirs.count() >= UNDER_WAY
    {
        under_way.remove(oldest);
    }
    under_way.push_back(one);
}

impl State {
    /// Whether a server was sent a request with this progress token.
    pub(super) fn is_tracked(&self, server: &str, token: &Token) -> bool {
        self.sent.iter().any(|sent| *sent.server == *server && sent.token.as_ref() == Some(token))
    }

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
    pub(super) fn new(owner: Arc<str>, hello: Bytes, revision: Revision, modern: bool) -> Self {
        Self {
            owner,
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
        let open = slots.iter().filter_map(|(name, slot)| Some((Arc::clone(name), slot.link()?)));
        open.collect()
    }

    /// The session with a server, opened if there is none.
    pub(super) async fn link(self: &Arc<Self>, visit: &Visit, server: &Arc<Server>) -> Result<Arc<Link>, Refusal> {
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(slots.entry(Arc::clone(&server.name)).or_default())
        };
        let turn = slot.turn().await;
        if let Some(link) = slot.link().filter(|link| link.is_for(server)) {
            return Ok(link);
        }
        let (joined, visit, server) = (Arc::clone(self), visit.clone(), Arc::clone(server));
        let (late, begun) = (server.catalog.is_late(), time::instant());
        // Whoever needs it may leave: a server that is slow to start would otherwise never get there.
        let opening = tokio::spawn(async move {
            let link = Arc::new(open(&joined, &visit, &server).await?);
            settle(&joined, &visit, &server, &link).await;
            slot.put(&link);
            drop(turn);
            join(&joined, &visit, &server, &link, late || begun.elapsed() >= visit.patience());
            Ok(link)
        });
        opening.await.map_err(|error| Refusal::new(Reason::Internal).because(error))?
    }

    /// Forgets the session with a server, which has forgotten it.
    pub(super) fn forget(&self, server: &str, link: &Arc<Link>) {
        if let Some(slot) = self.slots.lock().unwrap_or_else(PoisonError::into_inner).get(server) {
            slot.forget(link);
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
        policy: visit.gate.policy_print(),
    };
    let first = Link::new(None, joined.revision, end.clone());
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
    Ok(Link::new(session, revision, end))
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
        super::told::tell_level(visit, server, &way, &level).await;
    }
}

/// A new session is heard from now on. If lists had to go without its server, the client hears that they have changed.
fn join(joined: &Arc<Joined>, visit: &Visit, server: &Arc<Server>, link: &Arc<Link>, was_missing: bool) {
    server.catalog.saw(true);
    visit.gate.lasting.joined.judge_one(link);
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

#[cfg(test)]
mod tests {
    use super::{Token, UNDER_WAY, claim, keep};
    use std::collections::VecDeque;
    use std::sync::Arc;
    use tokio::sync::mpsc;

    /// A3, D3: what is kept in mind of a session is bounded for each server, the newest stays, and no server drives out
    /// what another one has under way.
    #[test]
    fn what_is_under_way_is_bounded() {
        let [slow, hostile] = ["slow", "hostile"].map(Arc::<str>::from);
        let mut under_way = VecDeque::new();
        keep(&mut under_way, (0, Arc::clone(&slow)), |one| &one.1);
        for number in 0..UNDER_WAY + 10 {
            keep(&mut under_way, (number, Arc::clone(&hostile)), |one| &one.1);
        }
        assert_eq!(under_way.len(), 1 + UNDER_WAY);
        assert_eq!(under_way.front(), Some(&(0, slow)));
        assert_eq!((under_way.get(1), under_way.back().map(|one| one.0)), (Some(&(10, hostile)), Some(UNDER_WAY + 9)));
    }

    /// A3: a token is what it means, not how it is written.
    #[test]
    fn tokens_are_compared_by_what_they_mean() {
        assert_eq!(Token::of("\"Grüße\"".as_bytes()), Token::of(br#""Gr\u00fc\u00dfe""#));
        assert_ne!(Token::of(b"7"), Token::of(b"8"));
        assert_ne!(Token::of(b"7"), Token::of(b"\"7\""));
    }

    /// A3: a stream follows a server once, however often it is told of it; a new stream follows it anew.
    #[test]
    fn a_stream_follows_once() {
        let ((first, _mail), (second, _more)) = (mpsc::channel::<()>(1), mpsc::channel(1));
        let mut followed = None;
        assert!(claim(&mut followed, &first) && !claim(&mut followed, &first.clone()));
        assert!(claim(&mut followed, &second) && !claim(&mut followed, &second));
    }
}
