//! What is known of a server: asked by the gateway itself, kept for a minute; and what it ever offered, kept for good.
//!
//! Three things need it: `GET /api/tools`, the arguments that a tool repeats in headers, which must be compared before
//! a call is decided on, and the names of the aggregate. A server that does not answer is asked again later; its own
//! check of the headers still stands, and its names stay its own.

mod kind;

use std::collections::HashMap;
use std::sync::atomic::{
    AtomicU8, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use palisade_guard::message::Call;
use palisade_guard::naming::Offers;
use palisade_guard::refusal::{Reason, Refusal};
use palisade_guard::validate::{Mirror, mirrors_of_schema};
use serde_json::{Map, Value};

pub(crate) use kind::Kind;

use super::asking::{Conversation, Era};
use super::{Server, Upstream, invalid};
use crate::time;

/// What is known of one server.
#[derive(Default)]
pub(crate) struct Catalog {
    known: Mutex<Option<Known>>,
    asking: Arc<tokio::sync::Mutex<()>>,
    offered: Mutex<Arc<Offered>>,
    /// Kinds of lists that were read once, as bits.
    heard: AtomicU8,
    earlier: Earlier,
    state: AtomicU8,
    /// Until when nobody waits for it in a list.
    late_until_ms: AtomicU64,
}

const UP: u8 = 1;
const DOWN: u8 = 2;

#[derive(Clone)]
struct Known {
    until_ms: u64,
    /// Whether the last question was answered.
    up: bool,
    /// The last reading there was.
    reading: Option<Arc<Reading>>,
}

/// One reading of a server.
pub(crate) struct Reading {
    /// The definitions of its tools, as the server gave them.
    pub(crate) tools: Vec<Value>,
    /// Whether it answers in 2026-07-28.
    pub(crate) modern: bool,
    /// What it says it can.
    pub(crate) capabilities: Map<String, Value>,
    mirrors: HashMap<Box<str>, Arc<[Mirror]>>,
}

/// What a server offers or ever did, by kind.
#[derive(Debug, Clone, Default)]
pub(crate) struct Offered {
    /// Tools by name.
    pub(crate) tools: Offers,
    /// Prompts by name.
    pub(crate) prompts: Offers,
    /// Resources and their templates by URI.
    pub(crate) resources: Offers,
}

/// What other servers, by name, offered before this one came.
pub(crate) type Earlier = Arc<[(Arc<str>, Arc<Offered>)]>;

const KEPT_MS: u64 = 60_000;
const RETRY_MS: u64 = 10_000;
const LATE_MS: u64 = 30_000;
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
const START_TIMEOUT: Duration = Duration::from_secs(90);
/// Pages of one list that are read.
pub(crate) const PAGES: usize = 50;
/// Items of one list that are read.
pub(crate) const ITEMS: usize = 10_000;
/// Bytes of one list after which no further page is read.
pub(crate) const LIST_BYTES: usize = 16 << 20;

impl Catalog {
    /// That of a server which comes while others run, in the place of an `old` one if there is one: what that one offered
    /// stays its name's, and what it may have offered is not the others' yet.
    pub(crate) fn late(old: Option<&Self>, others: Earlier) -> Self {
        let Some(old) = old else { return Self { earlier: others, ..Self::default() } };
        let was_read = Kind::ALL.into_iter().all(|kind| old.has_read(kind));
        let earlier = if was_read { others } else { Arc::clone(&old.earlier) };
        Self { earlier, offered: Mutex::new(old.offered()), ..Self::default() }
    }

    /// Whether the lists that say who has a name of this kind were ever read.
    pub(crate) fn has_read(&self, kind: Kind) -> bool {
        self.heard.load(Acquire) & kind.owners() == kind.owners()
    }

    /// What other servers offered before this one came.
    pub(crate) fn earlier(&self) -> Earlier {
        Arc::clone(&self.earlier)
    }

    /// The tool whose arguments may be repeated in headers; none for anything but a modern tool call.
    pub(crate) fn tool_with_mirrors(call: &Call) -> Option<&Arc<str>> {
        match call {
            Call::Message(message) if message.revision().is_modern() && message.is("tools/call") => message.target(),
            _ => None,
        }
    }

    /// The arguments that a tool repeats in headers. A request that repeats some, to a server whose tools are not known
    /// now, is refused: what cannot be compared is not passed on.
    pub(crate) async fn mirrors_of(
        &self,
        server: &Arc<Server>,
        tool: &str,
        headers: &HeaderMap,
    ) -> Result<Arc<[Mirror]>, Refusal> {
        match self.read(server).await {
            Ok(reading) => Ok(reading.mirrors.get(tool).cloned().unwrap_or_default()),
            Err(refusal) if headers.keys().any(|name| name.as_str().starts_with("mcp-param-")) => Err(refusal),
            Err(_) => Ok(Arc::default()),
        }
    }

    /// What is known, asked for if it is not known well enough.
    pub(crate) async fn read(&self, server: &Arc<Server>) -> Result<Arc<Reading>, Refusal> {
        if let Some(known) = self.fresh() {
            return known.answer();
        }
        let one_at_a_time = Arc::clone(&self.asking).lock_owned().await;
        if let Some(known) = self.fresh() {
            return known.answer();
        }
        let server = Arc::clone(server);
        // Whoever wanted it may leave: a child that is stopped half-way would be started anew each time.
        let asked = tokio::spawn(async move {
            let known = server.catalog.ask(&server).await;
            drop(one_at_a_time);
            known
        });
        asked.await.map_err(|error| Refusal::new(Reason::Internal).because(error))?.answer()
    }

    async fn ask(&self, server: &Server) -> Known {
        // A child may have to be fetched and started first.
        let patience = match &server.upstream {
            Upstream::Http(_) => ASK_TIMEOUT,
            Upstream::Stdio(_) => START_TIMEOUT,
        };
        let asked = match tokio::time::timeout(patience, ask(server)).await {
            Ok(asked) => asked,
            Err(_) => Err(Refusal::new(Reason::Timeout).because("a reading for the catalogue")),
        };
        let now = time::now().monotonic_ms;
        let known = match asked {
            Ok(reading) => Known { until_ms: now + KEPT_MS, up: true, reading: Some(reading) },
            Err(refusal) => {
                tracing::debug!(server = %server.name, cause = refusal.cause_for_log(), "the catalogue is unknown");
                Known { until_ms: now + RETRY_MS, up: false, reading: self.last() }
            }
        };
        self.saw(known.up);
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(known.clone());
        known
    }

    /// The last reading there was, however old.
    pub(crate) fn last(&self) -> Option<Arc<Reading>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.reading.clone()
    }

    /// Notes whether the server answered a question of ours.
    pub(crate) fn saw(&self, up: bool) {
        self.state.store(if up { UP } else { DOWN }, Relaxed);
        if up {
            self.late_until_ms.store(0, Relaxed);
        }
    }

    /// Notes that the server did not answer in time: for a while lists do not wait for it.
    pub(crate) fn was_late(&self) {
        self.saw(false);
        self.late_until_ms.store(time::now().monotonic_ms + LATE_MS, Relaxed);
    }

    /// Whether the server was late a moment ago and has not answered since.
    pub(crate) fn is_late(&self) -> bool {
        time::now().monotonic_ms < self.late_until_ms.load(Relaxed)
    }

    /// Whether the server answered when it was last asked, in a word.
    pub(crate) fn state(&self) -> &'static str {
        match self.state.load(Relaxed) {
            UP => "up",
            DOWN => "down",
            _ => "unknown",
        }
    }

    /// What the server offers, or ever did.
    pub(crate) fn offered(&self) -> Arc<Offered> {
        Arc::clone(&self.offered.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes what the server offers, for good, from a list that was read.
    pub(crate) fn learn<'n>(&self, kind: Kind, names: impl Iterator<Item = &'n str>) {
        self.note(kind, names);
        // Last: whoever sees that the list was read sees what is in it.
        self.heard.fetch_or(kind.bit(), Release);
    }

    fn note<'n>(&self, kind: Kind, names: impl Iterator<Item = &'n str>) {
        let mut offered = self.offered.lock().unwrap_or_else(PoisonError::into_inner);
        let noted = Arc::clone(&offered);
        let missing = |name: &&str| match kind {
            Kind::Tools => !noted.tools.has(name),
            Kind::Prompts => !noted.prompts.has(name),
            Kind::Resources => !noted.resources.has(name),
            Kind::Templates => !noted.resources.has_template(name),
        };
        for name in names.filter(missing) {
            let offered = Arc::make_mut(&mut offered);
            match kind {
                Kind::Tools => offered.tools.add(name),
                Kind::Prompts => offered.prompts.add(name),
                Kind::Resources => offered.resources.add(name),
                Kind::Templates => offered.resources.add_template(name),
            }
        }
    }

    fn fresh(&self) -> Option<Known> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        known.filter(|known| time::now().monotonic_ms < known.until_ms)
    }
}

