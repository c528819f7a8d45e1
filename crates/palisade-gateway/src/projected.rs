//! Lists of one server, as far as the policy lets the caller see them.
//!
//! 1. Items that may not be listed are cut out of the bytes; what remains is as it came. An item without a name cannot be
//!    judged, and goes too.
//! 2. What was cut for one caller is no other's: where the revision has it, the list says `cacheScope: "private"`.
//! 3. A legacy stream that goes on after a break may bring the answer to a list: there every response is looked at.

use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use palisade_guard::authenticate::Principal;
use palisade_guard::authorize::policy::Thing;
use palisade_guard::identify::client_address::Client;
use palisade_guard::message::Call;
use palisade_guard::message::json::{self, Kind};
use palisade_guard::refusal::Refusal;

use crate::snapshot::Snapshot;
use crate::splice::replace;
use crate::transport::sse::Event;
use crate::upstream::judge::BOUNDS;
use crate::upstream::{Answer, Events, Server, invalid};

/// The member of a result that is a list, the member of an item that names it, and what is listed.
type Listed = (&'static str, &'static str, Thing);

const LISTS: [(&str, Listed); 5] = [
    ("tools/list", ("tools", "name", Thing::Tool)),
    ("prompts/list", ("prompts", "name", Thing::Prompt)),
    ("resources/list", ("resources", "uri", Thing::Resource)),
    ("resources/templates/list", ("resourceTemplates", "uriTemplate", Thing::Resource)),
    ("tasks/list", ("tasks", "taskId", Thing::Task)),
];

/// For whom lists are cut.
pub(crate) struct Projection {
    gate: Arc<Snapshot>,
    client: Client,
    principal: Principal,
    server: Arc<str>,
    lists: Vec<Listed>,
    modern: bool,
}

impl Projection {
    /// What must be cut from the answer to this call; `None` where there is no policy, or nothing is listed.
    pub(crate) fn of(
        gate: &Arc<Snapshot>,
        client: Client,
        principal: &Principal,
        server: &Server,
        call: &Call,
    ) -> Option<Self> {
        if !gate.has_policy() {
            return None;
        }
        let (lists, modern): (Vec<_>, _) = match call {
            Call::Message(message) => {
                let asked = LISTS.iter().filter(|(method, _)| message.is(method)).map(|(_, list)| *list);
                (asked.collect(), message.revision().is_modern())
            }
            Call::Stream { .. } => (LISTS.iter().map(|(_, list)| *list).collect(), false),
            Call::End => return None,
        };
        let (gate, principal, server) = (Arc::clone(gate), principal.clone(), Arc::clone(&server.name));
        (!lists.is_empty()).then_some(Self { gate, client, principal, server, lists, modern })
    }

    /// The answer with its lists cut.
    pub(crate) fn answer(self, answer: Answer) -> Result<Answer, Refusal> {
        Ok(match answer {
            Answer::Message(mut response) => {
                response.bytes = self.cut(&response.bytes)?;
                Answer::Message(response)
            }
            Answer::Events(events) => {
                Answer::Events(Box::new(Cutting { events: Box::into_pin(events), projection: self }))
            }
            answer @ (Answer::Accepted | Answer::Ended) => answer,
        })
    }

    fn cut(&self, bytes: &Bytes) -> Result<Bytes, Refusal> {
        let Some((result, Kind::Object)) = json::find(bytes, 0..bytes.len(), &["result"]) else {
            return Ok(bytes.clone());
        };
        let mut places: Vec<(Range<usize>, Vec<u8>)> = Vec::new();
        for (member, name, thing) in &self.lists {
            let list = json::find(bytes, result.clone(), &[member]).filter(|(_, kind)| *kind == Kind::Array);
            if let Some((span, _)) = list
                && let Some(kept) = self.kept(bytes.get(span.clone()).unwrap_or_default(), name, *thing)?
            {
                places.push((span, kept));
            }
        }
        if self.modern {
            places.push(match json::find(bytes, result.clone(), &["cacheScope"]) {
                Some((span, _)) => (span, br#""private""#.to_vec()),
                None => (result.start + 1..result.start + 1, private(bytes.get(result).unwrap_or_default())),
            });
        }
        Ok(replace(bytes, places))
    }

    /// The list without what the caller may not see; `None` where all of it may be seen.
    fn kept(&self, list: &[u8], name: &str, thing: Thing) -> Result<Option<Vec<u8>>, Refusal> {
        let asker = self.gate.asker(&self.principal, self.client.address());
        let (mut kept, mut all) = (vec![b'['], true);
        for text in items(list)? {
            let found = json::find(text, 0..text.len(), &[name]).filter(|(_, kind)| *kind == Kind::String);
            let shown = found.and_then(|(span, _)| text.get(span)).map(json::text_of);
            if shown.is_some_and(|shown| asker.may_list(thing, &self.server, &shown)) {
                if kept.len() > 1 {
                    kept.push(b',');
                }
                kept.extend_from_slice(text);
            } else {
                all = false;
            }
        }
        kept.push(b']');
        Ok((!all).then_some(kept))
    }
}

/// The items of a list, as they are written.
pub(crate) fn items(list: &[u8]) -> Result<Vec<&[u8]>, Refusal> {
    let outline = json::scan(list, BOUNDS).map_err(|fault| invalid(format_args!("{fault:?}")))?;
    Ok(outline.children(None).map(|(_, item)| list.get(item.value.clone()).unwrap_or_default()).collect())
}

/// The member that makes a result one caller's own, to be put in front of the others.
fn private(result: &[u8]) -> Vec<u8> {
    let empty = result.get(1..result.len().saturating_sub(1)).unwrap_or_default().trim_ascii().is_empty();
    let comma = if empty { "" } else { "," };
    format!(r#""cacheScope":"private"{comma}"#).into_bytes()
}

/// A stream whose lists are cut.
struct Cutting {
    events: Pin<Box<dyn Events>>,
    projection: Projection,
}

impl Events for Cutting {
    fn poll_event(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Event, Refusal>>> {
        let polled = self.events.as_mut().poll_event(context);
        polled.map(|event| {
            Some(event?.and_then(|mut event| {
                if !event.data.is_empty() {
                    event.data = self.projection.cut(&event.data)?;
                }
                Ok(event)
            }))
        })
    }
}
