//! The aggregate at `/mcp`: all servers that a caller may see, as one.
//!
//! 1. A call that names something is one server's. Which one is found from its name (`palisade_guard::naming`); then the
//!    message, with the server's own name in the place of the aggregate's, is judged anew and takes the same way as a
//!    call to that server alone (`pipeline::deed`).
//! 2. A list is asked from every server side by side, each question with its own permit. What a server does not say in
//!    time is missing, and the list says so under `dev.palisade/partial`.
//! 3. A legacy client has one session with us, and through it one with each server that it used (`joined`). A legacy
//!    server that a modern caller uses has one for that caller.

mod home;
mod joined;
mod listen;
mod lists;
mod named;
mod opening;
mod slot;
mod standing;
mod table;
mod tasks;
mod told;
mod visit;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use palisade_guard::authenticate::Principal;
use palisade_guard::message::{Call, Form, Message};
use palisade_guard::naming::Style;
use palisade_guard::refusal::{Reason, Refusal};

use crate::config;
use crate::passage::Passage;
use crate::pipeline::{Caller, Door};
use crate::reply::Reply;
use crate::session::Resumed;
use crate::snapshot::Snapshot;
use crate::upstream::catalog::Kind;
use crate::upstream::{Answer, Response, Server};

pub(crate) use lists::from_each;
pub(crate) use table::Table;
use visit::{Names, Visit};

/// What the aggregate is made of.
pub(crate) struct Aggregate {
    always: bool,
    /// How long one server may take for its part of a list.
    pub(crate) patience: Duration,
    max_sessions: usize,
}

impl Aggregate {
    /// From its settings.
    pub(crate) fn new(settings: &config::Aggregate) -> Self {
        let always = settings.prefix == config::Prefix::Always;
        Self { always, patience: settings.timeout, max_sessions: settings.max_sessions }
    }

    const fn names(&self) -> Style {
        Style::names(self.always)
    }
}

/// What stands behind `/mcp` for a caller: one server alone is that server, as it is.
pub(crate) fn door(gate: &Snapshot, caller: &Principal, address: IpAddr) -> Result<Door, Refusal> {
    let seen: Vec<_> = seen(gate, caller, address).cloned().collect();
    match seen.as_slice() {
        [] => Err(Refusal::new(Reason::UnknownPath).because("the caller may see no server")),
        [server] if !gate.aggregate.always => Ok(Door::One(Arc::clone(server))),
        _ => Ok(Door::All(Arc::from(seen))),
    }
}

/// The servers that a caller may see from an address, in order.
pub(crate) fn seen<'g>(
    gate: &'g Snapshot,
    caller: &'g Principal,
    address: IpAddr,
) -> impl Iterator<Item = &'g Arc<Server>> {
    let servers = gate.servers.values();
    let asker = gate.asker(caller, address);
    servers.filter(move |server| server.is_open_to(&asker) && server.lists.judge(address).is_ok())
}

/// How the tools of these servers are called at `/mcp`: by the server's place and the tool's name. One alone is as it is.
pub(crate) fn tool_names(gate: &Snapshot, servers: &[Arc<Server>]) -> Names {
    let alone = servers.len() == 1 && !gate.aggregate.always;
    Names::of(if alone { &[] } else { servers }, Kind::Tools, gate.aggregate.names())
}

/// Answers one call on the aggregate.
pub(crate) async fn answer(
    gate: &Arc<Snapshot>,
    passage: &mut Passage,
    caller: &Caller<'_>,
    servers: &Arc<[Arc<Server>]>,
    session: Option<&Resumed>,
    call: Call,
) -> Result<Reply, Refusal> {
    passage.called(&call);
    let joined = match session {
        Some(resumed) => Some(passage.fact("session", gate.lasting.joined.find(resumed))?),
        None => None,
    };
    let visit = Visit::new(gate, caller, servers, joined);
    match call {
        Call::Message(message) => said(passage, caller, &visit, message).await,
        Call::Stream { after } => standing::stream(passage, caller, &visit, after).await,
        Call::End => {
            if let Some(resumed) = session {
                gate.lasting.joined.end(resumed);
            }
            Ok(Answer::Ended.into())
        }
    }
}

async fn said(passage: &mut Passage, caller: &Caller<'_>, visit: &Visit, message: Message) -> Result<Reply, Refusal> {
    passage.fact("parse", crate::arrival::must_accept_both(caller.headers, &message))?;
    let modern = message.revision().is_modern();
    if !modern && visit.joined.is_none() && !message.is("initialize") {
        return passage.fact("session", Err(Refusal::new(Reason::SessionMissing)));
    }
    match (message.form(), message.method_name().unwrap_or_default()) {
        (None, _) => {
            let home = told::respond(passage, visit, &message).await;
            passage.fact("forward", home)
        }
        (Some(Form::Notification), method) => {
            let told = told::notify(passage, visit, &message, method).await;
            passage.fact("forward", told)
        }
        (_, "initialize") => opening::initialize(passage, caller, visit, &message).await,
        (_, "server/discover") => Ok(opening::discover(visit, &message).await),
        (_, "ping") => Ok(result(&message, "{}")),
        (_, "logging/setLevel") => {
            passage.intend(&visit.gate).await?;
            told::set_level(visit, &message).await;
            Ok(result(&message, "{}"))
        }
        (_, "subscriptions/listen") => listen::listen(passage, visit, &message).await,
        (_, method) => match Kind::listed_by(method) {
            Some(kind) => lists::list(passage, visit, &message, kind).await,
            None => named::call(passage, caller, visit, message).await,
        },
    }
}

/// A response of our own with this result.
fn result(message: &Message, result: &str) -> Reply {
    let id = message.id().unwrap_or_default();
    let id = String::from_utf8_lossy(&id);
    let bytes = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#).into();
    Answer::Message(Response { bytes, error: None, status: None }).into()
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Self::Mcp { answer, handle: None }
    }
}
