//! Lists of the aggregate: asked from every server side by side, merged in the servers' order.
//!
//! 1. An item is the server's own bytes; only its name is put in another form where it must be.
//! 2. Each server has `aggregate.timeout`; one that was late has little more than none for half a minute, unless it answers.
//!    What does not come in time, or not at all, is missing, and the list names the server under `dev.palisade/partial`.
//!    If no server answers, the list is an error.
//! 3. A long list comes in pages. A cursor says where the next page begins, by server and place, so that a server that
//!    comes or goes between two pages moves no other item.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use palisade_guard::message::{Message, json};
use palisade_guard::refusal::{Reason, Refusal};
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;

use super::visit::{View, Visit, Way};
use crate::passage::Passage;
use crate::random;
use crate::reply::Reply;
use crate::splice::{quoted, replace};
use crate::upstream::catalog::{ITEMS, Kind, LIST_BYTES, PAGES};
use crate::upstream::judge::BOUNDS;
use crate::upstream::{Server, invalid};

/// Items on one page of ours.
const PAGE: usize = 1000;
/// Bytes on one page of ours, beyond its first item.
const PAGE_BYTES: usize = 4 << 20;

/// How long a server has that was late a moment ago: enough for one that answers again.
const AT_ONCE: Duration = Duration::from_millis(250);

/// One item as its server wrote it.
pub(super) struct Item {
    bytes: Bytes,
    /// Where its name stands, with its quotes.
    at: Range<usize>,
    name: String,
}

/// Answers a list.
pub(super) async fn list(
    passage: &mut Passage,
    visit: &Visit,
    message: &Message,
    kind: Kind,
) -> Result<Reply, Refusal> {
    let from = match message.param(&["cursor"]) {
        Some((span, _)) => {
            let cursor = json::text_of(message.bytes().get(span).unwrap_or_default()).into_owned();
            Some(passage.fact("parse", opened(visit, kind, &cursor))?)
        }
        None => None,
    };
    passage.intend(&visit.gate).await?;
    let first = from.as_ref().map_or(0, |(server, _)| {
        visit.servers.iter().position(|other| other.name.as_ref() >= server.as_str()).unwrap_or(visit.servers.len())
    });
    let servers = visit.servers.get(first..).unwrap_or_default();
    let meta = shared_meta(message);
    let lists = from_each(visit.patience(), servers, |server| {
        let (visit, meta) = (visit.clone(), meta.clone());
        async move { whole(&visit, &server, kind, meta).await }
    });
    let lists = lists.await;
    if let Some(Err(refusal)) = lists.first().filter(|_| lists.iter().all(Result::is_err)) {
        return passage.fact("forward", Err(refusal.clone()));
    }
    // A server may have failed in this caller's era alone.
    visit.settle(kind).await;
    let names = visit.names(kind);
    let names = names.view();
    let mut page = Page::default();
    for (place, answered) in (first..).zip(lists) {
        let Some(server) = visit.servers.get(place) else { break };
        let skip = from.as_ref().filter(|(name, _)| **name == *server.name).map_or(0, |(_, skip)| *skip);
        match answered {
            Ok(items) => page.take(visit, &names, place, &server.name, items.iter().enumerate().skip(skip)),
            Err(refusal) => page.misses(&server.name, &refusal),
        }
    }
    let cursor = page.next.take().and_then(|(server, skip)| sealed(visit, kind, &server, skip));
    Ok(super::result(message, &page.written(kind, cursor, message.revision().is_modern())))
}

/// Asks each server at the same time; each has `patience` to answer. One that was late a moment ago is not waited for.
pub(crate) async fn from_each<T, F>(
    patience: Duration,
    servers: &[Arc<Server>],
    ask: impl Fn(Arc<Server>) -> F,
) -> Vec<Result<T, Refusal>>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Refusal>> + Send + 'static,
{
    let begin = |server: &Arc<Server>| {
        let patience = if server.catalog.is_late() { AT_ONCE.min(patience) } else { patience };
        let asking = tokio::time::timeout(patience, ask(Arc::clone(server)));
        AbortOnDropHandle::new(tokio::spawn(asking))
    };
    let asked: Vec<_> = servers.iter().map(begin).collect();
    let mut answers = Vec::with_capacity(asked.len());
    for (server, answer) in servers.iter().zip(asked) {
        answers.push(match answer.await {
            Ok(Ok(answer)) => {
                server.catalog.saw(answer.is_ok());
                answer
            }
            Ok(Err(_)) => {
                if !server.catalog.is_late() {
                    server.catalog.was_late();
                }
                Err(Refusal::new(Reason::Timeout).because("aggregate.timeout"))
            }
            Err(error) => Err(Refusal::new(Reason::Internal).because(error)),
        });
    }
    answers
}

