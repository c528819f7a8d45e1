//! One call on the aggregate: who calls, what they see, and how each server is spoken to in their name.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use palisade_guard::authenticate::Principal;
use palisade_guard::authorize::Asker;
use palisade_guard::authorize::policy::Thing;
use palisade_guard::identify::client_address::Client;
use palisade_guard::message::{self, Body, Call, Facts, Revision, Shape, agree, headers};
use palisade_guard::naming::{Addressed, Seen, Style, Unread, address, in_full, shown, shown_template};
use palisade_guard::refusal::Refusal;
use palisade_guard::{authorize, validate};

use super::joined::{Joined, Link};
use super::lists::from_each;
use crate::pipeline::Caller;
use crate::projected::Projection;
use crate::snapshot::Snapshot;
use crate::transport::sse::Event;
use crate::upstream::catalog::{Earlier, Kind, Offered, Reading};
use crate::upstream::{Answer, Answered, Server, invalid, judge, unavailable};

/// One call on the aggregate.
#[derive(Clone)]
pub(super) struct Visit {
    pub(super) gate: Arc<Snapshot>,
    pub(super) client: Client,
    pub(super) principal: Principal,
    pub(super) headers: Arc<HeaderMap>,
    /// What the caller may see.
    pub(super) servers: Arc<[Arc<Server>]>,
    /// The session of a legacy caller.
    pub(super) joined: Option<Arc<Joined>>,
}

/// How a server is spoken to.
#[derive(Clone)]
pub(super) enum Way {
    /// In 2026-07-28, as the caller speaks.
    Modern,
    /// In a session with it.
    Legacy(Arc<Joined>, Arc<Link>),
}

impl Way {
    pub(super) fn link(&self) -> Option<&Link> {
        match self {
            Self::Modern => None,
            Self::Legacy(_, link) => Some(link),
        }
    }
}

impl Visit {
    pub(super) fn new(
        gate: &Arc<Snapshot>,
        caller: &Caller<'_>,
        servers: &Arc<[Arc<Server>]>,
        joined: Option<Arc<Joined>>,
    ) -> Self {
        Self {
            gate: Arc::clone(gate),
            client: caller.client,
            principal: caller.principal.clone(),
            headers: Arc::new(caller.headers.clone()),
            servers: Arc::clone(servers),
            joined,
        }
    }

    /// How this caller's messages reach a server. A legacy caller has a session with it; so has a modern caller with a
    /// server that does not speak 2026-07-28.
    pub(super) async fn way(&self, server: &Arc<Server>) -> Result<Way, Refusal> {
        let joined = if let Some(joined) = &self.joined {
            Arc::clone(joined)
        } else {
            if known(server).await?.modern {
                return Ok(Way::Modern);
            }
            self.gate.lasting.joined.of_caller(self)?
        };
        let link = joined.link(self, server).await?;
        Ok(Way::Legacy(joined, link))
    }

