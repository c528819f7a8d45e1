//! Tasks of one server: who may ask about one.
//!
//! To an upstream all callers may look the same, so nothing there keeps one from another's task (CVE-2026-52870).
//!
//! 1. Whatever names a task on its way to a caller is sealed to that caller and server, and opened on its way back. Somebody
//!    else's id, or the server's own, is as unknown as one that never was.
//! 2. The key comes from the store's pepper: a task outlives the gateway's process, and gateways that share a store know
//!    each other's ids.
//! 3. `tasks/list` shows what this gateway was seen to hand to the same caller; which other tasks are whose, no list says.
//! 4. What a server asks about the client's own tasks stays as it is. Where nobody has a name there is one caller, and
//!    nothing is sealed.

use std::collections::{HashSet, VecDeque};
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use palisade_guard::authenticate::Principal;
use palisade_guard::digest::sha256;
use palisade_guard::message::json::{self, Kind};
use palisade_guard::message::{self, Body as Messages, Call, Envelope, Message, Shape, Target, headers};
use palisade_guard::refusal::{Detail, Reason, Refusal};
use palisade_guard::seal::Sealer;

use crate::lasting::Lasting;
use crate::passage::Passage;
use crate::pipeline::{self, Caller, Door};
use crate::projected;
use crate::reply::Reply;
use crate::session::Resumed;
use crate::snapshot::Snapshot;
use crate::splice::{quoted, replace};
use crate::transport::sse::Event;
use crate::upstream::{Answer, Events, Server, invalid, judge};

const EXTENSION: &str = "io.modelcontextprotocol/tasks";
const RELATED: &str = "io.modelcontextprotocol/related-task";

/// Where messages of servers name a task (2025-11-25, tasks; the tasks extension).
const PLACES: [&[&str]; 5] = [
    &["result", "taskId"],
    &["result", "task", "taskId"],
    &["result", "_meta", RELATED, "taskId"],
    &["params", "taskId"],
    &["params", "_meta", RELATED, "taskId"],
];
/// Where messages of a client name a task of the server beside what they are about.
const BESIDE: [&[&str]; 2] = [&["params", "_meta", RELATED, "taskId"], &["result", "_meta", RELATED, "taskId"]];

/// The ids of tasks: what seals them, and which were handed to whom.
pub(crate) struct Tasks {
    sealer: Sealer,
    handed: Mutex<Handed>,
}

/// Digests of ids and callers, the oldest first to go: then a list is shorter, and every id is still good.
#[derive(Default)]
struct Handed {
    known: HashSet<[u8; 16]>,
    order: VecDeque<[u8; 16]>,
}

/// Ids that are remembered for lists, 3 MiB of them.
const HANDED: usize = 65_536;

impl Tasks {
    /// Under this key; `None` only if the algorithm refuses it.
    pub(crate) fn new(key: &[u8; 32]) -> Option<Self> {
        Some(Self { sealer: Sealer::new(key)?, handed: Mutex::default() })
    }

    /// The id by which a caller knows a task. The same task must have the same id each time, so the nonce is fixed: with this
    /// cipher (RFC 8452) that tells no more than that two ids are equal.
    pub(crate) fn seal(&self, caller: &Principal, server: &Server, id: &str) -> Option<String> {
        self.bound(caller, "task", server, id)
    }

    fn bound(&self, caller: &Principal, word: &str, server: &Server, id: &str) -> Option<String> {
        self.sealer.seal([0; 12], format!("{} {id}", server.name).as_bytes(), &[caller.id(), word])
    }

    /// The server that has a task, and its id there. Who shows an id has it, also after a restart.
    pub(crate) fn open(&self, caller: &Principal, sealed: &str) -> Option<(String, String)> {
        let plain = self.sealer.open(sealed.as_bytes(), &[caller.id(), "task"])?;
        let plain = String::from_utf8(plain).ok()?;
        let (server, id) = plain.split_once(' ')?;
        self.hand(sealed);
        Some((server.to_owned(), id.to_owned()))
    }

