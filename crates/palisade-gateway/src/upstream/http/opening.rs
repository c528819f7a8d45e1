//! What an answer to `initialize` says of the session that it opens.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use palisade_guard::message::{Revision, json};
use palisade_guard::refusal::Refusal;

use super::super::{Answer, Answered, Events, Opened, Response, invalid, judge, unavailable};
use super::events::HttpEvents;
use crate::session::Session;
use crate::transport::sse::Event;

/// The session that an answer to `initialize` opens.
pub(super) fn opened(session: Option<&str>, response: &Response) -> Option<Opened> {
    let id = session.filter(|_| response.error.is_none())?;
    let revision = agreed_revision(&response.bytes)?;
    Some(Opened { session: Session::Http(id.into()), revision })
}

/// `result.protocolVersion` of an answer to `initialize`.
pub(crate) fn agreed_revision(bytes: &Bytes) -> Option<Revision> {
    let (span, _) = json::find(bytes, 0..bytes.len(), &["result", "protocolVersion"])?;
    Revision::named(json::text_of(bytes.get(span)?).as_bytes())
}

/// Reads a stream that answers `initialize` up to the response: session and revision must be known before the first
/// byte of the answer's head is sent.
pub(super) async fn first_response(
    mut events: HttpEvents,
    session: Option<&str>,
    limit: usize,
) -> Result<Answered, Refusal> {
    let mut before: Vec<Event> = Vec::new();
    let mut held = 0;
    while let Some(event) = std::future::poll_fn(|context| Pin::new(&mut events).poll_event(context)).await {
        let event = event?;
        if let Ok(judged) = judge::response(event.data.clone(), events.expected()) {
            let opened = opened(session, &judged);
            let answer = if before.is_empty() {
                Answer::Message(judged)
            } else {
                before.push(event);
                Answer::Events(Box::new(Replay(before.into_iter())))
            };
            return Ok(Answered { answer, opened });
        }
        // A priming event promises a resumption that makes no sense before there is a session.
        if event.data.is_empty() {
            continue;
        }
        held += event.data.len();
        if held > limit || before.len() == HELD {
            return Err(invalid("too much before the answer to initialize"));
        }
        before.push(event);
    }
    Err(unavailable("the upstream closed the stream without an answer"))
}

/// Events that may come before the answer to `initialize`.
const HELD: usize = 64;

/// Events that are all here already.
struct Replay(std::vec::IntoIter<Event>);

impl Events for Replay {
    fn poll_event(mut self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Option<Result<Event, Refusal>>> {
        Poll::Ready(self.0.next().map(Ok))
    }
}