    /// Whoever calls, as rights are judged.
    pub(super) fn asker(&self) -> Asker<'_> {
        self.gate.asker(&self.principal, self.client.address())
    }

    /// How long one server may take for its part.
    pub(super) fn patience(&self) -> Duration {
        self.gate.aggregate.patience
    }

    /// The headers of a message in this caller's name.
    pub(super) fn headers(&self, way: &Way, method: &str, name: Option<&str>) -> HeaderMap {
        let mut out = self.headers.as_ref().clone();
        for gone in [&headers::SESSION, &headers::NAME, &headers::LAST_EVENT] {
            out.remove(gone);
        }
        out.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        out.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        match way {
            Way::Modern => {
                out.insert(&headers::METHOD, HeaderValue::from_str(method).unwrap_or(HeaderValue::from_static("")));
                if let Some(name) = name {
                    out.insert(&headers::NAME, headers::encode(name));
                }
            }
            Way::Legacy(_, link) => {
                out.remove(&headers::METHOD);
                without_parameters(&mut out);
                out.insert(&headers::REVISION, HeaderValue::from_static(link.revision.name()));
            }
        }
        out
    }

    /// A message in this caller's name, judged whole: what was put into it is judged like all the rest.
    pub(super) fn judged(
        &self,
        headers: &HeaderMap,
        revision: Option<Revision>,
        bytes: Bytes,
    ) -> Result<Call, Refusal> {
        let config = &self.gate.message;
        let Body::One(envelope) = message::read(config, bytes)? else { return Err(invalid("a batch of our own")) };
        let facts = Facts { headers: Some(headers), session: revision, batched: false, extra_methods: &[] };
        agree(config, envelope, facts).map(Call::Message)
    }

    /// Sends a message of ours in this caller's name, with a permit of its own.
    pub(super) async fn send(
        &self,
        server: &Arc<Server>,
        headers: &HeaderMap,
        link: Option<&Link>,
        call: Call,
    ) -> Result<Answered, Refusal> {
        let permit = authorize::call(&self.asker(), &server.name, &call)?;
        let vetted = validate::call(&[], Some(headers), permit, call)?;
        let session = link.and_then(|link| link.session.as_ref());
        // Lists are asked whole, for their names belong to everybody: they are cut where they are merged.
        let resumed = matches!(vetted.call(), Call::Stream { .. });
        let projection = Projection::of(&self.gate, self.client, &self.principal, server, vetted.call());
        let mut answered = server.forward(&vetted, self.principal.id(), headers, session).await?;
        if let Some(projection) = projection.filter(|_| resumed) {
            answered.answer = projection.answer(answered.answer)?;
        }
        Ok(answered)
    }

    /// Tells a server something, and does not mind what becomes of it.
    pub(super) async fn tell(&self, server: &Arc<Server>, way: &Way, bytes: Bytes) -> Result<(), Refusal> {
        let headers = self.headers(way, "", None);
        let link = way.link();
        let call = self.judged(&headers, link.map(|link| link.revision), bytes)?;
        self.send(server, &headers, link, call).await.map(drop)
    }

    /// Asks a server something. What its answer brings beside the response goes where the caller listens.
    pub(super) async fn ask(
        &self,
        server: &Arc<Server>,
        way: &Way,
        method: &str,
        bytes: Bytes,
    ) -> Result<Bytes, Refusal> {
        let headers = self.headers(way, method, None);
        let link = way.link();
        let call = self.judged(&headers, link.map(|link| link.revision), bytes)?;
        let answered = self.send(server, &headers, link, call).await?;
        response(answered.answer, |event| {
            if let Way::Legacy(joined, _) = way {
                joined.stray(self, server, way, event);
            }
        })
        .await
    }

    /// The server of this name, if the caller may see it.
    pub(super) fn server(&self, name: &str) -> Option<&Arc<Server>> {
        self.servers.iter().find(|server| server.name.as_ref() == name)
    }

    /// Reads the lists that say who has a name of this kind, where that was never done: until it is, a bare name of
    /// anybody could be such a server's too. One that does not answer is waited for as in a list, and stays unread.
    pub(super) async fn settle(&self, kind: Kind) {
        let unread: Vec<_> = self.servers.iter().filter(|server| !server.catalog.has_read(kind)).cloned().collect();
        let read = |server: Arc<Server>| async move { server.catalog.read(&server).await };
        drop(from_each(self.patience(), &unread, read).await);
    }

    /// The names of one kind, as this caller sees them.
    pub(super) fn names(&self, kind: Kind) -> Names {
        Names::of(&self.servers, kind, self.gate.aggregate.names())
    }
}

/// The names of one kind on several servers, as they are known now.
pub(crate) struct Names {
    kind: Kind,
    style: Style,
    offered: Vec<Noted>,
}

/// What is known of one server.
struct Noted {
    server: Arc<str>,
    offered: Arc<Offered>,
    /// What others offered before it came, if its list was never read.
    unread: Option<Earlier>,
}

