//! The stage between vetted and sent: a tool call with an `Idempotency-Key` is claimed, and its answer is kept.
//!
//! Of a stream the response is kept, and told again as one message; what came before it (progress, logging) is not. When
//! a stream breaks before the response, the outcome is unknown, also if its client could resume it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use palisade_guard::idempotency::{self, ANSWER_BYTES, End, Recorded};
use palisade_guard::message::{Form, Message, json};
use palisade_guard::refusal::{Reason, Refusal};
use palisade_guard::sign::IDEMPOTENCY_KEY;
use palisade_guard::validate::Vetted;

use crate::lasting::Lasting;
use crate::passage::Passage;
use crate::pipeline::Caller;
use crate::snapshot::Snapshot;
use crate::splice;
use crate::time;
use crate::transport::sse::Event;
use crate::upstream::{Answer, Answered, Events, Expected, Response, Server, judge};

/// What is known of a call before it is sent.
pub(crate) enum Claim {
    /// It was answered before; nothing is sent.
    Answered(Response),
    /// It is to be sent.
    Fresh(Ticket),
}

/// A claim on a call that is to be sent, or nothing where none is needed. Dropped on the way, it says what is known:
/// before the call left that it was not done, and afterwards nothing.
pub(crate) struct Ticket(Option<Open>);

struct Open {
    lasting: Arc<Lasting>,
    claim: [u8; 32],
    sent: bool,
}

/// Claims a call, if it is one of those that are.
pub(crate) async fn claim(
    gate: &Snapshot,
    passage: &mut Passage,
    caller: &Caller<'_>,
    server: &Server,
    vetted: &Vetted,
) -> Result<Claim, Refusal> {
    let Some(message) = vetted.message().filter(|message| is_claimed(message) && !passage.local) else {
        return Ok(Claim::Fresh(Ticket(None)));
    };
    let Some(key) = idempotency::key(caller.headers, caller.principal.signs())? else {
        return Ok(Claim::Fresh(Ticket(None)));
    };
    let deed = idempotency::deed(caller.principal.id(), &server.name, message, key);
    let claim = deed.claim;
    let found = gate.lasting.claims.claim(deed, time::now().unix_ms).await;
    match idempotency::judge(found)? {
        None => Ok(Claim::Fresh(Ticket(Some(Open { lasting: Arc::clone(&gate.lasting), claim, sent: false })))),
        Some(recorded) => {
            passage.replayed = true;
            Ok(Claim::Answered(again(recorded, message)))
        }
    }
}

fn is_claimed(message: &Message) -> bool {
    message.is("tools/call") && message.form() == Some(Form::Request)
}

/// A recorded answer, under the id of the request that asks for it now.
fn again(recorded: Recorded, message: &Message) -> Response {
    let Recorded { bytes, error } = recorded;
    let span = json::find(&bytes, 0..bytes.len(), &["id"]).map(|(span, _)| span);
    let places = span.zip(message.id()).into_iter().collect();
    Response { bytes: splice::replace(&bytes, places), error, status: None }
}

impl Ticket {
    /// From here on the upstream may have acted.
    pub(crate) fn sent(&mut self) {
        if let Some(open) = &mut self.0 {
            open.sent = true;
        }
    }

    /// Notes what became of the call, and hands it on.
    pub(crate) async fn settle(
        self,
        vetted: &Vetted,
        answered: Result<Answered, Refusal>,
    ) -> Result<Answered, Refusal> {
        let (Some(open), Some(message)) = (self.0, vetted.message()) else { return answered };
        match answered {
            Ok(Answered { answer: Answer::Message(response), opened }) => {
                open.end(kept(&response)).await;
                Ok(Answered { answer: Answer::Message(response), opened })
            }
            Ok(Answered { answer: Answer::Events(events), opened }) => {
                let expected = Expected::by(message);
                let recording = Recording { events: Box::into_pin(events), open: Some(open), expected };
                Ok(Answered { answer: Answer::Events(Box::new(recording)), opened })
            }
            Err(refusal) => {
                open.end(if is_undone(&refusal) { End::Undone } else { End::Unknown }).await;
                Err(refusal)
            }
            // A request has one of the answers above.
            other => other,
        }
    }
}

/// Whether a call that could not be forwarded reached nobody.
fn is_undone(refusal: &Refusal) -> bool {
    use Reason::{NoCapacity, SessionMissing, SessionUnknown, UnsupportedRevision};
    refusal.is_undone()
        || matches!(refusal.reason(), NoCapacity | SessionMissing | SessionUnknown | UnsupportedRevision)
}

/// What has a key, or is signed, is sent by itself: of a batch nobody could say which message the key is for.
pub(crate) fn no_batch(caller: &Caller<'_>) -> Result<(), Refusal> {
    if caller.principal.signs() || caller.headers.contains_key(&IDEMPOTENCY_KEY) {
        let refusal = Refusal::new(Reason::IdempotencyKeyInvalid).at("Idempotency-Key");
        return Err(refusal.says("no batches with a signature or an Idempotency-Key: send one message at a time"));
    }
    Ok(())
}

fn kept(response: &Response) -> End {
    if response.bytes.len() > ANSWER_BYTES {
        return End::Unkept;
    }
    // Copied: what is kept for a day must not hold a buffer that is larger.
    End::Answered(Recorded { bytes: response.bytes.to_vec().into(), error: response.error })
}

impl Open {
    /// Says what became of it. What cannot be written down is unknown, and stays so.
    async fn end(mut self, end: End) {
        let settled = self.settle(end);
        if settled.await.is_err() {
            tracing::error!("the outcome of a call is not written down yet: until it is, the call counts as under way");
        }
    }

    fn settle(&mut self, end: End) -> idempotency::Answer<()> {
        self.sent = false;
        let settled = self.lasting.claims.settle(std::mem::take(&mut self.claim), end, time::now().unix_ms);
        // Nothing is left to be said when this is dropped.
        self.claim = [0; 32];
        settled
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.claim == [0; 32] {
            return;
        }
        let end = if self.sent { End::Unknown } else { End::Undone };
        let settled = self.settle(end);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(settled);
        }
    }
}

/// A stream whose response is kept when it passes.
struct Recording {
    events: Pin<Box<dyn Events>>,
    open: Option<Open>,
    expected: Expected,
}

impl Events for Recording {
    fn poll_event(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Event, Refusal>>> {
        let polled = self.events.as_mut().poll_event(context);
        if let Poll::Ready(Some(Ok(event))) = &polled
            && !event.data.is_empty()
            && self.open.is_some()
            && let Ok(response) = judge::response(event.data.clone(), &self.expected)
            && let Some(open) = self.open.take()
        {
            tokio::spawn(open.end(kept(&response)));
        }
        polled
    }
}
