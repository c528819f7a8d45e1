//! What the caller says that is no request: responses to servers' requests, notifications, and how much to log.

use std::sync::Arc;

use bytes::Bytes;
use palisade_guard::message::Message;
use palisade_guard::refusal::{Reason, Refusal};

use super::home::number_at;
use super::joined::{Joined, Link};
use super::visit::{Visit, Way};
use crate::passage::Passage;
use crate::reply::Reply;
use crate::splice::replace;
use crate::upstream::{Answer, Server};

/// The caller's response to a request of a server.
pub(super) async fn respond(passage: &mut Passage, visit: &Visit, message: &Message) -> Result<Reply, Refusal> {
    let unknown = || Refusal::new(Reason::NotAMessage).says("no request of a server has this id").at("/id");
    let (Some(joined), Some(span)) = (&visit.joined, message.id_span().cloned()) else { return Err(unknown()) };
    let number = number_at(message.bytes(), &span).ok_or_else(unknown)?;
    let asked = joined.state().answered(number).ok_or_else(unknown)?;
    let (server, way) = open_way(visit, joined, &asked.server).ok_or_else(unknown)?;
    passage.record.facts.server = Some(Arc::clone(&server.name));
    visit.tell(&server, &way, replace(message.bytes(), vec![(span, asked.id)])).await?;
    Ok(Answer::Accepted.into())
}

/// What the caller tells: to the server it is about, or to all that are listening.
pub(super) async fn notify(
    passage: &mut Passage,
    visit: &Visit,
    message: &Message,
    method: &str,
) -> Result<Reply, Refusal> {
    let bytes = message.bytes();
    let Some(joined) = &visit.joined else { return Ok(Answer::Accepted.into()) };
    let to: Vec<(Arc<str>, Bytes)> = match (method, message.param(&["requestId"]), message.param(&["progressToken"])) {
        ("notifications/cancelled", Some((span, _)), _) => {
            let id = bytes.slice(span);
            let state = joined.state();
            let sent = state.sent.iter().rev().find(|sent| sent.id == id);
            sent.map(|sent| (Arc::clone(&sent.server), bytes.clone())).into_iter().collect()
        }
        ("notifications/progress", _, Some((span, _))) => {
            let state = joined.state();
            let asked =
                number_at(bytes, &span).and_then(|number| state.asked.iter().find(|asked| asked.number == number));
            let told = asked.and_then(|asked| Some((&asked.server, asked.token.as_ref()?)));
            told.map(|(server, token)| (Arc::clone(server), replace(bytes, vec![(span, token)]))).into_iter().collect()
        }
        ("notifications/roots/list_changed", ..) => {
            joined.links().into_iter().map(|(server, _)| (server, bytes.clone())).collect()
        }
        _ => Vec::new(),
    };
    for (server, bytes) in to {
        let Some((server, way)) = open_way(visit, joined, &server) else { continue };
        passage.record.facts.server = Some(Arc::clone(&server.name));
        if let Err(refusal) = visit.tell(&server, &way, bytes).await {
            tracing::debug!(server = %server.name, cause = refusal.cause_for_log(), "a notification was not taken");
        }
    }
    Ok(Answer::Accepted.into())
}

/// A server and the session with it, if the caller may see the one and has the other.
fn open_way(visit: &Visit, joined: &Arc<Joined>, server: &str) -> Option<(Arc<Server>, Way)> {
    let server = visit.server(server)?;
    let link: Arc<Link> = joined.links().into_iter().find(|(name, _)| *name == server.name)?.1;
    Some((Arc::clone(server), Way::Legacy(Arc::clone(joined), link)))
}

/// Every server logs from this level on: those that are open now, and later the others.
pub(super) async fn set_level(visit: &Visit, message: &Message) {
    let (Some(joined), Some((span, _))) = (&visit.joined, message.param(&["level"])) else { return };
    let level = message.bytes().slice(span);
    joined.state().level = Some(level.clone());
    let open: Vec<_> = joined.links().into_iter().filter_map(|(name, _)| visit.server(&name).cloned()).collect();
    let told = super::lists::from_each(visit.patience(), &open, |server| {
        let (visit, level) = (visit.clone(), level.clone());
        async move {
            let way = visit.way(&server).await?;
            tell_level(&visit, &server, &way, &level).await;
            Ok(())
        }
    });
    drop(told.await);
}

/// Tells one server how much to log. One that does not log says so, which is no trouble.
pub(super) async fn tell_level(visit: &Visit, server: &Arc<Server>, way: &Way, level: &Bytes) {
    let Way::Legacy(joined, _) = way else { return };
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":"dev.palisade/{}","method":"logging/setLevel","params":{{"level":{}}}}}"#,
        joined.number(),
        String::from_utf8_lossy(level)
    );
    if let Err(refusal) = visit.ask(server, way, "logging/setLevel", Bytes::from(body)).await {
        tracing::debug!(server = %server.name, cause = refusal.cause_for_log(), "the server took no level");
    }
}
