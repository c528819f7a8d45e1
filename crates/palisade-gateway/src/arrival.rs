//! Reading what a request carries, within its bounds.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, EXPECT};
use http::{HeaderMap, Method, request};
use hyper::body::Incoming;
use palisade_guard::message::{self, Body as Messages, Call, Form, Message, Revision, headers};
use palisade_guard::refusal::{Reason, Refusal};

use crate::passage::Passage;
use crate::session::Resumed;
use crate::snapshot::Snapshot;
use crate::time;
use crate::transport::collect::{Broken, collect};
use crate::transport::http::Content;
use crate::upstream::{Server, Upstream};

/// A body of another type is refused: a page can send `text/plain` anywhere without asking (CVE-2026-33252).
fn must_be_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let media = types.next().and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media.split(';').next().unwrap_or_default().trim();
    if types.next().is_some() || !essence.eq_ignore_ascii_case("application/json") {
        return Err(Refusal::new(Reason::UnsupportedMediaType).at("Content-Type"));
    }
    if headers.get_all(CONTENT_ENCODING).iter().any(|encoding| encoding != "identity") {
        return Err(Refusal::new(Reason::UnsupportedMediaType).at("Content-Encoding"));
    }
    Ok(())
}

/// HTTP/1.1 wants `Host` also beside an absolute target (RFC 9112 section 3.2).
pub(crate) fn must_name_a_host(head: &request::Parts) -> Result<(), Refusal> {
    if head.version == http::Version::HTTP_11 && !head.headers.contains_key(http::header::HOST) {
        return Err(Refusal::new(Reason::HostMalformed).at("Host"));
    }
    Ok(())
}

/// Where the gateway itself is the server (a line-speaking upstream), a client must take both forms of an answer. An
/// HTTP upstream judges that by itself.
pub(crate) fn must_accept(server: &Server, headers: &HeaderMap, call: &Call) -> Result<(), Refusal> {
    match (&server.upstream, call) {
        (Upstream::Http(_), _) | (_, Call::End) => Ok(()),
        (_, Call::Stream { .. }) => must_accept_events(headers),
        (_, Call::Message(message)) => must_accept_both(headers, message),
    }
}

/// An answer can be one response or a stream.
pub(crate) fn must_accept_both(headers: &HeaderMap, message: &Message) -> Result<(), Refusal> {
    match message.form() {
        Some(Form::Request) if !accepts(headers, "application/json") => {
            Err(Refusal::new(Reason::NotAcceptable).at("Accept"))
        }
        Some(Form::Request) => must_accept_events(headers),
        _ => Ok(()),
    }
}

/// An answer is a stream.
pub(crate) fn must_accept_events(headers: &HeaderMap) -> Result<(), Refusal> {
    if accepts(headers, "text/event-stream") { Ok(()) } else { Err(Refusal::new(Reason::NotAcceptable).at("Accept")) }
}

fn accepts(headers: &HeaderMap, wanted: &str) -> bool {
    let ranges = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut ranges = ranges.flat_map(|value| value.split(','));
    ranges.any(|range| {
        let essence = range.split(';').next().unwrap_or_default().trim();
        essence == "*/*" || essence.eq_ignore_ascii_case(wanted)
    })
}

/// The messages of a body and its length: read within the bounds, unless they came as a line, which was read already.
pub(crate) async fn messages(
    gate: &Snapshot,
    body: Content,
    headers: &HeaderMap,
) -> Result<(usize, Result<Messages, Refusal>), Refusal> {
    let body = match body {
        Content::Wire(body) => body,
        Content::Read(bytes) => {
            must_be_json(headers)?;
            return Ok((bytes.len(), message::read(&gate.message, bytes)));
        }
        Content::Line(bytes, read) => return Ok((bytes, read)),
        Content::Nothing => return Ok((0, message::read(&gate.message, Bytes::new()))),
    };
    must_be_json(headers)?;
    let bytes = read(gate, body, headers, (gate.body_bytes, BODY)).await?;
    Ok((bytes.len(), message::read(&gate.message, bytes)))
}

/// A body that nobody reads, up to here, is let come.
const UNREAD: usize = 64 * 1024;
/// For so long.
const UNREAD_FOR: Duration = Duration::from_millis(500);

/// Lets a small body come before its request is refused unread. Many clients send it behind the head, and hyper closes a
/// connection on which one is still on its way: whoever kept the connection would lose the next request.
pub(crate) async fn let_come(body: Content, headers: &HeaderMap) {
    if let Content::Wire(body) = body
        && !headers.contains_key(EXPECT)
    {
        drop(time::within(UNREAD_FOR, pin!(collect(body, UNREAD))).await);
    }
}

