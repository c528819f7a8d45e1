//! A Streamable HTTP server behind the gateway.
//!
//! 1. The body goes out byte for byte as it was judged; the headers are those of an allow list, the operator's own,
//!    and the upstream's session, never the caller's credential.
//! 2. Nothing comes back but what was read and understood: one JSON-RPC response, or events that are judged one by one.
//! 3. An upstream's status is passed on only where the protocol gives it a meaning for the caller. What it says about
//!    *our* credentials, redirects or its own trouble is ours to log and the caller's `MCP-003`.

mod bell;
mod connection;
mod events;
mod forgotten;
mod head;
mod open;
mod opening;
mod own;
mod pool;
mod prelude;
mod signing;
mod standing;
pub(crate) mod tls;

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use palisade_guard::edge;
use palisade_guard::message::headers::SESSION;
use palisade_guard::message::{Call, Message, Revision};
use palisade_guard::refusal::{Reason, Refusal};
use palisade_guard::sign::Signer;
use palisade_guard::validate::Vetted;

use super::breaker::{self, Breaker};
use super::{Answer, Answered, Expected, Opened, invalid, judge, unavailable};
use crate::descriptors::Descriptors;
use crate::session::{Resumed, Session};
use crate::transport::collect::{Broken, collect};
use connection::Connection;
use events::HttpEvents;
use forgotten::Sessions;
use open::OpenStreams;
pub(crate) use opening::agreed_revision;
use opening::{first_response, opened};
use pool::Pool;

/// One HTTP upstream.
pub(crate) struct HttpUpstream {
    pool: Pool,
    open: OpenStreams,
    sessions: Sessions,
    breaker: Breaker,
    path: Uri,
    host: HeaderValue,
    /// The operator's headers, credentials of the gateway among them.
    own: Vec<(HeaderName, HeaderValue)>,
    signer: Option<Signer>,
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
            path: path.parse().map_err(io::Error::other)?,
            host: HeaderValue::from_str(&authority).map_err(io::Error::other)?,
            own: settings.own,
            signer: settings.signer,
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
        let (response, connection) = self.sent_in(session, &method, body, headers, repeatable).await?;
        match vetted.call() {
            Call::Message(message) => {
                let answered = self.answer(message, expected, response, connection).await?;
                if let Some(Opened { session: Session::Http(id), .. }) = &answered.opened {
                    self.sessions.keep(principal, id, message.bytes(), &message.id().unwrap_or_default());
                }
                Ok(self.open.follow(message, session, answered))
            }
            Call::Stream { .. } => self.stream(response, connection, expected),
            Call::End => {
                if let Some(Resumed { session: Session::Http(id), .. }) = session {
                    self.sessions.forget(id);
                }
                Box::pin(self.ended(response, connection)).await
            }
        }
    }

    /// Boxed: connecting and sending hold the largest part of a call's state, and its own future is moved.
    fn sent(&self, request: Request<Full<Bytes>>) -> Pin<Box<dyn Future<Output = Sent> + Send + '_>> {
        Box::pin(async move {
            let attempt = self.breaker.enter()?;
            let Ok(sent) = tokio::time::timeout(self.answer_timeout, self.pool.send(request)).await else {
                attempt.was_late();
                return Err(Refusal::new(Reason::Timeout).because("no answer began"));
            };
            attempt.tell(sent.as_ref().is_ok_and(|(response, _)| !is_a_proxys(response.status())));
            sent
        })
    }

    /// Whether calls reach it, as far as the last ones tell.
    pub(crate) fn is_available(&self) -> bool {
        !self.breaker.is_open()
    }

    fn request(
        &self,
        method: &Method,
        body: &Bytes,
        headers: &HeaderMap,
        session: Option<&Resumed>,
    ) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = method.clone();
        *request.uri_mut() = self.path.clone();
        let out = request.headers_mut();
        out.reserve(16);
        for (name, value) in edge::strip::upstream_headers(headers) {
            out.append(name.clone(), value.clone());
        }
        out.insert(HOST, self.host.clone());
        out.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        out.entry(ACCEPT).or_insert(HeaderValue::from_static("application/json, text/event-stream"));
        if let Some(Resumed { session: Session::Http(id), .. }) = session
            && let Some(id) = self.sessions.now(id)
        {
            out.insert(&SESSION, id);
        }
        for (name, value) in &self.own {
            out.insert(name.clone(), value.clone());
        }
        if let Some(signer) = &self.signer {
            signing::sign(signer, &mut request, headers, body);
        }
        request
    }

    async fn answer(
        &self,
        message: &Message,
        expected: Expected,
        response: http::Response<Incoming>,
        connection: Connection,
    ) -> Result<Answered, Refusal> {
        let (head, body) = response.into_parts();
        let wanted = expected.id.is_some() && message.method_name().is_some();
        let media = media(&head.headers)?;
        match (head.status, media) {
            (StatusCode::OK | StatusCode::ACCEPTED | StatusCode::NO_CONTENT, _) if !wanted => {
                self.read_to_end(body, connection).await?;
                Ok(Answer::Accepted.into())
            }
            (StatusCode::OK, Media::Json) => {
                let bytes = self.read_to_end(body, connection).await?;
                let response = judge::response(bytes, &expected)?;
                let opened = if message.is("initialize") { opened(&head.headers, &response) } else { None };
                Ok(Answered { answer: Answer::Message(response), opened })
            }
            (StatusCode::OK, Media::Events) => {
                let body = connection.outlive(&head.headers, body);
                let events = HttpEvents::new(body, expected, self.answer_bytes, self.answer_timeout);
                if message.is("initialize") {
                    let first = Box::pin(first_response(events, &head.headers, self.answer_bytes));
                    let answered = tokio::time::timeout(self.answer_timeout, first).await;
                    return answered.map_err(|_| Refusal::new(Reason::Timeout).because("events but no answer"))?;
                }
                Ok(Answer::Events(Box::new(events)).into())
            }
            (status, Media::Json) if status.is_client_error() => {
                let bytes = self.read_to_end(body, connection).await?;
                refused(status, bytes, &expected, message.revision())
            }
            (status, _) => Err(trouble(status)),
        }
    }

    fn stream(
        &self,
        response: http::Response<Incoming>,
        connection: Connection,
        expected: Expected,
    ) -> Result<Answered, Refusal> {
        match (response.status(), media(response.headers())?) {
            (StatusCode::OK, Media::Events) => {
                let (head, body) = response.into_parts();
                let body = connection.outlive(&head.headers, body);
                let events = HttpEvents::new(body, expected, self.answer_bytes, self.answer_timeout);
                Ok(Answer::Events(Box::new(events)).into())
            }
            (status, _) => Err(trouble(status)),
        }
    }

    async fn ended(&self, response: http::Response<Incoming>, connection: Connection) -> Result<Answered, Refusal> {
        let status = response.status();
        self.read_to_end(response.into_body(), connection).await?;
        if status.is_success() { Ok(Answer::Ended.into()) } else { Err(trouble(status)) }
    }

    /// Lets go of connections that the upstream closed while nobody used them.
    pub(crate) fn sweep(&self) {
        self.pool.sweep();
    }

    /// The whole body, within the limit and what is left of the time; the connection is used again afterwards.
    async fn read_to_end(&self, body: Incoming, mut connection: Connection) -> Result<Bytes, Refusal> {
        let due = connection.asked() + self.answer_timeout;
        let read = tokio::time::timeout_at(due, connection.read(collect(body, self.answer_bytes))).await;
        let read = read.map_err(|_| Refusal::new(Reason::Timeout).because("the answer did not end"))?;
        let bytes = read.map_err(|broken| match broken {
            Broken::TooLarge(_) => invalid("the answer is beyond limits.answer"),
            Broken::Ended(error) => unavailable(error),
        })?;
        self.pool.give_back(connection);
        Ok(bytes)
    }
}

