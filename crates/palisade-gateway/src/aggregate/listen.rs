//! `subscriptions/listen` of the aggregate: one stream for the caller, and behind it one with each modern server that has
//! something to say to it. A server's stream that ends is asked for again; the caller's ends when the caller leaves.

use std::collections::VecDeque;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use palisade_guard::message::json::{self, Kind as JsonKind};
use palisade_guard::message::{Envelope, Message, Shape};
use palisade_guard::naming::Addressed;
use palisade_guard::refusal::{Reason, Refusal};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use super::home::Home;
use super::opening::unite;
use super::standing::{AGAIN, WAITING};
use super::tasks;
use super::visit::{Visit, Way, known};
use crate::passage::Passage;
use crate::reply::Reply;
use crate::splice::replace;
use crate::transport::sse::Event;
use crate::upstream::catalog::Kind;
use crate::upstream::judge::{self, BOUNDS};
use crate::upstream::{Answer, Events, Server};

const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";
const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";

/// Answers it. The first message says what is honoured: by the servers that said so in time.
pub(super) async fn listen(passage: &mut Passage, visit: &Visit, message: &Message) -> Result<Reply, Refusal> {
    passage.intend(&visit.gate).await?;
    if message.param(&["notifications", "resourceSubscriptions"]).is_some() {
        visit.settle(Kind::Resources).await;
    }
    let (sender, mail) = mpsc::channel(WAITING);
    let (honours, mut honoured) = mpsc::channel(visit.servers.len().max(1));
    for (place, server) in visit.servers.iter().enumerate() {
        let Some(bytes) = part(visit, message, place) else { continue };
        let method = message.method_name().unwrap_or_default();
        let stream = Stream { visit: visit.clone(), server: Arc::clone(server), bytes, place, method: method.into() };
        let (to, honours) = (sender.clone(), honours.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = stream.follow(&to, honours) => {}
                () = to.closed() => {}
            }
        });
    }
    drop(honours);
    let mut all = json!({});
    // Each has the whole time, side by side.
    let gathering = async {
        while let Some(theirs) = honoured.recv().await {
            unite(&mut all, &theirs);
        }
    };
    let in_time = tokio::time::timeout(visit.patience(), gathering).await;
    if in_time.is_err() {
        tracing::warn!("a subscription begins without the servers that did not acknowledge it in time");
    }
    let id = message.id().unwrap_or_default();
    let first = format!(
        r#"{{"jsonrpc":"2.0","method":"{ACKNOWLEDGED}","params":{{"_meta":{{"{SUBSCRIPTION}":{}}},"notifications":{all}}}}}"#,
        String::from_utf8_lossy(&id)
    );
    let first = VecDeque::from([Event::message(Bytes::from(first))]);
    Ok(Answer::Events(Box::new(Listening { first, mail, _open: sender })).into())
}

/// The message for one server: its own resources and tasks alone. `None` where nothing is left to listen to.
fn part(visit: &Visit, message: &Message, place: usize) -> Option<Bytes> {
    let bytes = message.bytes();
    let (wanted, _) = message.param(&["notifications"])?;
    let outline = json::scan(bytes.get(wanted.clone())?, BOUNDS).ok()?;
    let text = bytes.get(wanted.clone())?;
    let mut asks = false;
    let mut places: Vec<(Range<usize>, String)> = Vec::new();
    for (index, member) in outline.children(None) {
        if member.kind != JsonKind::Array {
            asks |= text.get(member.value.clone()) == Some(b"true");
            continue;
        }
        let names = outline.children(Some(index)).filter(|(_, name)| name.kind == JsonKind::String);
        let names = names.filter_map(|(_, name)| text.get(name.value.clone())).map(json::text_of);
        let is_tasks = outline.key(text, member) == b"taskIds";
        let theirs: Vec<String> = names.filter_map(|name| theirs(visit, place, &name, is_tasks)).collect();
        asks |= !theirs.is_empty();
        let span = wanted.start + member.value.start..wanted.start + member.value.end;
        places.push((span, Value::from(theirs).to_string()));
    }
    asks.then(|| replace(bytes, places))
}

/// The name of a resource or task on the server at this place, if it is that server's.
fn theirs(visit: &Visit, place: usize, name: &str, task: bool) -> Option<String> {
    if task {
        let (server, id) = tasks::opened(visit, name).ok()?;
        return visit.servers.get(place).is_some_and(|own| own.name == server.name).then_some(id);
    }
    match visit.names(Kind::Resources).view().address(name) {
        Addressed::One { server, name } if server == place => Some(name.to_owned()),
        _ => None,
    }
}