    /// The places of a server's message that name a task, and what stands there for this caller.
    ///
    /// An answer is the caller's own, and hands the task over. Whatever else a server says it may say to everybody: a task
    /// that was never handed to the caller stands there under a name that opens nothing.
    pub(crate) fn shown(&self, caller: &Principal, server: &Server, message: &Bytes) -> Vec<(Range<usize>, String)> {
        let shown = |(span, id, is_answer): (Range<usize>, String, bool)| {
            let sealed = self.seal(caller, server, &id)?;
            if is_answer {
                self.hand(&sealed);
            } else if !self.was_handed(&sealed) {
                return Some((span, quoted(&self.bound(caller, "task of somebody", server, &id)?)));
            }
            Some((span, quoted(&sealed)))
        };
        named(message).into_iter().filter_map(shown).collect()
    }

    /// Remembers that this caller was handed this id.
    fn hand(&self, sealed: &str) {
        let mut handed = self.handed.lock().unwrap_or_else(PoisonError::into_inner);
        let print = print(sealed);
        if handed.known.insert(print) {
            handed.order.push_back(print);
        }
        if handed.order.len() > HANDED
            && let Some(oldest) = handed.order.pop_front()
        {
            handed.known.remove(&oldest);
        }
    }

    fn was_handed(&self, sealed: &str) -> bool {
        self.handed.lock().unwrap_or_else(PoisonError::into_inner).known.contains(&print(sealed))
    }
}

/// A sealed id is one caller's alone, so it stands for both.
fn print(sealed: &str) -> [u8; 16] {
    sha256(sealed.as_bytes()).first_chunk().copied().unwrap_or_default()
}

/// Whether a message may name a task: in most that is seen without reading them. A key may be written with escapes.
fn may_name(message: &Bytes) -> bool {
    [b"\"taskId".as_slice(), b"\\u00"].into_iter().any(|sign| memchr::memmem::find(message, sign).is_some())
}

/// Where a server's message names a task, the task, and whether it answers what the caller asked.
fn named(message: &Bytes) -> Vec<(Range<usize>, String, bool)> {
    if !may_name(message) {
        return Vec::new();
    }
    let text = |span: &Range<usize>| Some(json::text_of(message.get(span.clone())?).into_owned());
    let one = |path: &[&str]| {
        let (span, kind) = json::find(message, 0..message.len(), path)?;
        let id = text(&span).filter(|_| kind == Kind::String)?;
        Some((span, id, path.first() == Some(&"result")))
    };
    let mut found: Vec<_> = PLACES.into_iter().filter_map(one).collect();
    // What a subscription acknowledges.
    if let Some((list, Kind::Array)) = json::find(message, 0..message.len(), &["params", "notifications", "taskIds"])
        && let Ok(outline) = json::scan(message.get(list.clone()).unwrap_or_default(), judge::BOUNDS)
    {
        let items = outline.children(None).filter(|(_, item)| item.kind == Kind::String);
        let spans = items.map(|(_, item)| list.start + item.value.start..list.start + item.value.end);
        found.extend(spans.filter_map(|span| Some((span.clone(), text(&span)?, false))));
    }
    found
}

/// What a caller hears who asks about a task that is not there. One whose client has not declared tasks hears of that.
pub(crate) fn unknown(message: &Message) -> Refusal {
    let capabilities = message.param(&["_meta", "io.modelcontextprotocol/clientCapabilities"]);
    let declared =
        capabilities.is_some_and(|(span, _)| json::find(message.bytes(), span, &["extensions", EXTENSION]).is_some());
    if message.revision().is_modern() && !declared {
        return Refusal::new(Reason::CapabilityMissing).with("extensions", Detail::List(vec![EXTENSION]));
    }
    Refusal::new(Reason::InvalidParams).says("unknown task").at("/params/taskId")
}

/// Whether a call of one server names tasks, so that it must be opened first.
pub(crate) fn are_named(caller: &Caller<'_>, call: &Call) -> bool {
    let Call::Message(message) = call else { return false };
    !caller.principal.is_anonymous()
        && (message.method().is_some_and(|method| method.target == Target::Task)
            || message.param(&["notifications", "taskIds"]).is_some()
            || [b"related-task".as_slice(), b"\\u00"]
                .into_iter()
                .any(|sign| memchr::memmem::find(message.bytes(), sign).is_some()))
}

