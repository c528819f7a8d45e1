//! Calls that name something: the server that is meant is found, and the call goes its way as if made to that server.
//!
//! The name in the message becomes the server's own, in its place; nothing else of the message is touched, but for a
//! modern caller of a legacy server: its id and progress token become ours, for two calls of one caller may be under way
//! in one session, and `_meta` loses what only 2026-07-28 knows. The new message is judged from its first byte on, and
//! its headers are written for it.

use std::sync::Arc;

use bytes::Bytes;
use palisade_guard::message::{Message, Method, Target, json};
use palisade_guard::naming::Addressed;
use palisade_guard::refusal::{Detail, Reason, Refusal};

use super::home::{Home, PutBack};
use super::lists::from_each;
use super::tasks;
use super::visit::{Visit, Way};
use crate::passage::{Passage, Speaks};
use crate::pipeline::{self, Caller, Door};
use crate::reply::Reply;
use crate::splice::{quoted, replace};
use crate::upstream::Server;
use crate::upstream::catalog::Kind;

/// The server that is meant, and the name there.
struct Meant {
    server: Arc<Server>,
    name: String,
}

/// Answers a call that names a tool, a prompt, a resource or a task.
pub(super) async fn call(
    passage: &mut Passage,
    caller: &Caller<'_>,
    visit: &Visit,
    message: Message,
) -> Result<Reply, Refusal> {
    let path = path(&message).ok_or_else(|| Refusal::new(Reason::UnknownMethod).at("/method"));
    let path = passage.fact("parse", path)?;
    let meant = meant(visit, &message).await;
    let meant = passage.fact("resolve", meant)?;
    passage.record.facts.server = Some(Arc::clone(&meant.server.name));
    let reply = match once(passage, caller, visit, &message, path, &meant).await {
        // The server has forgotten its session, so it has not done anything: once more, in a new one.
        Ok(Outcome::Forgotten) => match once(passage, caller, visit, &message, path, &meant).await {
            Ok(Outcome::Forgotten) => {
                let refusal = Refusal::new(Reason::BackendUnavailable).because("a new session was forgotten at once");
                passage.fact("forward", Err(refusal))
            }
            Ok(Outcome::Done(reply)) => Ok(reply),
            Err(refusal) => Err(refusal),
        },
        Ok(Outcome::Done(reply)) => Ok(reply),
        Err(refusal) => Err(refusal),
    };
    // The reply is the caller's, whatever was said to the server.
    if let Speaks::Mcp { modern, .. } = &mut passage.speaks {
        *modern = message.revision().is_modern();
    }
    passage.record.facts.rpc_id = message.id();
    reply
}

enum Outcome {
    Done(Reply),
    /// The server does not know its session any more.
    Forgotten,
}

async fn once(
    passage: &mut Passage,
    caller: &Caller<'_>,
    visit: &Visit,
    message: &Message,
    path: &'static [&'static str],
    meant: &Meant,
) -> Result<Outcome, Refusal> {
    let server = &meant.server;
    let way = passage.fact("session", visit.way(server).await)?;
    let (bytes, put_back) = written(message, &way, path, &meant.name);
    let mirrored = message.method().is_some_and(Method::is_mirrored);
    let name = mirrored.then_some(meant.name.as_str());
    let headers = visit.headers(&way, message.method_name().unwrap_or_default(), name);
    let link = way.link();
    let call = passage.fact("parse", visit.judged(&headers, link.map(|link| link.revision), bytes))?;
    let home = Home::for_call(visit, server, &way, message, put_back);
    let door = Door::One(Arc::clone(server));
    let there = Caller { client: caller.client, principal: caller.principal.clone(), door, headers: &headers };
    let session = link.and_then(|link| link.session.as_ref());
    match pipeline::deed(&visit.gate, passage, &there, server, session, call).await {
        Ok(reply) => Ok(Outcome::Done(home.reply(reply))),
        Err(refusal) if refusal.reason() == Reason::SessionUnknown => {
            home.settle();
            passage.record.facts.try_again();
            if let Way::Legacy(joined, link) = &way {
                joined.forget(&server.name, link);
            }
            Ok(Outcome::Forgotten)
        }
        Err(refusal) => {
            home.settle();
            Err(refusal)
        }
    }
}

/// Where a method names what it acts on; `None` for methods that name nothing.
fn path(message: &Message) -> Option<&'static [&'static str]> {
    match message.method()?.target {
        Target::Tool | Target::Name => Some(&["name"]),
        Target::Uri => Some(&["uri"]),
        Target::Task => Some(&["taskId"]),
        Target::Reference => match message.param(&["ref", "name"]) {
            Some(_) if is_prompt(message) => Some(&["ref", "name"]),
            _ => Some(&["ref", "uri"]),
        },
        Target::Nothing | Target::Listen => None,
    }
}