/// The stream with one server.
struct Stream {
    visit: Visit,
    server: Arc<Server>,
    bytes: Bytes,
    place: usize,
    method: Box<str>,
}

impl Stream {
    /// Follows it for as long as there is use in it.
    async fn follow(&self, to: &mpsc::Sender<Event>, honours: mpsc::Sender<Value>) {
        // Only a modern server has such streams.
        if !known(&self.server).await.is_ok_and(|reading| reading.modern) {
            return;
        }
        let mut honours = Some(honours);
        let mut wait = AGAIN.0;
        loop {
            match self.once(to, &mut honours).await {
                Ok(true) => wait = AGAIN.0,
                Ok(false) => return,
                Err(refusal) if matches!(refusal.reason(), Reason::BackendUnavailable | Reason::Timeout) => {
                    wait = (wait * 2).min(AGAIN.1);
                }
                Err(refusal) => {
                    tracing::debug!(server = %self.server.name, cause = refusal.cause_for_log(), "the server has no subscriptions");
                    return;
                }
            }
            // Whoever waits for the first word need not wait for a second try.
            honours = None;
            tokio::time::sleep(wait).await;
        }
    }

    /// One stream to its end: whether to ask for another one.
    async fn once(&self, to: &mpsc::Sender<Event>, honours: &mut Option<mpsc::Sender<Value>>) -> Result<bool, Refusal> {
        let way = Way::Modern;
        let headers = self.visit.headers(&way, &self.method, None);
        let call = self.visit.judged(&headers, None, self.bytes.clone())?;
        let answered = self.visit.send(&self.server, &headers, None, call).await?;
        let Answer::Events(events) = answered.answer else { return Ok(false) };
        let mut events = Box::into_pin(events);
        let mut home = Home::of(&self.visit, &self.server, &way);
        while let Some(event) = std::future::poll_fn(|context| events.as_mut().poll_event(context)).await {
            let event = event?;
            if event.data.is_empty() {
                continue;
            }
            let Ok(envelope) = judge::read(event.data.clone()) else { continue };
            let Some(method) = method_of(&envelope) else {
                // The response ends the subscription: the server goes away, or does not want it.
                return Ok(matches!(envelope.shape, Shape::Response { error: None, .. }));
            };
            if method == ACKNOWLEDGED {
                if let Some(honours) = honours.take() {
                    let _nobody_waits = honours.try_send(self.honoured(&event.data));
                }
                continue;
            }
            if let Some(event) = home.event(event)
                && to.send(event).await.is_err()
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What the server honours, in the caller's names.
    fn honoured(&self, acknowledgement: &Bytes) -> Value {
        let found = json::find(acknowledgement, 0..acknowledgement.len(), &["params", "notifications"]);
        let found = found.and_then(|(span, _)| acknowledgement.get(span));
        let theirs: Map<String, Value> = found.and_then(|text| serde_json::from_slice(text).ok()).unwrap_or_default();
        let names = self.visit.names(Kind::Resources);
        let names = names.view();
        let ours = theirs.into_iter().map(|(name, value)| match value {
            Value::Array(list) => {
                let list = list.iter().filter_map(Value::as_str).map(|item| {
                    if name == "taskIds" {
                        tasks::seal(&self.visit, &self.server, item).unwrap_or_default()
                    } else {
                        names.shown(self.place, item)
                    }
                });
                (name.clone(), list.collect())
            }
            value => (name, value),
        });
        Value::Object(ours.collect())
    }
}

fn method_of(envelope: &Envelope) -> Option<&str> {
    match &envelope.shape {
        Shape::Request { method, .. } | Shape::Notification { method } => Some(method),
        Shape::Response { .. } => None,
    }
}

/// What the servers say, after what is honoured. Dropping it stops listening to them.
struct Listening {
    first: VecDeque<Event>,
    mail: mpsc::Receiver<Event>,
    /// The stream stays open although every server's may have ended: they may come back.
    _open: mpsc::Sender<Event>,
}

impl Events for Listening {
    fn poll_event(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Event, Refusal>>> {
        if let Some(first) = self.first.pop_front() {
            return Poll::Ready(Some(Ok(first)));
        }
        self.mail.poll_recv(context).map(|event| event.map(Ok))
    }
}