impl Known {
    fn answer(self) -> Result<Arc<Reading>, Refusal> {
        let unknown =
            || Refusal::new(Reason::BackendUnavailable).because("the catalogue could not be read a moment ago");
        self.reading.filter(|_| self.up).ok_or_else(unknown)
    }
}

async fn ask(server: &Server) -> Result<Arc<Reading>, Refusal> {
    let reading = match reading(server, Era::Modern).await {
        Ok(reading) => reading,
        Err(_) => reading(server, Era::Legacy).await?,
    };
    Ok(Arc::new(reading))
}

async fn reading(server: &Server, era: Era) -> Result<Reading, Refusal> {
    let mut conversation = Conversation::open(server, era).await?;
    let capabilities = conversation.capabilities.clone();
    let declares = |kind: Kind| capabilities.as_ref().is_some_and(|can| can.contains_key(kind.capability()));
    // A server that says nothing of itself is asked for tools all the same.
    let tools = if capabilities.is_none() || declares(Kind::Tools) {
        pages(&mut conversation, Kind::Tools).await?
    } else {
        Vec::new()
    };
    learn(server, Kind::Tools, &tools);
    for kind in [Kind::Prompts, Kind::Resources, Kind::Templates] {
        // A server without the capability has no such list, and many with it have no templates.
        let items = if declares(kind) { pages(&mut conversation, kind).await } else { Ok(Vec::new()) };
        match items {
            Ok(items) => learn(server, kind, &items),
            Err(refusal) if is_no_such_method(&refusal, era) => learn(server, kind, &[]),
            Err(refusal) => {
                tracing::debug!(server = %server.name, method = kind.method(), cause = refusal.cause_for_log(), "no list");
            }
        }
    }
    conversation.close().await;
    let mirrors = tools.iter().filter_map(|tool| {
        let found = mirrors_of_schema(tool.get("inputSchema")?);
        (!found.is_empty()).then_some(())?;
        Some((Box::from(tool.get("name")?.as_str()?), Arc::from(found)))
    });
    let mirrors = mirrors.collect();
    let capabilities =
        capabilities.unwrap_or_else(|| Map::from_iter([("tools".to_owned(), Value::Object(Map::new()))]));
    Ok(Reading { mirrors, tools, modern: era == Era::Modern, capabilities })
}