fn is_prompt(message: &Message) -> bool {
    let kind = message.param(&["ref", "type"]).and_then(|(span, _)| message.bytes().get(span));
    kind.is_some_and(|kind| json::text_of(kind) == "ref/prompt")
}

/// Finds the server that a call is for.
async fn meant(visit: &Visit, message: &Message) -> Result<Meant, Refusal> {
    let target = message.target().map(AsRef::as_ref).unwrap_or_default();
    let kind = match message.method().map(|method| method.target) {
        Some(Target::Task) => {
            let (server, name) = tasks::asked(visit, message, target)?;
            return Ok(Meant { server, name });
        }
        Some(Target::Tool) => Kind::Tools,
        Some(Target::Name) => Kind::Prompts,
        Some(Target::Reference) if is_prompt(message) => Kind::Prompts,
        _ => Kind::Resources,
    };
    match found(visit, kind, target)? {
        Found::One(meant) => return Ok(meant),
        Found::Unsettled { .. } => visit.settle(kind).await,
        // Nobody is known to offer it, but not everybody may be known well enough.
        Found::Nobody => {
            let read = |server: Arc<Server>| async move { server.catalog.read(&server).await };
            drop(from_each(visit.patience(), &visit.servers, read).await);
        }
    }
    match found(visit, kind, target)? {
        Found::One(meant) => Ok(meant),
        Found::Unsettled { in_full } => {
            let words =
                format!("say which server is meant, as {in_full:?}: another one has not said yet what it offers");
            Err(unknown(kind, target).says(words).with("name", Detail::Text(in_full.into())))
        }
        Found::Nobody => Err(unknown(kind, target)),
    }
}

/// What a name addresses now.
enum Found {
    One(Meant),
    /// Known of one server alone, but of another one nothing is known yet; in full it is that one's.
    Unsettled {
        in_full: String,
    },
    Nobody,
}

fn found(visit: &Visit, kind: Kind, target: &str) -> Result<Found, Refusal> {
    let names = visit.names(kind);
    let names = names.view();
    match names.address(target) {
        Addressed::One { server, name } => {
            let server = visit.servers.get(server).cloned();
            Ok(server.map_or(Found::Nobody, |server| Found::One(Meant { server, name: name.to_owned() })))
        }
        Addressed::Unsettled { server } => Ok(Found::Unsettled { in_full: names.in_full(server, target) }),
        Addressed::Nobody => Ok(Found::Nobody),
        Addressed::Several(places) => {
            let servers = places.iter().filter_map(|place| visit.servers.get(*place));
            let servers: Vec<_> = servers.map(|server| server.name.as_ref()).collect();
            let mark = if kind == Kind::Resources { '+' } else { '.' };
            let words = format!("several servers offer this: say which with its name and \"{mark}\" in front");
            Err(unknown(kind, target).says(words).with("servers", Detail::Text(servers.join(", ").into())))
        }
    }
}

fn unknown(kind: Kind, target: &str) -> Refusal {
    match kind {
        Kind::Tools => Refusal::new(Reason::UnknownTool).at("/params/name"),
        Kind::Prompts => Refusal::new(Reason::InvalidParams).says("unknown prompt"),
        Kind::Resources | Kind::Templates => {
            let uri = Detail::Text(target.to_owned().into());
            Refusal::new(Reason::InvalidParams).says("no server lists this resource").with("uri", uri)
        }
    }
}

/// The message as the server gets it, and what its answer must be put back to.
fn written(message: &Message, way: &Way, path: &[&str], name: &str) -> (Bytes, Option<PutBack>) {
    let mut places = Vec::new();
    if let Some((span, _)) = message.param(path)
        && message.bytes().get(span.clone()).is_some_and(|said| json::text_of(said) != name)
    {
        places.push((span, quoted(name)));
    }
    let mut put_back = None;
    if let Way::Legacy(joined, _) = way
        && joined.modern
    {
        let number = joined.number();
        let token = message.progress_token().map(|span| message.bytes().slice(span));
        let meta = if token.is_some() { format!(r#"{{"progressToken":{number}}}"#) } else { "{}".to_owned() };
        places.extend(message.param(&["_meta"]).map(|(span, _)| (span, meta)));
        places.extend(message.id_span().map(|span| (span.clone(), number.to_string())));
        put_back =
            Some(PutBack { number, id: message.id().unwrap_or_default(), token, cached: message.is("resources/read") });
    }
    (replace(message.bytes(), places), put_back)
}
