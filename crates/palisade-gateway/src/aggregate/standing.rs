//! Streams that belong to no call: what servers say by themselves, gathered for one client.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use palisade_guard::message::Call;
use palisade_guard::refusal::{Reason, Refusal};
use tokio::sync::mpsc;
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::home::Home;
use super::joined::{Joined, Link};
use super::visit::{Visit, Way};
use crate::passage::Passage;
use crate::pipeline::{self, Caller, Door};
use crate::reply::Reply;
use crate::transport::sse::Event;
use crate::upstream::{Answer, Events, Server};

/// Events that wait for the client.
pub(super) const WAITING: usize = 256;
/// The first and the longest wait before a server's stream that ended is asked for again.
pub(super) const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// The legacy stream of GET: of every server that has a session, also of those that get one later; or the rest of one
/// server's broken stream.
pub(super) async fn stream(
    passage: &mut Passage,
    caller: &Caller<'_>,
    visit: &Visit,
    after: Option<Box<str>>,
) -> Result<Reply, Refusal> {
    passage.fact("parse", crate::arrival::must_accept_events(caller.headers))?;
    let Some(joined) = &visit.joined else {
        return passage.fact("session", Err(Refusal::new(Reason::SessionMissing)));
    };
    let Some(after) = after else {
        let (sender, mail) = mpsc::channel(WAITING);
        joined.state().standing = Some(sender.clone());
        for (name, link) in joined.links() {
            if let Some(server) = visit.server(&name) {
                follow(visit, joined, server, &link, &sender);
            }
        }
        let gathered =
            Gathered { mail, ended: Box::pin(joined.ended.clone().cancelled_owned()), _joined: Arc::clone(joined) };
        return Ok(Answer::Events(Box::new(gathered)).into());
    };
    let unknown =
        || Refusal::new(Reason::InvalidParams).says("Last-Event-ID is none of this session").at("Last-Event-ID");
    let found = after.split_once(':').and_then(|(server, id)| Some((visit.server(server)?.clone(), id)));
    let (server, id) = passage.fact("parse", found.ok_or_else(unknown))?;
    passage.record.facts.server = Some(Arc::clone(&server.name));
    let way = passage.fact("session", visit.way(&server).await)?;
    let mut headers = visit.headers(&way, "", None);
    if let Ok(id) = http::HeaderValue::from_str(id) {
        headers.insert(&palisade_guard::message::headers::LAST_EVENT, id);
    }
    let door = Door::One(Arc::clone(&server));
    let there = Caller { client: caller.client, principal: caller.principal.clone(), door, headers: &headers };
    let session = way.link().and_then(|link| link.session.as_ref());
    let call = Call::Stream { after: Some(id.into()) };
    let reply = pipeline::deed(&visit.gate, passage, &there, &server, session, call).await?;
    Ok(Home::resumed(visit, &server, &way).reply(reply))
}

/// Follows what a server says by itself, for as long as the client listens.
pub(super) fn follow(
    visit: &Visit,
    joined: &Arc<Joined>,
    server: &Arc<Server>,
    link: &Arc<Link>,
    to: &mpsc::Sender<Event>,
) {
    if !link.claim(to) {
        return;
    }
    let mut home = Home::of(visit, server, &Way::Legacy(Arc::clone(joined), Arc::clone(link)));
    let (visit, server, link, to) = (visit.clone(), Arc::clone(server), Arc::clone(link), to.clone());
    let (ended, withdrawn) = (joined.ended.clone(), link.withdrawn.clone());
    tokio::spawn(async move {
        let following = async {
            let mut wait = AGAIN.0;
            while let Some(said) = listen_to(&visit, &server, &link, &mut home, &to).await {
                wait = if said { AGAIN.0 } else { (wait * 2).min(AGAIN.1) };
                tokio::time::sleep(wait).await;
            }
        };
        tokio::select! {
            () = following => {}
            () = to.closed() => {}
            () = ended.cancelled() => {}
            () = withdrawn.cancelled() => {}
        }
    });
}

/// One stream of a server, to its end: whether anything came; `None` if there is no use in asking again.
async fn listen_to(
    visit: &Visit,
    server: &Arc<Server>,
    link: &Arc<Link>,
    home: &mut Home,
    to: &mpsc::Sender<Event>,
) -> Option<bool> {
    let way = home.way().clone();
    let mut headers = visit.headers(&way, "", None);
    headers.insert(http::header::ACCEPT, http::HeaderValue::from_static("text/event-stream"));
    headers.remove(http::header::CONTENT_TYPE);
    let answered = visit.send(server, &headers, Some(link), Call::Stream { after: None }).await;
    let mut events = match answered.map(|answered| answered.answer) {
        Ok(Answer::Events(events)) => Box::into_pin(events),
        Err(refusal) if matches!(refusal.reason(), Reason::BackendUnavailable | Reason::Timeout) => return Some(false),
        // No stream here, or no session any more.
        Ok(_) | Err(_) => return None,
    };
    let mut said = false;
    while let Some(Ok(event)) = std::future::poll_fn(|context| events.as_mut().poll_event(context)).await {
        said = true;
        if let Some(event) = home.event(event)
            && to.send(event).await.is_err()
        {
            return None;
        }
    }
    Some(said)
}

/// What several servers say, as it comes. Dropping it stops listening to them.
struct Gathered {
    mail: mpsc::Receiver<Event>,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
    _joined: Arc<Joined>,
}

impl Events for Gathered {
    fn poll_event(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Event, Refusal>>> {
        if self.ended.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        self.mail.poll_recv(context).map(|event| event.map(Ok))
    }
}