/// Whether the server says that it has no such method: in 2026-07-28 by 404, for there are no sessions that could be
/// unknown.
fn is_no_such_method(refusal: &Refusal, era: Era) -> bool {
    refusal.reason() == Reason::UnknownMethod || era == Era::Modern && refusal.reason() == Reason::SessionUnknown
}

fn learn(server: &Server, kind: Kind, items: &[Value]) {
    server.catalog.learn(kind, items.iter().filter_map(|item| item.get(kind.name())?.as_str()));
}

/// Every page of a list, in one conversation.
async fn pages(conversation: &mut Conversation<'_>, kind: Kind) -> Result<Vec<Value>, Refusal> {
    let mut list = Vec::new();
    let mut cursor: Option<Value> = None;
    let before = conversation.heard;
    for _ in 0..PAGES {
        let mut params = Map::new();
        params.extend(cursor.take().map(|cursor| ("cursor".to_owned(), cursor)));
        let result = conversation.ask(kind.method(), params).await?;
        let items = result.get(kind.member()).and_then(Value::as_array);
        let items = items.ok_or_else(|| invalid(format_args!("{} without a list", kind.method())))?;
        list.extend(items.iter().take(ITEMS - list.len()).cloned());
        cursor = result.get("nextCursor").filter(|cursor| cursor.is_string()).cloned();
        if cursor.is_none() || list.len() == ITEMS || conversation.heard - before >= LIST_BYTES {
            break;
        }
    }
    Ok(list)
}
