//! The way home: what a server says, in the form in which the caller of the aggregate knows it.
//!
//! 1. A request of a server gets a number of ours, for two servers may choose the same id. The answer goes to the server
//!    that asked, under its own id. Progress comes from the server that has the request with that token alone.
//! 2. A resource that changed is named as its list names it. A task has the id that the caller knows.
//! 3. The id of an event says which server it is of, so that a broken stream can be resumed. What comes then answers no
//!    request that another server has.
//! 4. A modern caller of a legacy server hears its answer, with what 2026-07-28 demands of one, and its progress, and
//!    nothing else; that it left is told to the server.

use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use palisade_guard::message::{Envelope, Message, Shape, json};
use palisade_guard::refusal::Refusal;

use super::joined::{Asked, Sent, TOKEN_BYTES, Token, keep};
use super::tasks;
use super::visit::{Visit, Way};
use crate::reply::Reply;
use crate::splice::{quoted, replace};
use crate::transport::sse::Event;
use crate::upstream::catalog::Kind;
use crate::upstream::{Answer, Events, Server, judge, unavailable};

/// What was changed in a request to a legacy server of a modern caller.
pub(super) struct PutBack {
    pub(super) number: u64,
    pub(super) id: Bytes,
    pub(super) token: Option<Bytes>,
    /// Whether its result says how long it may be kept.
    pub(super) cached: bool,
}

