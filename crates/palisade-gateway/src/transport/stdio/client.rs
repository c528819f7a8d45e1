//! The client at standard input: its lines as arrivals, its answers as lines, and the legacy session between them.
//!
//! By standard input there are no sessions: a client says `initialize` once and relies on it. So the gateway holds the
//! session's handle for it, and opens another one when the server has lost the first (it has crashed, or forgot).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use palisade_guard::framing::lines::one_line;
use palisade_guard::message::headers::{LAST_EVENT, SESSION};
use palisade_guard::message::{Body as Messages, Envelope, Revision, Shape, bare};
use palisade_guard::refusal::Refusal;
use tokio::sync::{Mutex, mpsc, watch};

use crate::current::Current;
use crate::pipeline;
use crate::transport::body::Body;
use crate::transport::http::{Arrival, Content};
use crate::transport::sse::Reader;
use crate::upstream::http::agreed_revision;
use crate::upstream::judge;

/// One line of the client: its length, and what was read.
pub(super) struct Line {
    pub(super) bytes: usize,
    pub(super) read: Result<Messages, Refusal>,
}

/// A legacy session.
#[derive(Clone)]
struct Session {
    /// Counts the sessions of this client, so that one is replaced once.
    number: u64,
    /// `None` where the server keeps none.
    handle: Option<HeaderValue>,
    revision: Revision,
    /// What opened it.
    initialize: Envelope,
}

/// The client.
pub(super) struct Client {
    current: Current,
    out: mpsc::Sender<Bytes>,
    session: watch::Sender<Option<Session>>,
    /// Sessions so far.
    opened: AtomicU64,
    /// One at a time opens a session.
    opening: Mutex<()>,
}

/// How long to wait before a stream is asked for again.
const AGAIN: Duration = Duration::from_secs(1);
/// How often the rest of a broken answer is asked for before its caller hears that it is lost.
const RESUMPTIONS: usize = 5;
const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

impl Client {
    pub(super) fn new(current: Current, out: mpsc::Sender<Bytes>) -> Self {
        Self { current, out, session: watch::Sender::new(None), opened: AtomicU64::new(0), opening: Mutex::default() }
    }

    /// Whether the client speaks a legacy revision.
    pub(super) fn has_session(&self) -> bool {
        self.session.borrow().is_some()
    }

    /// Opens the client's session and answers it. A client that does so again gets another one.
    pub(super) async fn initialize(&self, line: Line) {
        self.leave().await;
        let Ok(Messages::One(envelope)) = &line.read else { return };
        let envelope = envelope.clone();
        let response = self.arrive(Method::POST, content(line), HeaderMap::new()).await;
        let answer = self.open(&envelope, response).await;
        for message in answer {
            self.say(message).await;
        }
    }

    /// Keeps the session that an answer to `initialize` opens, and gives the messages of the answer.
    async fn open(&self, initialize: &Envelope, response: Response<Body>) -> Vec<Bytes> {
        let handle = response.headers().get(&SESSION).cloned();
        let mut messages = Messenger::new(response);
        let mut answer = Vec::new();
        while let Some(message) = messages.next().await {
            answer.push(message);
        }
        if let Some(revision) = answer.last().and_then(agreed_revision) {
            let initialize = initialize.clone();
            let number = self.opened.fetch_add(1, Relaxed);
            self.session.send_replace(Some(Session { number, handle, revision, initialize }));
        }
        answer
    }

    /// Hands on a message that wants no answer. A refusal is in the log and the journal.
    pub(super) async fn tell(&self, line: Line) {
        let session = self.session();
        let headers = headers(&line, session.as_ref());
        drop(self.arrive(Method::POST, content(line), headers).await);
    }

    /// Asks, and passes on what is answered.
    pub(super) async fn ask(self: Arc<Self>, line: Line) {
        let session = self.session();
        let again = line.read.as_ref().ok().cloned();
        let (bytes, made) = (line.bytes, headers(&line, session.as_ref()));
        let id = again.as_ref().and_then(|read| if let Messages::One(one) = read { one.id() } else { None });
        let mut response = self.arrive(Method::POST, content(line), made).await;
        // To a legacy caller this says one thing alone: the session is gone, and nothing was done.
        if let (StatusCode::NOT_FOUND, Some(lost), Some(read)) = (response.status(), &session, again)
            && self.renew(lost).await
        {
            let line = Line { bytes, read: Ok(read) };
            let made = headers(&line, self.session().as_ref());
            response = self.arrive(Method::POST, content(line), made).await;
        }
        self.pass_on(response, id.is_some() && session.is_some()).await;
    }

    /// Opens a session in the place of a lost one; once, however many calls find that it is lost.
    async fn renew(&self, lost: &Session) -> bool {
        let _one = self.opening.lock().await;
        match self.session() {
            Some(session) if session.number == lost.number => {}
            session => return session.is_some(),
        }
        tracing::info!("the server lost its session: another one is opened");
        let line = Line { bytes: lost.initialize.bytes.len(), read: Ok(Messages::One(lost.initialize.clone())) };
        let response = self.arrive(Method::POST, content(line), HeaderMap::new()).await;
        self.open(&lost.initialize, response).await;
        let opened = self.session().filter(|session| session.number != lost.number);
        if let Some(session) = &opened {
            let initialized = Line::read(&self.current.snapshot().message, Bytes::from_static(INITIALIZED.as_bytes()));
            let made = headers(&initialized, Some(session));
            drop(self.arrive(Method::POST, content(initialized), made).await);
        }
        opened.is_some()
    }

