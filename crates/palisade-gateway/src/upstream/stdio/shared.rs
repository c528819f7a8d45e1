//! A modern server on stdio: one child for all callers.
//!
//! Callers choose their ids, progress tokens and subscriptions freely, so two may choose the same. On the way in each
//! is replaced by a number of ours, on the way out the caller's own is put back; nothing else of a message is touched.
//! What belongs to no open request reaches nobody: it could reach the wrong caller (GHSA-345p-7cg4-v4c7).

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use palisade_guard::message::{Envelope, Message, Shape, json};
use palisade_guard::refusal::{Reason, Refusal};

use super::super::{Answer, invalid, judge};
use super::link::{Link, Listener};
use super::mailbox::{Mail, Mailbox, Sink, gone, mailbox};
use crate::splice::replace;
use crate::transport::sse::Event;

const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// A running server that several callers share.
pub(super) struct SharedServer {
    link: Link,
    waiting: Arc<Waiting>,
}

#[derive(Default)]
pub(super) struct Waiting(Mutex<Table>);

#[derive(Default)]
struct Table {
    next: u64,
    requests: HashMap<u64, Request>,
    users: Users,
    ended: bool,
}

/// Who has used this child. What it says without naming a request may be about any of them.
#[derive(Default)]
enum Users {
    #[default]
    Nobody,
    One(Arc<str>),
    Several,
}

struct Request {
    id: Bytes,
    token: Option<Bytes>,
    sink: Sink,
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SharedServer {
    /// Starts a server; `start` starts its child with the listener it is given.
    pub(super) fn start(start: impl FnOnce(ChildListener) -> std::io::Result<Link>) -> std::io::Result<Self> {
        let waiting = Arc::new(Waiting::default());
        let link = start(ChildListener { waiting: Arc::clone(&waiting) })?;
        Ok(Self { link, waiting })
    }

    /// Whether its child has gone.
    pub(super) fn has_ended(&self) -> bool {
        self.waiting.lock().ended || self.link.is_closed()
    }

    /// Sends a request and waits for its answer's beginning.
    pub(super) async fn request(
        &self,
        message: &Message,
        principal: &Arc<str>,
        patience: Duration,
    ) -> Result<Answer, Refusal> {
        self.waiting.lock().used_by(principal);
        let id = message.id_span().cloned().unwrap_or_default();
        // A subscription is silent for as long as nothing happens.
        let silence = (!message.is("subscriptions/listen")).then_some(patience);
        self.exchange(message.bytes(), id, message.progress_token(), silence, patience).await?.answer().await
    }

    /// The same for a message of the gateway's own.
    pub(super) async fn exchange(
        &self,
        bytes: &Bytes,
        id: Range<usize>,
        token: Option<Range<usize>>,
        silence: Option<Duration>,
        patience: Duration,
    ) -> Result<Mailbox<Cancel>, Refusal> {
        let number = {
            let mut table = self.waiting.lock();
            table.next += 1;
            table.next
        };
        let cancel = Cancel { number, waiting: Arc::clone(&self.waiting), link: self.link.clone() };
        let (sink, mailbox) = mailbox(cancel, silence);
        {
            let mut table = self.waiting.lock();
            if table.ended {
                return Err(gone());
            }
            // Copied: an open request must not hold the buffer in which it came.
            let copied = |span: &Range<usize>| Bytes::copy_from_slice(bytes.get(span.clone()).unwrap_or_default());
            table.requests.insert(number, Request { id: copied(&id), token: token.as_ref().map(copied), sink });
        }
        let own = number.to_string();
        let mut places = vec![(id, own.as_bytes())];
        places.extend(token.map(|span| (span, own.as_bytes())));
        self.send(replace(bytes, places), patience).await?;
        Ok(mailbox)
    }

    /// A server that does not read within the patience serves nobody: the next caller gets a new one.
    async fn send(&self, bytes: Bytes, patience: Duration) -> Result<(), Refusal> {
        match tokio::time::timeout(patience, self.link.send(bytes)).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(gone()),
            Err(_) => {
                self.waiting.lock().ended = true;
                Err(Refusal::new(Reason::Timeout).because("the server does not read"))
            }
        }
    }

    /// Sends a notification as it is.
    pub(super) async fn notify(&self, message: &Message, patience: Duration) -> Result<Answer, Refusal> {
        self.send(message.bytes().clone(), patience).await?;
        Ok(Answer::Accepted)
    }
}

/// Tells the server that nobody wants an answer any more: on stdio a client must say so (2026-07-28, cancellation).
pub(super) struct Cancel {
    number: u64,
    waiting: Arc<Waiting>,
    link: Link,
}