/// Answers a call that names tasks: it goes its way with the server's ids in their places, judged anew from its first byte.
pub(crate) async fn call(
    gate: &Arc<Snapshot>,
    passage: &mut Passage,
    caller: &Caller<'_>,
    server: &Arc<Server>,
    session: Option<&Resumed>,
    call: Call,
) -> Result<Reply, Refusal> {
    passage.called(&call);
    let Call::Message(message) = call else { return Err(Refusal::new(Reason::Internal).because("no message")) };
    let opened = Opening { tasks: &gate.lasting.tasks, caller: &caller.principal, server };
    let (bytes, target) = passage.fact("parse", opened.written(&message))?;
    let mut headers = caller.headers.clone();
    if let Some(target) = target.filter(|_| headers.contains_key(&headers::NAME)) {
        headers.insert(&headers::NAME, headers::encode(&target));
    }
    let client = caller.client;
    let there =
        Caller { client, principal: caller.principal.clone(), door: Door::One(Arc::clone(server)), headers: &headers };
    let call = passage.fact("parse", again(gate, &there, session, bytes))?;
    pipeline::deed(gate, passage, &there, server, session, call).await
}

fn again(gate: &Snapshot, caller: &Caller<'_>, session: Option<&Resumed>, bytes: Bytes) -> Result<Call, Refusal> {
    match message::read(&gate.message, bytes)? {
        Messages::One(envelope) => pipeline::agreed(gate, caller, session, envelope, false),
        Messages::Batch(_) => Err(Refusal::new(Reason::Internal).because("a batch of our own")),
    }
}

/// What opens ids.
struct Opening<'o> {
    tasks: &'o Tasks,
    caller: &'o Principal,
    server: &'o Server,
}

impl Opening<'_> {
    /// The message as the server knows its tasks, and the one task that it asks about.
    fn written(&self, message: &Message) -> Result<(Bytes, Option<String>), Refusal> {
        let bytes = message.bytes();
        let beside =
            BESIDE.into_iter().filter_map(|path| self.opened(bytes, json::find(bytes, 0..bytes.len(), path)?.0));
        let mut places: Vec<_> = beside.map(|(span, id)| (span, quoted(&id))).collect();
        let mut target = None;
        if message.method().is_some_and(|method| method.target == Target::Task) {
            let named = message.param(&["taskId"]).and_then(|(span, _)| self.opened(bytes, span));
            let (span, id) = named.ok_or_else(|| unknown(message))?;
            places.push((span, quoted(&id)));
            target = Some(id);
        }
        if let Some((span, kind)) = message.param(&["notifications", "taskIds"]) {
            if kind != Kind::Array {
                let refusal = Refusal::new(Reason::InvalidParams).says("taskIds must be a list");
                return Err(refusal.at("/params/notifications/taskIds"));
            }
            let text = bytes.get(span.clone()).unwrap_or_default();
            let outline = json::scan(text, judge::BOUNDS).map_err(|fault| invalid(format_args!("{fault:?}")))?;
            let ids = outline.children(None).map(|(_, id)| text.get(id.value.clone()).unwrap_or_default());
            let theirs: Vec<_> = ids.filter_map(|id| self.open(&json::text_of(id))).collect();
            places.push((span, serde_json::Value::from(theirs).to_string()));
        }
        Ok((replace(bytes, places), target))
    }

    fn opened(&self, bytes: &Bytes, span: Range<usize>) -> Option<(Range<usize>, String)> {
        let sealed = json::text_of(bytes.get(span.clone())?);
        Some((span, self.open(&sealed)?))
    }

    fn open(&self, sealed: &str) -> Option<String> {
        let (server, id) = self.tasks.open(self.caller, sealed)?;
        (server == *self.server.name).then_some(id)
    }
}

/// The reply of one server, with its tasks' ids as this caller knows them.
pub(crate) fn sealed(
    gate: &Snapshot,
    caller: &Caller<'_>,
    server: &Arc<Server>,
    reply: Reply,
) -> Result<Reply, Refusal> {
    if caller.principal.is_anonymous() {
        return Ok(reply);
    }
    let Reply::Mcp { answer, handle } = reply else { return Ok(reply) };
    let answer = match answer {
        Answer::Message(mut response) => {
            if may_name(&response.bytes) {
                response.bytes = Sealing::new(gate, &caller.principal, server).message(&response.bytes)?;
            }
            Answer::Message(response)
        }
        Answer::Events(events) => {
            let sealing = Sealing::new(gate, &caller.principal, server);
            Answer::Events(Box::new(Passing { events: Box::into_pin(events), sealing }))
        }
        answer @ (Answer::Accepted | Answer::Ended) => answer,
    };
    Ok(Reply::Mcp { answer, handle })
}

/// What seals the messages of one server for one caller.
struct Sealing {
    lasting: Arc<Lasting>,
    caller: Principal,
    server: Arc<Server>,
}

