//! A Streamable HTTP server behind the gateway.
//!
//! 1. The body goes out byte for byte as it was judged; the headers are those of an allow list, the operator's own,
//!    and the upstream's session, never the caller's credential.
//! 2. Nothing comes back but what was read and understood: one JSON-RPC response, or events that are judged one by one.
//! 3. An upstream's status is passed on only where the protocol gives it a meaning for the caller. What it says about
//!    *our* credentials, redirects or its own trouble is ours to log and the caller's `MCP-003`.

mod connection;
mod events;
mod forgotten;
mod head;
mod known;
mod open;
mod opening;
mod own;
mod pool;
mod request;
mod signing;
mod standing;
pub(crate) mod tls;

use std::io;
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use palisade_guard::message::{Call, Message, Revision, json};
use palisade_guard::refusal::{Reason, Refusal};
use palisade_guard::sign::Signer;
use palisade_guard::validate::Vetted;
use tokio::time::{Instant, timeout_at};

use super::breaker::{self, Breaker};
use super::{Answer, Answered, Expected, Opened, judge, unavailable};
use crate::descriptors::Descriptors;
use crate::login::Login;
use crate::session::{Resumed, Session};
use crate::splice::replace;
use crate::time;
use connection::Connection;
use events::HttpEvents;
use forgotten::Sessions;
use head::{Head, Media};
use open::OpenStreams;
pub(crate) use opening::agreed_revision;
use opening::{first_response, opened};
use pool::Pool;
use request::{Request, Target};
use standing::Standing;

/// One HTTP upstream.
pub(crate) struct HttpUpstream {
    pool: Pool,
    open: OpenStreams,
    sessions: Sessions,
    breaker: Breaker,
    target: Target,
    login: Option<Arc<Login>>,
    relays: bool,
    answer_timeout: Duration,
    answer_bytes: usize,
}

/// What makes an [`HttpUpstream`].
pub(crate) struct Settings<'a> {
    /// The server's name.
    pub(crate) name: Arc<str>,
    /// Where it is.
    pub(crate) url: &'a Uri,
    /// The operator's headers.
    pub(crate) own: Vec<(HeaderName, HeaderValue)>,
    /// What signs every request.
    pub(crate) signer: Option<Signer>,
    /// Who logs in, where it wants a login.
    pub(crate) login: Option<Arc<Login>>,
    /// Whether the client hears its refusals in its own words.
    pub(crate) relays: bool,
    /// Certificates to trust instead of the system's, in PEM.
    pub(crate) ca_file: Option<&'a Path>,
    /// How long it may take to begin an answer, or be silent inside one.
    pub(crate) answer_timeout: Duration,
    /// The largest answer or event.
    pub(crate) answer_bytes: usize,
    /// How long connecting may take.
    pub(crate) connect_timeout: Duration,
    /// What its connections take from.
    pub(crate) descriptors: Arc<Descriptors>,
}

impl HttpUpstream {
    /// An upstream; nothing is connected yet.
    pub(crate) fn new(settings: Settings<'_>) -> io::Result<Self> {
        let url = settings.url;
        let tls = (url.scheme_str() == Some("https")).then(|| tls::config(settings.ca_file, None)).transpose()?;
        let authority = url.authority().map_or_else(String::new, ToString::to_string);
        let path = url.path_and_query().map_or("/", |path| path.as_str());
        Ok(Self {
            breaker: Breaker::new(settings.name, breaker::REMOTE),
            pool: Pool::new(url, tls, settings.connect_timeout, settings.descriptors),
            open: OpenStreams::default(),
            sessions: Sessions::default(),
            target: Target {
                path: path.parse().map_err(io::Error::other)?,
                host: HeaderValue::from_str(&authority).map_err(io::Error::other)?,
                own: settings.own,
                signer: settings.signer,
            },
            login: settings.login,
            relays: settings.relays,
            answer_timeout: settings.answer_timeout,
            answer_bytes: settings.answer_bytes,
        })
    }