impl Drop for Cancel {
    fn drop(&mut self) {
        if self.waiting.lock().requests.remove(&self.number).is_some() {
            let number = self.number;
            let text = format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{number},"reason":"the client left"}}}}"#
            );
            self.link.send_later(Bytes::from(text));
        }
    }
}

/// Hears a shared child.
pub(super) struct ChildListener {
    waiting: Arc<Waiting>,
}

impl Listener for ChildListener {
    fn line(&mut self, line: Bytes) {
        // Read before the lock is taken: callers wait for it.
        if let Err(refusal) = judge::read(line).and_then(|envelope| self.waiting.lock().line(&envelope)) {
            tracing::warn!(cause = refusal.cause_for_log(), "dropped a line of the server");
        }
    }

    fn ended(&mut self) {
        let mut table = self.waiting.lock();
        table.ended = true;
        for (_, request) in table.requests.drain() {
            request.sink.send(Mail::Failed(gone()));
        }
    }
}

impl Table {
    fn used_by(&mut self, principal: &Arc<str>) {
        match &self.users {
            Users::Nobody => self.users = Users::One(Arc::clone(principal)),
            Users::One(first) if first != principal => self.users = Users::Several,
            Users::One(_) | Users::Several => {}
        }
    }

    fn line(&mut self, envelope: &Envelope) -> Result<(), Refusal> {
        let bytes = &envelope.bytes;
        match &envelope.shape {
            Shape::Response { id: Some(id), error } => {
                let number = number_at(bytes, id).ok_or_else(|| invalid("a response to no request"))?;
                let request = self.requests.remove(&number).ok_or_else(|| invalid("a response to no open request"))?;
                let mut places = vec![(id.clone(), request.id.as_ref())];
                places.extend(subscription(envelope, "result", number).map(|span| (span, request.id.as_ref())));
                let event = Event::message(replace(bytes, places));
                request.sink.send(Mail::Last { event, error: *error });
                Ok(())
            }
            Shape::Response { .. } => Err(invalid("an error without id")),
            Shape::Request { .. } => Err(invalid("a request from the server, which this revision forbids")),
            Shape::Notification { method } => self.notification(bytes, envelope, method),
        }
    }

    fn notification(&mut self, bytes: &Bytes, envelope: &Envelope, method: &str) -> Result<(), Refusal> {
        if !method.starts_with("notifications/") {
            return Err(invalid("a notification with a method no server has"));
        }
        let named = |path: &[&str]| {
            let (span, _) = envelope.param(path)?;
            Some((number_at(bytes, &span)?, span))
        };
        let (number, span, put_back) = if let Some((number, span)) = named(&["progressToken"]) {
            (number, Some(span), self.requests.get(&number).and_then(|request| request.token.clone()))
        } else if let Some((number, span)) = named(&["_meta", SUBSCRIPTION]) {
            (number, Some(span), self.requests.get(&number).map(|request| request.id.clone()))
        } else {
            // A log line does not say which request it is about, and may be late: it has an owner only where one
            // caller alone has ever used this child, or one would read another's.
            let alone = matches!(self.users, Users::One(_)) && self.requests.len() == 1;
            let only = self.requests.keys().next().copied().filter(|_| alone);
            (only.ok_or_else(|| invalid("a notification that belongs to nobody"))?, None, None)
        };
        let request = self.requests.get(&number).ok_or_else(|| invalid("a notification to no open request"))?;
        let event = match (span, put_back) {
            (Some(span), Some(own)) => Event::message(replace(bytes, vec![(span, own.as_ref())])),
            (Some(_), None) => return Err(invalid("progress nobody asked for")),
            (None, _) => Event::message(bytes.clone()),
        };
        if !request.sink.send(Mail::Event(event)) {
            return Err(invalid("a notification to a client that left or reads too slowly"));
        }
        Ok(())
    }
}

/// Where `within._meta` names the subscription `number`.
fn subscription(envelope: &Envelope, within: &str, number: u64) -> Option<Range<usize>> {
    let (span, _) = json::find(&envelope.bytes, 0..envelope.bytes.len(), &[within, "_meta", SUBSCRIPTION])?;
    (number_at(&envelope.bytes, &span)? == number).then_some(span)
}

/// A number of ours, written as a number or as a string.
fn number_at(bytes: &Bytes, span: &Range<usize>) -> Option<u64> {
    let text = std::str::from_utf8(bytes.get(span.clone())?).ok()?;
    text.trim_matches('"').parse().ok()
}