    /// Passes on every message of an answer; what is lost of a stream that can be resumed is asked for.
    async fn pass_on(&self, response: Response<Body>, owed: bool) {
        let mut messages = Messenger::new(response);
        for _ in 0..=RESUMPTIONS {
            let mut last = None;
            while let Some(message) = messages.next().await {
                last = Some(message.clone());
                self.say(message).await;
            }
            let (Some(seen), true) = (messages.seen.take(), owed && !last.is_some_and(is_response)) else { return };
            tokio::time::sleep(AGAIN).await;
            messages = Messenger::new(self.stream(Some(seen)).await);
        }
    }

    /// Passes on what the server says of its own accord, for as long as there is a session.
    pub(super) async fn listen(self: Arc<Self>) {
        let mut changed = self.session.subscribe();
        let mut seen = None;
        loop {
            changed.mark_unchanged();
            let response = self.stream(seen.take()).await;
            match response.status() {
                StatusCode::OK => {
                    let mut messages = Messenger::new(response);
                    while let Some(message) = messages.next().await {
                        // An error that ends the stream answers nothing the client has asked.
                        if !is_response(message.clone()) {
                            self.say(message).await;
                        }
                    }
                    seen = messages.seen;
                    tokio::time::sleep(AGAIN).await;
                }
                // The session is lost: the next call opens another one.
                StatusCode::NOT_FOUND => {
                    if changed.changed().await.is_err() {
                        return;
                    }
                }
                _ => return,
            }
        }
    }

    /// The stream of GET, or the rest of an earlier one.
    async fn stream(&self, seen: Option<HeaderValue>) -> Response<Body> {
        let session = self.session();
        let mut made = session.map_or_else(HeaderMap::new, |session| session.headers());
        if let Some(seen) = seen {
            made.insert(&LAST_EVENT, seen);
        }
        self.arrive(Method::GET, Content::Nothing, made).await
    }

    /// Ends the session.
    pub(super) async fn leave(&self) {
        let session = self.session.send_replace(None);
        if let Some(session) = session.filter(|session| session.handle.is_some()) {
            drop(self.arrive(Method::DELETE, Content::Nothing, session.headers()).await);
        }
    }

    fn session(&self) -> Option<Session> {
        self.session.borrow().clone()
    }

    /// The way of every call.
    async fn arrive(&self, method: Method, body: Content, mut headers: HeaderMap) -> Response<Body> {
        headers.insert(HOST, HeaderValue::from_static(NAME));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        let mut request = Request::new(());
        *request.method_mut() = method;
        *request.uri_mut() = http::Uri::from_static("/mcp");
        *request.headers_mut() = headers;
        let (head, ()) = request.into_parts();
        pipeline::answer(&self.current, Arrival { head, body, peer: None, place: None, secured: None }).await
    }

    async fn say(&self, message: Bytes) {
        // A client that has gone is seen by the loop that reads.
        drop(self.out.send(one_line(message)).await);
    }
}

/// The name under which the gateway serves here; `config` lets it in.
const NAME: &str = "localhost";

impl Session {
    fn headers(&self) -> HeaderMap {
        let mut headers = bare::revision(self.revision);
        if let Some(handle) = &self.handle {
            headers.insert(&SESSION, handle.clone());
        }
        headers
    }
}

fn content(line: Line) -> Content {
    Content::Line(line.bytes, line.read)
}

/// The headers that a line would have had by HTTP.
fn headers(line: &Line, session: Option<&Session>) -> HeaderMap {
    let own = match &line.read {
        Ok(Messages::One(envelope)) => bare::headers(envelope),
        Ok(Messages::Batch(_)) | Err(_) => None,
    };
    own.or_else(|| session.map(Session::headers)).unwrap_or_default()
}

fn is_response(message: Bytes) -> bool {
    judge::read(message).is_ok_and(|envelope| matches!(envelope.shape, Shape::Response { .. }))
}

/// The messages of one answer, whatever form it has.
struct Messenger {
    body: Body,
    events: Option<Reader>,
    /// The last event's id.
    seen: Option<HeaderValue>,
}

impl Messenger {
    fn new(response: Response<Body>) -> Self {
        let streamed = response.headers().get(CONTENT_TYPE).is_some_and(|media| media == "text/event-stream");
        // An event was bounded where it came in, and is one frame here.
        let events = streamed.then(|| Reader::new(usize::MAX));
        Self { body: response.into_body(), events, seen: None }
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            while let Some(Ok(Some(event))) = self.events.as_mut().map(Reader::next_event) {
                if let Some(id) = event.id.as_deref().and_then(|id| HeaderValue::from_bytes(id).ok()) {
                    self.seen = Some(id);
                }
                if event.is_message() {
                    return Some(event.data);
                }
            }
            let Ok(frame) = self.body.frame().await?;
            let Ok(bytes) = frame.into_data() else { continue };
            match &mut self.events {
                Some(events) => events.feed(&bytes),
                None => return Some(bytes),
            }
        }
    }
}
