//! Tasks of the aggregate: their ids are sealed to the caller and name their server, so that every question about one
//! finds its way home, and nobody else's does.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use palisade_guard::message::Message;
use palisade_guard::refusal::{Reason, Refusal};

use super::visit::Visit;
use crate::tasks;
use crate::upstream::Server;

/// The places of a server's message that name a task, and what stands there for this caller.
pub(super) fn sealed(visit: &Visit, server: &Server, message: &Bytes) -> Vec<(Range<usize>, String)> {
    visit.gate.lasting.tasks.shown(&visit.principal, server, message)
}

/// The id by which this caller knows a task of a server.
pub(super) fn seal(visit: &Visit, server: &Server, id: &str) -> Option<String> {
    visit.gate.lasting.tasks.seal(&visit.principal, server, id)
}

/// The same for a request about it. One that is not known and whose client has not declared tasks hears of the latter.
pub(super) fn asked(visit: &Visit, message: &Message, sealed: &str) -> Result<(Arc<Server>, String), Refusal> {
    opened(visit, sealed).map_err(|_| tasks::unknown(message))
}

/// The server that has a task, and the task's id there. Somebody else's is as unknown as one that never was.
pub(super) fn opened(visit: &Visit, sealed: &str) -> Result<(Arc<Server>, String), Refusal> {
    let found = visit.gate.lasting.tasks.open(&visit.principal, sealed);
    let found = found.and_then(|(server, id)| Some((visit.server(&server)?.clone(), id)));
    found.ok_or_else(|| Refusal::new(Reason::InvalidParams).says("unknown task").at("/params/taskId"))
}