impl Sealing {
    fn new(gate: &Snapshot, caller: &Principal, server: &Arc<Server>) -> Self {
        Self { lasting: Arc::clone(&gate.lasting), caller: caller.clone(), server: Arc::clone(server) }
    }

    fn message(&self, bytes: &Bytes) -> Result<Bytes, Refusal> {
        if !may_name(bytes) || asks_about_theirs(bytes) {
            return Ok(bytes.clone());
        }
        let mut sealed = self.lasting.tasks.shown(&self.caller, &self.server, bytes);
        if let Some((span, Kind::Array)) = json::find(bytes, 0..bytes.len(), &["result", "tasks"]) {
            let list = self.list(bytes.get(span.clone()).unwrap_or_default())?;
            sealed.push((span, list));
        }
        Ok(replace(bytes, sealed))
    }

    /// A list of tasks without those that were not handed to this caller.
    fn list(&self, list: &[u8]) -> Result<String, Refusal> {
        let mut shown = Vec::new();
        for item in projected::items(list)? {
            let Some((span, Kind::String)) = json::find(item, 0..item.len(), &["taskId"]) else { continue };
            let id = self.id(&json::text_of(item.get(span.clone()).unwrap_or_default()))?;
            if self.lasting.tasks.was_handed(&id) {
                let item = replace(&Bytes::copy_from_slice(item), vec![(span, quoted(&id))]);
                shown.push(String::from_utf8_lossy(&item).into_owned());
            }
        }
        Ok(format!("[{}]", shown.join(",")))
    }

    fn id(&self, id: &str) -> Result<String, Refusal> {
        self.lasting.tasks.seal(&self.caller, &self.server, id).ok_or_else(|| invalid("a task's id cannot be sealed"))
    }
}

/// A server that asks about a task asks about one of the client's own.
fn asks_about_theirs(bytes: &Bytes) -> bool {
    let asked = judge::read(bytes.clone()).ok();
    matches!(asked, Some(Envelope { shape: Shape::Request { method, .. }, .. }) if method.starts_with("tasks/"))
}

/// A stream whose tasks' ids are sealed.
struct Passing {
    events: Pin<Box<dyn Events>>,
    sealing: Sealing,
}

impl Events for Passing {
    fn poll_event(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Event, Refusal>>> {
        let polled = self.events.as_mut().poll_event(context);
        polled.map(|event| {
            Some(event?.and_then(|mut event| {
                event.data = self.sealing.message(&event.data)?;
                Ok(event)
            }))
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{HANDED, Tasks, may_name, named};

    /// L5, R21: what is remembered for lists is bounded, and the newest stay.
    #[test]
    fn what_was_handed_is_bounded() {
        let tasks = Tasks::new(&[7; 32]).unwrap();
        for number in 0..HANDED + 10 {
            tasks.hand(&number.to_string());
            tasks.hand(&number.to_string());
        }
        let sizes = {
            let handed = tasks.handed.lock().unwrap();
            (handed.known.len(), handed.order.len())
        };
        assert_eq!(sizes, (HANDED, HANDED));
        assert!(!tasks.was_handed("9") && tasks.was_handed("10") && tasks.was_handed(&(HANDED + 9).to_string()));
    }

    /// L5, P-D8: a task is seen where it is named, in whatever spelling, and nowhere else.
    #[test]
    fn names_are_seen_in_every_spelling() {
        let seen = |text: &'static str| {
            let message = Bytes::from_static(text.as_bytes());
            (may_name(&message), named(&message).into_iter().map(|(_, id, _)| id).collect::<Vec<_>>())
        };
        assert_eq!(seen(r#"{"result":{"taskId":"a"}}"#), (true, vec!["a".to_owned()]));
        assert_eq!(seen(r#"{"result":{"task":{"task\u0049d":"\u0061"}}}"#), (true, vec!["a".to_owned()]));
        assert_eq!(seen(r#"{"result":{"content":[{"taskId":"a"}]}}"#), (true, vec![]));
        assert_eq!(seen(r#"{"result":{"taskId":7}}"#), (true, vec![]));
        let acknowledged = r#"{"params":{"notifications":{"taskIds":["a",7,"b"]}}}"#;
        assert_eq!(seen(acknowledged), (true, vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(seen(r#"{"result":{"text":"task"}}"#), (false, vec![]));
    }
}