/// A response that began, and the connection it came on.
type Sent = Result<(http::Response<Incoming>, Connection), Refusal>;

#[derive(Clone, Copy)]
enum Media {
    Json,
    Events,
    Other,
}

/// What a response claims to be. An encoded one is refused: what is not read is not passed on.
fn media(headers: &HeaderMap) -> Result<Media, Refusal> {
    if headers.get_all(CONTENT_ENCODING).iter().any(|encoding| encoding != "identity") {
        return Err(invalid("the upstream encoded its answer although identity was asked for"));
    }
    let Some(value) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return Ok(Media::Other);
    };
    let essence = value.split(';').next().unwrap_or_default().trim();
    Ok(match essence {
        _ if essence.eq_ignore_ascii_case("application/json") => Media::Json,
        _ if essence.eq_ignore_ascii_case("text/event-stream") => Media::Events,
        _ => Media::Other,
    })
}

/// An error that the upstream answered with an HTTP status of its own.
fn refused(status: StatusCode, bytes: Bytes, expected: &Expected, revision: Revision) -> Result<Answered, Refusal> {
    // A legacy 404 says that the session is gone, whatever its body says.
    let known = matches!(status, StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND);
    if !known || status == StatusCode::NOT_FOUND && !revision.is_modern() {
        return Err(trouble(status));
    }
    let mut response = judge::response(bytes, expected).map_err(|_| unavailable(format_args!("{status}, no body")))?;
    response.status = Some(status.as_u16());
    Ok(Answer::Message(response).into())
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