impl PutBack {
    /// A legacy response as one of 2026-07-28: what that revision demands is added, nothing is taken away.
    fn places(&self, bytes: &Bytes, id: Range<usize>) -> Vec<(Range<usize>, String)> {
        let mut places = vec![(id, String::from_utf8_lossy(&self.id).into_owned())];
        let find = |path: &[&str]| json::find(bytes, 0..bytes.len(), path);
        if let Some((result, json::Kind::Object)) = find(&["result"])
            && find(&["result", "resultType"]).is_none()
        {
            let inside = bytes.get(result.start + 1..result.end - 1).unwrap_or_default();
            let comma = if inside.trim_ascii().is_empty() { "" } else { "," };
            let kept = if self.cached { r#","ttlMs":0,"cacheScope":"private""# } else { "" };
            places.push((result.start + 1..result.start + 1, format!(r#""resultType":"complete"{kept}{comma}"#)));
        }
        if let Some((code, _)) = find(&["error", "code"])
            && bytes.get(code.clone()) == Some(b"-32002")
        {
            // A resource that is not there has another code now (2026-07-28, basic, "Error Codes").
            places.push((code, "-32602".to_owned()));
        }
        places
    }
}

/// Brings what one server says to one caller.
pub(super) struct Home {
    visit: Visit,
    server: Arc<Server>,
    way: Way,
    put_back: Option<PutBack>,
    /// Whether these are the rest of a broken stream, which may hold an answer to any request.
    resumed: bool,
    /// Whether nothing is owed any more.
    done: bool,
}

impl Home {
    /// For messages that answer no call.
    pub(super) fn of(visit: &Visit, server: &Arc<Server>, way: &Way) -> Self {
        Self {
            visit: visit.clone(),
            server: Arc::clone(server),
            way: way.clone(),
            put_back: None,
            resumed: false,
            done: true,
        }
    }

    /// For the rest of a broken stream.
    pub(super) fn resumed(visit: &Visit, server: &Arc<Server>, way: &Way) -> Self {
        let mut home = Self::of(visit, server, way);
        home.resumed = true;
        home
    }

    /// For the answer to a call.
    pub(super) fn for_call(
        visit: &Visit,
        server: &Arc<Server>,
        way: &Way,
        message: &Message,
        put_back: Option<PutBack>,
    ) -> Self {
        if let (Way::Legacy(joined, _), None, Some(sent)) = (way, &put_back, Sent::new(message, &server.name)) {
            keep(&mut joined.state().sent, sent, |sent| &sent.server);
        }
        let mut home = Self::of(visit, server, way);
        (home.done, home.put_back) = (put_back.is_none(), put_back);
        home
    }

    /// How the server is spoken to.
    pub(super) const fn way(&self) -> &Way {
        &self.way
    }

    /// Nothing was sent, or nothing will come.
    pub(super) fn settle(mut self) {
        self.done = true;
    }

    /// The reply to the call.
    pub(super) fn reply(mut self, reply: Reply) -> Reply {
        match reply {
            Reply::Mcp { answer: Answer::Message(mut response), handle } => {
                self.done = true;
                response.bytes = self.response(&response.bytes);
                Reply::Mcp { answer: Answer::Message(response), handle }
            }
            Reply::Mcp { answer: Answer::Events(events), handle } => {
                let homeward = Homeward { events: Box::into_pin(events), home: self, ended: false };
                Reply::Mcp { answer: Answer::Events(Box::new(homeward)), handle }
            }
            reply => reply,
        }
    }

    /// An event as the caller gets it; `None` for one that is not for the caller.
    pub(super) fn event(&mut self, mut event: Event) -> Option<Event> {
        let legacy = matches!(&self.way, Way::Legacy(joined, _) if !joined.modern);
        event.id = event.id.filter(|_| legacy).map(|id| {
            let mut ours = Vec::from(self.server.name.as_bytes());
            ours.push(b':');
            ours.extend_from_slice(&id);
            Bytes::from(ours)
        });
        event.retry = event.retry.filter(|_| legacy);
        if event.data.is_empty() {
            return event.id.is_some().then_some(event);
        }
        event.data = self.message(&event.data)?;
        Some(event)
    }

    fn message(&mut self, bytes: &Bytes) -> Option<Bytes> {
        let envelope = judge::read(bytes.clone()).ok()?;
        match &envelope.shape {
            Shape::Response { .. } if self.resumed && self.is_anothers(&envelope) => {
                tracing::warn!(server = %self.server.name, "dropped an answer to what another server was asked");
                None
            }
            Shape::Response { .. } => {
                self.done = true;
                Some(self.response(bytes))
            }
            Shape::Request { id, .. } => self.request(bytes, &envelope, id.clone()),
            Shape::Notification { method } => self.notification(bytes, &envelope, method),
        }
    }

    /// Whether this answers a request that another server has: none may answer in its name.
    fn is_anothers(&self, answer: &Envelope) -> bool {
        let (Way::Legacy(joined, _), Some(id)) = (&self.way, answer.id()) else { return false };
        let state = joined.state();
        let asked = state.sent.iter().rev().find(|sent| sent.id == id);
        asked.is_some_and(|sent| sent.server != self.server.name)
    }

    fn response(&self, bytes: &Bytes) -> Bytes {
        let mut places = tasks::sealed(&self.visit, &self.server, bytes);
        if let Some(put_back) = &self.put_back
            && let Ok(Envelope { shape: Shape::Response { id: Some(id), .. }, .. }) = judge::read(bytes.clone())
        {
            places.extend(put_back.places(bytes, id));
        }
        replace(bytes, places)
    }

    /// A request of the server, under a number of ours.
    fn request(&self, bytes: &Bytes, envelope: &Envelope, id: Range<usize>) -> Option<Bytes> {
        let Way::Legacy(joined, _) = &self.way else { return None };
        if joined.modern {
            tracing::warn!(server = %self.server.name, "dropped a request of the server, which its caller's revision forbids");
            return None;
        }
        let number = joined.number();
        let token = envelope.param(&["_meta", "progressToken"]).map(|(span, _)| span);
        // Copies: the bytes that came in stand in a buffer which is larger.
        let copied = |span: Range<usize>| bytes.get(span).map(Bytes::copy_from_slice);
        let asked = Asked {
            number,
            server: Arc::clone(&self.server.name),
            id: copied(id.clone())?,
            token: token.clone().and_then(copied).filter(|token| token.len() <= TOKEN_BYTES),
        };
        keep(&mut joined.state().asked, asked, |asked| &asked.server);
        // A server that asks about a task asks about one of the client's own.
        let about_theirs = matches!(&envelope.shape, Shape::Request { method, .. } if method.starts_with("tasks/"));
        let mut places = if about_theirs { Vec::new() } else { tasks::sealed(&self.visit, &self.server, bytes) };
        places.push((id, number.to_string()));
        places.extend(token.map(|span| (span, number.to_string())));
        Some(replace(bytes, places))
    }

    fn notification(&self, bytes: &Bytes, envelope: &Envelope, method: &str) -> Option<Bytes> {
        if let Way::Legacy(joined, _) = &self.way
            && joined.modern
        {
            let (span, _) = envelope.param(&["progressToken"]).filter(|_| method == "notifications/progress")?;
            let token = self.put_back.as_ref()?.token.as_ref()?;
            return Some(replace(bytes, vec![(span, token)]));
        }
        let mut places = tasks::sealed(&self.visit, &self.server, bytes);
        match method {
            "notifications/resources/updated" => {
                let (span, _) = envelope.param(&["uri"])?;
                let uri = json::text_of(bytes.get(span.clone())?);
                let place = self.visit.servers.iter().position(|server| server.name == self.server.name)?;
                places.push((span, quoted(&self.visit.names(Kind::Resources).view().shown(place, &uri))));
            }
            "notifications/progress" => {
                let Way::Legacy(joined, _) = &self.way else { return Some(bytes.clone()) };
                let (span, _) = envelope.param(&["progressToken"])?;
                let token = Token::of(bytes.get(span)?);
                if !joined.state().is_tracked(&self.server.name, &token) {
                    tracing::warn!(server = %self.server.name, "dropped progress of what this server was not asked");
                    return None;
                }
            }
            "notifications/cancelled" => {
                let (span, _) = envelope.param(&["requestId"])?;
                let Way::Legacy(joined, _) = &self.way else { return Some(bytes.clone()) };
                let id = bytes.slice(span.clone());
                let number = joined.state().taken_back(&self.server.name, &id)?;
                places.push((span, number.to_string()));
            }
            _ => {}
        }
        Some(replace(bytes, places))
    }
}

impl Drop for Home {
    /// A modern client that leaves has cancelled (2026-07-28, cancellation); a legacy server must be told.
    fn drop(&mut self) {
        let (false, Some(put_back)) = (self.done, &self.put_back) else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let text = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{},"reason":"the client left"}}}}"#,
            put_back.number
        );
        let (visit, server, way) = (self.visit.clone(), Arc::clone(&self.server), self.way.clone());
        runtime.spawn(async move {
            if let Err(refusal) = visit.tell(&server, &way, Bytes::from(text)).await {
                tracing::debug!(server = %server.name, cause = refusal.cause_for_log(), "a cancellation was not taken");
            }
        });
    }
}

/// The events of a server's answer on their way home.
struct Homeward {
    events: Pin<Box<dyn Events>>,
    home: Home,
    ended: bool,
}

impl Events for Homeward {
    fn poll_event(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Event, Refusal>>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        loop {
            match this.events.as_mut().poll_event(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(event))) => {
                    if let Some(event) = this.home.event(event) {
                        return Poll::Ready(Some(Ok(event)));
                    }
                }
                Poll::Ready(Some(Err(refusal))) => {
                    this.ended = true;
                    return Poll::Ready(Some(Err(refusal)));
                }
                Poll::Ready(None) => {
                    this.ended = true;
                    // A modern caller cannot come back for the rest.
                    let owed = !this.home.done && this.home.put_back.is_some();
                    return Poll::Ready(
                        owed.then(|| Err(unavailable("the server ended its stream without an answer"))),
                    );
                }
            }
        }
    }
}

/// A number of ours, written as a number or as a text.
pub(super) fn number_at(bytes: &Bytes, span: &Range<usize>) -> Option<u64> {
    std::str::from_utf8(bytes.get(span.clone())?).ok()?.trim_matches('"').parse().ok()
}