/// The whole list of one server; empty where it has no such list. A server that has forgotten its session gets another.
async fn whole(visit: &Visit, server: &Arc<Server>, kind: Kind, meta: Option<Bytes>) -> Result<Vec<Item>, Refusal> {
    let way = visit.way(server).await?;
    match read_all(visit, server, &way, kind, meta.as_ref()).await {
        Err(refusal) if refusal.reason() == Reason::SessionUnknown => {
            if let Way::Legacy(joined, link) = &way {
                joined.forget(&server.name, link);
            }
            let way = visit.way(server).await?;
            read_all(visit, server, &way, kind, meta.as_ref()).await
        }
        read => read,
    }
}

async fn read_all(
    visit: &Visit,
    server: &Arc<Server>,
    way: &Way,
    kind: Kind,
    meta: Option<&Bytes>,
) -> Result<Vec<Item>, Refusal> {
    let meta = meta.filter(|_| matches!(way, Way::Modern));
    let mut items = Vec::new();
    let (mut cursor, mut heard): (Option<Bytes>, usize) = (None, 0);
    for _ in 0..PAGES {
        let body = question(way, kind, meta, cursor.as_ref());
        let answer = visit.ask(server, way, kind.method(), body).await?;
        heard += answer.len();
        let Some((result, _)) = json::find(&answer, 0..answer.len(), &["result"]) else {
            no_such_list(&answer)?;
            break;
        };
        read_items(&answer, result.clone(), kind, &mut items)?;
        let next = json::find(&answer, result, &["nextCursor"]).filter(|(_, kind)| *kind == json::Kind::String);
        cursor = next.map(|(span, _)| answer.slice(span));
        if cursor.is_none() || items.len() >= ITEMS || heard >= LIST_BYTES {
            break;
        }
    }
    items.truncate(ITEMS);
    server.catalog.learn(kind, items.iter().map(|item| item.name.as_str()));
    Ok(items)
}

/// What of the caller's `_meta` is said to every server: what the protocol asks for, and the trace. A progress token is
/// for one answer, and what else a caller writes may be meant for one server.
fn shared_meta(message: &Message) -> Option<Bytes> {
    let (span, _) = message.param(&["_meta"])?;
    let text = message.bytes().get(span)?;
    let outline = json::scan(text, BOUNDS).ok()?;
    let mut meta = Vec::new();
    for (_, member) in outline.children(None) {
        let key = outline.key(text, member);
        if key.starts_with(b"io.modelcontextprotocol/") || TRACE.contains(&key) {
            meta.push(if meta.is_empty() { b'{' } else { b',' });
            meta.extend_from_slice(quoted(&String::from_utf8_lossy(key)).as_bytes());
            meta.push(b':');
            meta.extend_from_slice(text.get(member.value.clone())?);
        }
    }
    meta.push(b'}');
    Some(Bytes::from(meta)).filter(|meta| meta.len() > 1)
}

/// Keys of `_meta` that carry a trace (2026-07-28, basic, `_meta`).
const TRACE: [&[u8]; 3] = [b"traceparent", b"tracestate", b"baggage"];