    /// Sends one vetted call and reads the answer's beginning.
    pub(crate) async fn forward(
        &self,
        vetted: &Vetted,
        principal: &Arc<str>,
        headers: &HeaderMap,
        session: Option<&Resumed>,
    ) -> Result<Answered, Refusal> {
        let (method, body, expected) = match vetted.call() {
            Call::Message(message) => (Method::POST, message.bytes().clone(), Expected::by(message)),
            Call::Stream { after } => {
                let revision = session.map_or(Revision::ASSUMED, |resumed| resumed.revision);
                (Method::GET, Bytes::new(), Expected { id: None, resumed: after.is_some(), revision })
            }
            Call::End => {
                (Method::DELETE, Bytes::new(), Expected { id: None, resumed: false, revision: Revision::ASSUMED })
            }
        };
        // What is left of a stream is lost with its session; a session that is to end has ended.
        let repeatable = matches!(vetted.call(), Call::Message(_) | Call::Stream { after: None });
        let (head, connection) = self.sent_in(session, &method, body, headers, repeatable).await?;
        match vetted.call() {
            Call::Message(message) => {
                let answered = self.answer(message, expected, head, connection).await?;
                if let Some(Opened { session: Session::Http(id), .. }) = &answered.opened {
                    self.sessions.keep(principal, id, message.bytes(), &message.id().unwrap_or_default());
                }
                Ok(self.open.follow(message, session, answered))
            }
            Call::Stream { .. } => self.stream(head, connection, expected),
            Call::End => {
                if let Some(Resumed { session: Session::Http(id), .. }) = session {
                    self.sessions.forget(id);
                }
                Box::pin(self.ended(head, connection)).await
            }
        }
    }

    /// Boxed: connecting and sending hold the largest part of a call's state, and its own future is moved.
    fn sent<'a>(&'a self, request: &'a Request) -> Pin<Box<dyn Future<Output = Sent> + Send + 'a>> {
        Box::pin(async move {
            let now = Instant::now();
            let attempt = self.breaker.enter_at(time::at(now.into_std()))?;
            let Ok(sent) = timeout_at(now + self.answer_timeout, self.pool.send(request, now)).await else {
                attempt.was_late();
                return Err(Refusal::new(Reason::Timeout).because("no answer began"));
            };
            attempt.tell(sent.as_ref().is_ok_and(|(head, _)| !is_a_proxys(head.status)));
            sent
        })
    }

    /// Whether calls reach it, as far as the last ones tell.
    pub(crate) fn is_available(&self) -> bool {
        !self.breaker.is_open()
    }

    fn request(&self, method: &Method, body: &Bytes, caller: &HeaderMap, session: Option<&Resumed>) -> Request {
        self.target.request(method, body, caller, self.session_now(session).as_ref())
    }

    /// The session in force under a handle's.
    fn session_now(&self, session: Option<&Resumed>) -> Option<HeaderValue> {
        match session {
            Some(Resumed { session: Session::Http(id), .. }) => self.sessions.now(id),
            _ => None,
        }
    }

    async fn answer(
        &self,
        message: &Message,
        expected: Expected,
        head: Head,
        connection: Box<Connection>,
    ) -> Result<Answered, Refusal> {
        let wanted = expected.id.is_some() && message.method_name().is_some();
        let media = head.media()?;
        match (head.status, media) {
            (StatusCode::OK | StatusCode::ACCEPTED | StatusCode::NO_CONTENT, _) if !wanted => {
                self.read_to_end(head, connection).await?;
                Ok(Answer::Accepted.into())
            }
            (StatusCode::OK, Media::Json) => {
                let session = head.session.clone().filter(|_| message.is("initialize"));
                let bytes = self.read_to_end(head, connection).await?;
                let response = judge::response(bytes, &expected)?;
                let opened = opened(session.as_deref(), &response);
                Ok(Answered { answer: Answer::Message(response), opened })
            }
            (StatusCode::OK, Media::Events) => {
                let session = head.session.clone();
                let events = self.events(head, connection, expected);
                if message.is("initialize") {
                    let first = Box::pin(first_response(events, session.as_deref(), self.answer_bytes));
                    let answered = tokio::time::timeout(self.answer_timeout, first).await;
                    return answered.map_err(|_| Refusal::new(Reason::Timeout).because("events but no answer"))?;
                }
                Ok(Answer::Events(Box::new(events)).into())
            }
            (status, Media::Json) if status.is_client_error() || self.relays && status.is_server_error() => {
                let bytes = self.read_to_end(head, connection).await?;
                refused(status, bytes, &expected, (message.revision(), self.relays))
            }
            (status, _) => Err(trouble(status)),
        }
    }

