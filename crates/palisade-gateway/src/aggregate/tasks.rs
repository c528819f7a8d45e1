//! Tasks of the aggregate: their ids are sealed to the caller and name their server, so that every question about one
//! finds its way home, and nobody else's does.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use palisade_guard::message::Message;
use palisade_guard::refusal::{Reason, Refusal};

use super::visit::Visit;
use crate::splice::quoted;
use crate::tasks;
use crate::upstream::Server;

/// The places of a server's message that name a task, and what stands there for this caller.
pub(super) fn sealed(visit: &Visit, server: &Server, message: &Bytes) -> Vec<(Range<usize>, String)> {
    let named = tasks::places(message).into_iter();
    named.filter_map(|(span, id)| Some((span, quoted(&seal(visit, server, &id)?)))).collect()
}

/// The id by which this caller knows a task of a server.
pub(super) fn seal(visit: &Visit, server: &Server, id: &str) -> Option<String> {
    let plain = format!("{} {id}", server.name);
    // The same task must have the same id each time, so the nonce is fixed: with this cipher (RFC 8452) that tells no
    // more than that two ids are equal.
    visit.gate.lasting.sealer.seal([0; 12], plain.as_bytes(), &[visit.principal.id(), "task"])
}

/// The same for a request about it. One that is not known and whose client has not declared tasks hears of the latter.
pub(super) fn asked(visit: &Visit, message: &Message, sealed: &str) -> Result<(Arc<Server>, String), Refusal> {
    opened(visit, sealed).map_err(|_| tasks::unknown(message))
}

/// The server that has a task, and the task's id there. Somebody else's is as unknown as one that never was.
pub(super) fn opened(visit: &Visit, sealed: &str) -> Result<(Arc<Server>, String), Refusal> {
    let plain = visit.gate.lasting.sealer.open(sealed.as_bytes(), &[visit.principal.id(), "task"]);
    let plain = plain.and_then(|plain| String::from_utf8(plain).ok());
    let found = plain.as_deref().and_then(|plain| plain.split_once(' '));
    let found = found.and_then(|(server, id)| Some((visit.server(server)?.clone(), id.to_owned())));
    found.ok_or_else(|| Refusal::new(Reason::InvalidParams).says("unknown task").at("/params/taskId"))
}
