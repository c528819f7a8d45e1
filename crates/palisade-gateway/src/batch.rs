//! A batch (2025-03-26 alone): every message judged, counted and sent by itself, the answers gathered in one stream.
//!
//! The messages run side by side: a cancellation that stands behind its request must reach the server while the
//! request is open. Leaving ends what is still running.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use palisade_guard::arrival::CorrelationId;
use palisade_guard::message::{self, Envelope, Form, Revision};
use palisade_guard::refusal::{Reason, Refusal};
use palisade_guard::validate::Vetted;
use palisade_guard::{authorize, validate};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::idempotency;
use crate::passage::Passage;
use crate::pipeline::{Caller, Door, agreed};
use crate::projected::Projection;
use crate::reply::{self, Reply};
use crate::session::Resumed;
use crate::snapshot::Snapshot;
use crate::time;
use crate::transport::sse::Event;
use crate::upstream::{Answer, Answered, Events, Server};

/// Events of a batch that wait for the client.
const WAITING: usize = 64;

/// Judges and sends every message of a batch.
pub(crate) async fn answer(
    gate: &Arc<Snapshot>,
    passage: &mut Passage,
    caller: &Caller<'_>,
    session: Option<Resumed>,
    envelopes: Vec<Envelope>,
) -> Result<Reply, Refusal> {
    passage.record.facts.set_method("batch");
    passage.fact("parse", must_have_batches(caller, session.as_ref()))?;
    passage.fact("idempotency", idempotency::no_batch(caller))?;
    let Door::One(server) = &caller.door else {
        let refusal = Refusal::new(Reason::NotAMessage).says("no batches here: send one message at a time");
        return passage.fact("parse", Err(refusal));
    };
    let mut judged = Vec::with_capacity(envelopes.len());
    for (place, envelope) in envelopes.into_iter().enumerate() {
        let asks = envelope.form() == Some(Form::Request);
        let id = envelope.id();
        let vetted = judge(gate, passage, (caller, server), session.as_ref(), envelope, place > 0).await;
        passage.record.facts.element(&vetted.as_ref().map(Vetted::message).map_err(Clone::clone));
        judged.push((asks.then_some(id).flatten(), vetted));
    }
    if judged.iter().all(|(id, _)| id.is_none())
        && let Some((_, Err(refusal))) = judged.iter().find(|(_, vetted)| vetted.is_err())
    {
        return passage.fact("parse", Err(refusal.clone()));
    }
    passage.intend(gate).await?;

    let (events, mail) = mpsc::channel(WAITING);
    let asked = judged.iter().any(|(id, _)| id.is_some());
    let correlation = passage.record.facts.correlation;
    let mut tasks = JoinSet::new();
    for (id, vetted) in judged {
        let message = Sending {
            server: Arc::clone(server),
            principal: Arc::clone(caller.principal.id()),
            headers: caller.headers.clone(),
            session: session.clone(),
            id,
            correlation,
            events: events.clone(),
            projection: vetted
                .as_ref()
                .ok()
                .and_then(|vetted| Projection::of(gate, caller.client, &caller.principal, server, vetted.call())),
        };
        tasks.spawn(message.send(vetted));
    }
    drop(events);
    if !asked {
        while tasks.join_next().await.is_some() {}
        return Ok(Reply::Mcp { answer: Answer::Accepted, handle: None });
    }
    Ok(Reply::Batch(Box::new(Gathered { mail, _tasks: tasks })))
}

/// An array in a revision without batches is refused whole: some servers would run it all the same.
fn must_have_batches(caller: &Caller<'_>, session: Option<&Resumed>) -> Result<(), Refusal> {
    let in_header = message::header_revision(caller.headers)?.and_then(Result::ok);
    let revision = session.map(|session| session.revision).or(in_header).unwrap_or(Revision::ASSUMED);
    if revision.has_batches() && in_header.is_none_or(|said| said == revision) {
        return Ok(());
    }
    Err(Refusal::new(Reason::NotAMessage).says("this protocol revision has no batches"))
}

/// The stages of one call, for one message of the batch. Each but the first, which the arrival itself stands for,
/// is counted against the caller's limit.
async fn judge(
    gate: &Arc<Snapshot>,
    passage: &mut Passage,
    (caller, server): (&Caller<'_>, &Arc<Server>),
    session: Option<&Resumed>,
    envelope: Envelope,
    counted: bool,
) -> Result<Vetted, Refusal> {
    let call = agreed(gate, caller, session, envelope, true)?;
    if counted {
        let address = caller.client.address();
        passage.admission = Some(gate.admit(&caller.principal, address, passage.now.monotonic_ms).await?);
    }
    let permit = authorize::call(&gate.asker(&caller.principal, caller.client.address()), &server.name, &call)?;
    // Mirrored headers came with a revision that has no batches.
    validate::call(&[], Some(caller.headers), permit, call)
}

/// One message under way.
struct Sending {
    server: Arc<Server>,
    principal: Arc<str>,
    headers: HeaderMap,
    session: Option<Resumed>,
    id: Option<Bytes>,
    correlation: CorrelationId,
    events: mpsc::Sender<Event>,
    projection: Option<Projection>,
}

impl Sending {
    async fn send(mut self, vetted: Result<Vetted, Refusal>) {
        let answered = match vetted {
            Ok(vetted) => self.forward(&vetted).await,
            Err(refusal) => Err(refusal),
        };
        let result = match answered {
            Ok(Answer::Message(response)) => self.pass(Event::message(response.bytes)).await,
            Ok(Answer::Events(events)) => self.pass_all(events).await,
            Ok(Answer::Accepted | Answer::Ended) => Ok(()),
            Err(refusal) => Err(refusal),
        };
        if let (Err(refusal), Some(id)) = (result, &self.id) {
            let error = reply::message(&refusal, Some(id), self.correlation, time::now());
            drop(self.pass(Event::message(error)).await);
        }
    }

    async fn forward(&mut self, vetted: &Vetted) -> Result<Answer, Refusal> {
        let answered = self.server.forward(vetted, &self.principal, &self.headers, self.session.as_ref()).await;
        let Answered { answer, .. } = answered?;
        match self.projection.take() {
            Some(projection) => projection.answer(answer),
            None => Ok(answer),
        }
    }

    async fn pass_all(&self, events: Box<dyn Events>) -> Result<(), Refusal> {
        let mut events = Box::into_pin(events);
        while let Some(event) = std::future::poll_fn(|context| events.as_mut().poll_event(context)).await {
            self.pass(event?).await?;
        }
        Ok(())
    }

    /// Hands an event to the client; when it has left there is nobody to tell.
    async fn pass(&self, mut event: Event) -> Result<(), Refusal> {
        // Ids of several streams could be equal, and a batch cannot be resumed.
        event.id = None;
        event.retry = None;
        if event.data.is_empty() {
            return Ok(());
        }
        drop(self.events.send(event).await);
        Ok(())
    }
}

/// The events of all messages, as they come. Dropping it stops what is still running.
struct Gathered {
    mail: mpsc::Receiver<Event>,
    _tasks: JoinSet<()>,
}

impl Events for Gathered {
    fn poll_event(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Event, Refusal>>> {
        self.mail.poll_recv(context).map(|event| event.map(Ok))
    }
}