/// The question for one page; `cursor` as the server wrote it.
fn question(way: &Way, kind: Kind, meta: Option<&Bytes>, cursor: Option<&Bytes>) -> Bytes {
    // In a session the client's ids are numbers or texts of its own: ours is like none of them.
    let id = match way {
        Way::Modern => "1".to_owned(),
        Way::Legacy(joined, _) => format!("\"dev.palisade/{}\"", joined.number()),
    };
    let mut body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{}","params":{{"#, kind.method()).into_bytes();
    if let Some(meta) = meta {
        body.extend_from_slice(br#""_meta":"#);
        body.extend_from_slice(meta);
    }
    if let Some(cursor) = cursor {
        body.extend_from_slice(if meta.is_some() { br#","cursor":"# } else { br#""cursor":"# });
        body.extend_from_slice(cursor);
    }
    body.extend_from_slice(b"}}");
    Bytes::from(body)
}

/// An error that says that there is no such list is an empty list; any other one is trouble.
fn no_such_list(answer: &Bytes) -> Result<(), Refusal> {
    let code = json::find(answer, 0..answer.len(), &["error", "code"]).and_then(|(span, _)| answer.get(span));
    if code == Some(b"-32601") { Ok(()) } else { Err(invalid("a list was answered with an error")) }
}

fn read_items(answer: &Bytes, result: Range<usize>, kind: Kind, items: &mut Vec<Item>) -> Result<(), Refusal> {
    let list = json::find(answer, result, &[kind.member()]).filter(|(_, kind)| *kind == json::Kind::Array);
    let (list, _) = list.ok_or_else(|| invalid(format_args!("{} without a list", kind.method())))?;
    let list = answer.slice(list);
    let outline = json::scan(&list, BOUNDS).map_err(|fault| invalid(format_args!("{fault:?}")))?;
    for (_, element) in outline.children(None) {
        let bytes = list.slice(element.value.clone());
        let name = json::find(&bytes, 0..bytes.len(), &[kind.name()]).filter(|(_, kind)| *kind == json::Kind::String);
        // What has no name cannot be called.
        if let Some((at, _)) = name {
            let name = json::text_of(bytes.get(at.clone()).unwrap_or_default()).into_owned();
            items.push(Item { bytes, at, name });
        }
    }
    Ok(())
}

/// One page of a merged list.
#[derive(Default)]
struct Page {
    items: Vec<Bytes>,
    bytes: usize,
    partial: Vec<Value>,
    /// Where the next page begins: server and place.
    next: Option<(Arc<str>, usize)>,
}

impl Page {
    fn take<'i>(
        &mut self,
        visit: &Visit,
        names: &View<'_>,
        place: usize,
        server: &Arc<str>,
        items: impl Iterator<Item = (usize, &'i Item)>,
    ) {
        let asker = visit.asker();
        let may_list = |name: &str| asker.may_list(names.thing(), server, name);
        for (number, item) in items {
            if self.next.is_some() {
                return;
            }
            if !may_list(&item.name) {
                continue;
            }
            let shown = names.shown(place, &item.name);
            if names.is_for_tools() && !visit.gate.message.tool_names.allow(&shown) {
                tracing::warn!(%server, "a tool is left out: its name would be too long, or not valid");
                self.misses(server, &Refusal::new(Reason::UnknownTool));
                continue;
            }
            let bytes = if shown == item.name {
                item.bytes.clone()
            } else {
                replace(&item.bytes, vec![(item.at.clone(), quoted(&shown))])
            };
            if self.items.len() >= PAGE || !self.items.is_empty() && self.bytes + bytes.len() > PAGE_BYTES {
                self.next = Some((Arc::clone(server), number));
                return;
            }
            self.bytes += bytes.len();
            self.items.push(bytes);
        }
    }

    /// Something of this server is missing.
    fn misses(&mut self, server: &Arc<str>, refusal: &Refusal) {
        let (code, reason) = refusal.reason().row().code.names();
        let entry = json!({"server": server.as_ref(), "code": code, "reason": reason});
        if self.partial.contains(&entry) {
            return;
        }
        tracing::warn!(%server, code, cause = refusal.cause_for_log().unwrap_or_default(), "a list goes without it");
        self.partial.push(entry);
    }

    /// The result, in the form of its era.
    fn written(&self, kind: Kind, cursor: Option<String>, modern: bool) -> String {
        let mut out = String::with_capacity(self.bytes + self.items.len() + 256);
        let _ = write!(out, r#"{{"{}":["#, kind.member());
        for (number, item) in self.items.iter().enumerate() {
            if number > 0 {
                out.push(',');
            }
            out.push_str(&String::from_utf8_lossy(item));
        }
        out.push(']');
        let mut rest = serde_json::Map::new();
        rest.extend(cursor.map(|cursor| ("nextCursor".to_owned(), Value::from(cursor))));
        let mut meta = serde_json::Map::new();
        if !self.partial.is_empty() {
            meta.insert(PARTIAL.into(), self.partial.clone().into());
        }
        if modern {
            meta.insert("io.modelcontextprotocol/serverInfo".into(), super::opening::server_info());
            rest.insert("resultType".into(), "complete".into());
            rest.insert("ttlMs".into(), 0.into());
            rest.insert("cacheScope".into(), "private".into());
        }
        if !meta.is_empty() {
            rest.insert("_meta".into(), meta.into());
        }
        for (name, value) in rest {
            let _ = write!(out, ",{}:{value}", quoted(&name));
        }
        out.push('}');
        out
    }
}

/// Where a list says what it goes without. The prefix is ours (2026-07-28, basic, `_meta`).
const PARTIAL: &str = "dev.palisade/partial";

/// Where the next page begins, for this caller and this list alone.
fn sealed(visit: &Visit, kind: Kind, server: &str, skip: usize) -> Option<String> {
    let plain = format!("{skip} {server}");
    visit.gate.lasting.sealer.seal(random::bytes(), plain.as_bytes(), &[visit.principal.id(), "cursor", kind.method()])
}

fn opened(visit: &Visit, kind: Kind, cursor: &str) -> Result<(String, usize), Refusal> {
    let plain = visit.gate.lasting.sealer.open(cursor.as_bytes(), &[visit.principal.id(), "cursor", kind.method()]);
    let read = |plain: Vec<u8>| {
        let plain = String::from_utf8(plain).ok()?;
        let (skip, server) = plain.split_once(' ')?;
        Some((server.to_owned(), skip.parse().ok()?))
    };
    plain
        .and_then(read)
        .ok_or_else(|| Refusal::new(Reason::InvalidParams).says("cursor is none of this list").at("/params/cursor"))
}
