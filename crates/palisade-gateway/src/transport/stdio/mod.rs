//! MCP by standard input and output, for a client that starts the gateway where it would start the server.
//!
//! 1. Each line becomes an arrival of its own and takes the way of every other: docs/decisions/010.
//! 2. What is an answer goes to standard output, one message in a line; nothing else ever does.
//! 3. Messages that want no answer are handed on in their order, before the next line is read; requests run side by side.
//! 4. The end of standard input is the end: what was asked is still answered, then the session ends.

mod client;
pub(crate) mod pipes;

use std::collections::HashMap;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use palisade_guard::message::{self, Body as Messages, Envelope, Shape};
use palisade_guard::refusal::{Reason, Refusal};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::lines::Lines;
use crate::current::Current;
use client::{Client, Line};
use pipes::Input;

/// Requests under way at one time; a client that asks for more waits.
const OPEN: usize = 256;
/// Subscriptions beyond these are requests like others.
const LISTENS: usize = 64;

/// Serves the client until it is done, or `stop` says so.
pub(crate) async fn serve(current: Current, input: Input, out: mpsc::Sender<Bytes>, stop: CancellationToken) {
    let gate = current.snapshot();
    let (limit, patience) = (gate.body_bytes, gate.timeouts.shutdown);
    drop(gate);
    let mut lines = Lines::new(input, limit);
    let mut door = Door {
        client: Arc::new(Client::new(current.clone(), out.clone())),
        open: JoinSet::new(),
        cancels: HashMap::new(),
        standing: JoinSet::new(),
        listening: None,
    };
    loop {
        let line = tokio::select! {
            line = lines.next() => line,
            Some(_) = door.open.join_next(), if !door.open.is_empty() => continue,
            () = out.closed() => break,
            () = stop.cancelled() => break,
        };
        let read = match line {
            Ok(Some(line)) if line.len() <= limit => Line::read(&current.snapshot().message, line),
            Ok(Some(line)) => Line::unreadable(too_long(limit, line.len())),
            Err(error) if error.kind() == ErrorKind::FileTooLarge => match lines.skip().await {
                Ok(true) => Line::unreadable(too_long(limit, limit + 1)),
                Ok(false) | Err(_) => break,
            },
            Ok(None) | Err(_) => break,
        };
        tokio::select! {
            () = door.take(read) => {}
            () = out.closed() => break,
            () = stop.cancelled() => break,
        }
    }
    door.end(patience, &out).await;
}

fn too_long(limit: usize, actual: usize) -> Refusal {
    let number = |size: usize| u64::try_from(size).unwrap_or(u64::MAX);
    Refusal::new(Reason::PayloadTooLarge)
        .says("the message is too large (limits.body)")
        .limit(number(limit), number(actual))
}

struct Door {
    client: Arc<Client>,
    /// Requests under way.
    open: JoinSet<()>,
    /// How to take them back, by id.
    cancels: HashMap<Bytes, AbortHandle>,
    /// The stream on which a legacy server speaks of its own accord; subscriptions.
    standing: JoinSet<()>,
    /// The first of them.
    listening: Option<AbortHandle>,
}

impl Door {
    async fn take(&mut self, line: Line) {
        let Ok(Messages::One(envelope)) = &line.read else {
            // A batch, or nothing that can be read: either is answered.
            return self.ask(line, None, false).await;
        };
        match &envelope.shape {
            Shape::Request { method, .. } if method.as_ref() == "initialize" => {
                self.client.initialize(line).await;
            }
            Shape::Request { method, .. } => {
                let (id, listens) = (envelope.id(), method.as_ref() == "subscriptions/listen");
                self.ask(line, id, listens).await;
            }
            Shape::Notification { method } if method.as_ref() == "notifications/cancelled" => {
                self.cancel(envelope);
                if self.client.has_session() {
                    self.client.tell(line).await;
                }
            }
            Shape::Notification { method } if method.as_ref() == "notifications/initialized" => {
                self.client.tell(line).await;
                if let Some(before) = self.listening.take() {
                    before.abort();
                }
                self.listening = Some(self.standing.spawn(Arc::clone(&self.client).listen()));
            }
            _ => self.client.tell(line).await,
        }
    }

    /// Begins a request. One that listens is not waited for at the end: it has none of its own.
    async fn ask(&mut self, line: Line, id: Option<Bytes>, listens: bool) {
        while self.standing.try_join_next().is_some() {}
        while self.open.len() >= OPEN {
            self.open.join_next().await;
        }
        if self.cancels.len() >= OPEN {
            self.cancels.retain(|_, request| !request.is_finished());
        }
        let asked = Arc::clone(&self.client).ask(line);
        let request =
            if listens && self.standing.len() < LISTENS { self.standing.spawn(asked) } else { self.open.spawn(asked) };
        if let Some(id) = id {
            self.cancels.insert(id, request);
        }
    }

    /// Takes a request back. In a legacy session the server is told and decides; since 2026-07-28 a request ends with its
    /// stream, which is how the upstream hears of it.
    fn cancel(&mut self, cancelled: &Envelope) {
        if self.client.has_session() {
            return;
        }
        let id = cancelled.param(&["requestId"]).map(|(span, _)| cancelled.bytes.slice(span));
        if let Some(request) = id.and_then(|id| self.cancels.remove(&id)) {
            request.abort();
        }
    }

    /// What was asked is answered, as long as somebody reads; then the session ends.
    async fn end(mut self, patience: Duration, out: &mpsc::Sender<Bytes>) {
        self.standing.shutdown().await;
        let answered = async { while self.open.join_next().await.is_some() {} };
        tokio::select! {
            ended = tokio::time::timeout(patience, answered) => {
                if ended.is_err() {
                    tracing::warn!("some calls were cut at the end of timeouts.shutdown");
                }
            }
            () = out.closed() => {}
        }
        self.client.leave().await;
    }
}

impl Line {
    /// A line as it is read by the rules for messages.
    fn read(config: &message::Config, line: Bytes) -> Self {
        Self { bytes: line.len(), read: message::read(config, line) }
    }

    /// A line that is refused unread.
    const fn unreadable(refusal: Refusal) -> Self {
        Self { bytes: 0, read: Err(refusal) }
    }
}