    fn stream(&self, head: Head, connection: Box<Connection>, expected: Expected) -> Result<Answered, Refusal> {
        match (head.status, head.media()?) {
            (StatusCode::OK, Media::Events) => {
                Ok(Answer::Events(Box::new(self.events(head, connection, expected))).into())
            }
            (status, _) => Err(trouble(status)),
        }
    }

    fn events(&self, head: Head, connection: Box<Connection>, expected: Expected) -> HttpEvents {
        let body = Standing::new(head, connection, self.pool.idle());
        HttpEvents::new(body, expected, self.answer_bytes, self.answer_timeout)
    }

    async fn ended(&self, head: Head, connection: Box<Connection>) -> Result<Answered, Refusal> {
        let status = head.status;
        self.read_to_end(head, connection).await?;
        if status.is_success() { Ok(Answer::Ended.into()) } else { Err(trouble(status)) }
    }

    /// Lets go of connections that the upstream closed while nobody used them.
    pub(crate) fn sweep(&self) {
        self.pool.sweep();
    }

    /// The whole body, within the limit and what is left of the time; the connection is used again afterwards.
    async fn read_to_end(&self, mut head: Head, mut connection: Box<Connection>) -> Result<Bytes, Refusal> {
        let due = connection.asked() + self.answer_timeout;
        let read = time::by(due, pin!(connection.body(&mut head.framing, self.answer_bytes))).await;
        let bytes = read.map_err(|_| Refusal::new(Reason::Timeout).because("the answer did not end"))??;
        if head.reusable {
            self.pool.idle().give_back(connection);
        }
        Ok(bytes)
    }
}

/// The head of an answer, and the connection on which its body comes.
type Sent = Result<(Head, Box<Connection>), Refusal>;

/// An error that the upstream answered with an HTTP status of its own.
fn refused(
    status: StatusCode,
    bytes: Bytes,
    expected: &Expected,
    (revision, relays): (Revision, bool),
) -> Result<Answered, Refusal> {
    // A legacy 404 says that the session is gone, whatever its body says.
    let known = relays || matches!(status, StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND);
    if !known || status == StatusCode::NOT_FOUND && !revision.is_modern() {
        return Err(trouble(status));
    }
    let bytes = if relays { named(bytes, expected) } else { bytes };
    let mut response = judge::response(bytes, expected).map_err(|_| unavailable(format_args!("{status}, no body")))?;
    response.status = Some(status.as_u16());
    Ok(Answer::Message(response).into())
}

/// An error under the id of its request, where it was said before the id was read: over lines nobody else tells whose it is.
fn named(bytes: Bytes, expected: &Expected) -> Bytes {
    match (json::find(&bytes, 0..bytes.len(), &["id"]), &expected.id) {
        (Some((span, json::Kind::Null)), Some(id)) => replace(&bytes, vec![(span, id)]),
        _ => bytes,
    }
}

/// Whether somebody before the upstream says that it cannot be reached. Any other status is the upstream's own word.
const fn is_a_proxys(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
}

/// What a status without a usable body becomes.
fn trouble(status: StatusCode) -> Refusal {
    match status {
        StatusCode::NOT_FOUND => Refusal::new(Reason::SessionUnknown).because("the upstream does not know the session"),
        StatusCode::METHOD_NOT_ALLOWED => Refusal::new(Reason::MethodNotAllowed).because("the upstream answered 405"),
        StatusCode::NOT_ACCEPTABLE => Refusal::new(Reason::NotAcceptable).because("the upstream answered 406"),
        _ => unavailable(format_args!("the upstream answered {status}")),
    }
}