/// The body of a request to the administration, within a limit of its own; it may be missing.
pub(crate) async fn document(
    gate: &Snapshot,
    body: Content,
    headers: &HeaderMap,
    limit: usize,
) -> Result<Bytes, Refusal> {
    if headers.contains_key(CONTENT_TYPE) {
        must_be_json(headers)?;
    }
    let bytes = match body {
        Content::Wire(body) => read(gate, body, headers, (limit, BODY)).await?,
        Content::Read(bytes) if bytes.len() > limit => {
            return Err(too_large(limit, u64::try_from(bytes.len()).unwrap_or(u64::MAX), BODY));
        }
        Content::Read(bytes) => bytes,
        Content::Line(..) | Content::Nothing => return Ok(Bytes::new()),
    };
    if !bytes.is_empty() {
        must_be_json(headers)?;
    }
    Ok(bytes)
}

const BODY: &str = "the body is too large (limits.body)";

/// The body of a signed request, which must be read before anything is known of its sender. It stays where it was.
pub(crate) async fn whole(gate: &Snapshot, body: &mut Content, headers: &HeaderMap) -> Result<Bytes, Refusal> {
    let bytes = match std::mem::replace(body, Content::Nothing) {
        Content::Wire(body) => {
            let limit = gate.signed_body_bytes.min(gate.body_bytes);
            read(gate, body, headers, (limit, "the body is too large (limits.signed_body)")).await?
        }
        Content::Read(bytes) => bytes,
        // Lines are not signed.
        other => {
            *body = other;
            return Ok(Bytes::new());
        }
    };
    *body = Content::Read(bytes.clone());
    Ok(bytes)
}

/// The whole body, counted as it is read.
async fn read(
    gate: &Snapshot,
    body: Incoming,
    headers: &HeaderMap,
    (limit, words): (usize, &'static str),
) -> Result<Bytes, Refusal> {
    let announced =
        headers.get(http::header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if let Some(length) = announced.filter(|length| *length > limit.try_into().unwrap_or(u64::MAX)) {
        return Err(too_large(limit, length, words));
    }
    let collected = time::within(gate.timeouts.body, pin!(collect(body, limit))).await;
    let late = |_| Refusal::new(Reason::BodyTimeout).says("the body did not arrive in time (timeouts.body)");
    collected.map_err(late)?.map_err(|broken| match broken {
        Broken::TooLarge(read) => too_large(limit, u64::try_from(read).unwrap_or(u64::MAX), words),
        Broken::Ended(error) => Refusal::new(Reason::NotJson).says("the body ended early").because(error),
    })
}

fn too_large(limit: usize, actual: u64, words: &'static str) -> Refusal {
    Refusal::new(Reason::PayloadTooLarge).says(words).limit(limit.try_into().unwrap_or(u64::MAX), actual)
}

/// GET and DELETE: the legacy stream and the end of a legacy session.
pub(crate) fn without_body(method: &Method, headers: &HeaderMap, session: Option<&Resumed>) -> Result<Call, Refusal> {
    let revision = match message::header_revision(headers)? {
        Some(Ok(revision)) if revision.is_modern() => return Err(Refusal::new(Reason::MethodNotAllowed)),
        Some(Err(_)) => {
            return Err(Refusal::new(Reason::UnsupportedRevision).at("MCP-Protocol-Version"));
        }
        Some(Ok(revision)) => Some(revision),
        None => None,
    };
    if let (Some(said), Some(session)) = (revision, session)
        && said != session.revision
    {
        let words = format!("this session speaks {}", session.revision.name());
        return Err(Refusal::new(Reason::UnsupportedRevision).says(words).at("MCP-Protocol-Version"));
    }
    if *method == Method::DELETE {
        return if session.is_some() { Ok(Call::End) } else { Err(Refusal::new(Reason::SessionMissing)) };
    }
    let after = headers::single(headers, &headers::LAST_EVENT)?;
    let after = after.map(|value| value.to_str().map(Box::from)).transpose();
    let after = after.map_err(|_| Refusal::new(Reason::InvalidParams).at("Last-Event-ID"))?;
    Ok(Call::Stream { after })
}

/// Finds the id of a request that is refused before it is judged, so that its client can match the refusal.
pub(crate) async fn learn_id(gate: &Snapshot, passage: &mut Passage, head: &request::Parts, body: Content) {
    if head.method == Method::POST
        && let Ok((_, Ok(Messages::One(envelope)))) = messages(gate, body, &head.headers).await
    {
        passage.answer_under(&envelope);
    }
}

/// What a request without any sign of its era is taken for.
pub(crate) fn speaks_modern(headers: &HeaderMap) -> bool {
    matches!(message::header_revision(headers), Ok(Some(Ok(Revision::V2026_07_28))))
}

/// Runs a future to its end; a panic inside it ends this call and nothing else.
pub(crate) async fn catch<F: Future>(future: F) -> Result<F::Output, Box<dyn Any + Send>> {
    let mut future = pin!(future);
    std::future::poll_fn(move |context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}