impl Names {
    pub(super) fn of(servers: &[Arc<Server>], kind: Kind, style: Style) -> Self {
        let style = if matches!(kind, Kind::Resources | Kind::Templates) { Style::URIS } else { style };
        let noted = |server: &Arc<Server>| {
            let (name, catalog) = (Arc::clone(&server.name), &server.catalog);
            // Asked first: a list that is read in between is in the offers.
            let unread = (!catalog.has_read(kind)).then(|| catalog.earlier());
            Noted { server: name, offered: catalog.offered(), unread }
        };
        Self { kind, style, offered: servers.iter().map(noted).collect() }
    }

    /// The same in the form in which names are judged. Made once for a whole list.
    pub(crate) fn view(&self) -> View<'_> {
        let kind = self.kind;
        let seen = self.offered.iter().map(|noted| {
            let unread = noted.unread.as_ref().map(|earlier| Unread {
                earlier: earlier.iter().map(|(server, offered)| (server.as_ref(), kind.of(offered))).collect(),
            });
            Seen { server: &noted.server, offers: kind.of(&noted.offered), unread }
        });
        View { kind, style: self.style, seen: seen.collect() }
    }
}

/// Names as they are judged.
pub(crate) struct View<'n> {
    kind: Kind,
    style: Style,
    seen: Vec<Seen<'n>>,
}

impl View<'_> {
    /// Whether they are names of tools, which have a form of their own.
    pub(super) const fn is_for_tools(&self) -> bool {
        matches!(self.kind, Kind::Tools)
    }

    /// What they name, as policies say it.
    pub(super) const fn thing(&self) -> Thing {
        match self.kind {
            Kind::Tools => Thing::Tool,
            Kind::Prompts => Thing::Prompt,
            Kind::Resources | Kind::Templates => Thing::Resource,
        }
    }

    /// What a name addresses.
    pub(super) fn address<'n>(&self, name: &'n str) -> Addressed<'n> {
        address(self.style, &self.seen, name)
    }

    /// How a name of the server at this place is shown.
    pub(crate) fn shown(&self, server: usize, name: &str) -> String {
        match self.kind {
            Kind::Templates => shown_template(&self.seen, server, name),
            _ => shown(self.style, &self.seen, server, name),
        }
        .into_owned()
    }

    /// The form of a name that always addresses the server at this place.
    pub(super) fn in_full(&self, server: usize, name: &str) -> String {
        in_full(self.style, &self.seen, server, name).into_owned()
    }
}

/// What is known of a server, however old; asked for only if nothing is.
pub(super) async fn known(server: &Arc<Server>) -> Result<Arc<Reading>, Refusal> {
    match server.catalog.last() {
        Some(reading) => Ok(reading),
        None => server.catalog.read(server).await,
    }
}

fn without_parameters(headers: &mut HeaderMap) {
    let parameters: Vec<_> = headers.keys().filter(|name| name.as_str().starts_with("mcp-param-")).cloned().collect();
    for name in parameters {
        headers.remove(name);
    }
}

/// The response of an answer; what comes beside it is handed over.
pub(super) async fn response(answer: Answer, mut beside: impl FnMut(Event)) -> Result<Bytes, Refusal> {
    let mut events = match answer {
        Answer::Message(response) => return Ok(response.bytes),
        Answer::Events(events) => Box::into_pin(events),
        Answer::Accepted | Answer::Ended => return Err(invalid("no answer to a request")),
    };
    let mut last: Option<Event> = None;
    while let Some(event) = std::future::poll_fn(|context| events.as_mut().poll_event(context)).await {
        let event = event?;
        if event.is_message()
            && let Some(before) = last.replace(event)
        {
            beside(before);
        }
    }
    // A stream that could be resumed may end before its response.
    let answers = |bytes: &Bytes| {
        judge::read(bytes.clone()).is_ok_and(|envelope| matches!(envelope.shape, Shape::Response { .. }))
    };
    let last = last.map(|event| event.data).filter(answers);
    last.ok_or_else(|| unavailable("the stream ended without an answer"))
}
