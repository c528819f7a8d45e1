//! The life of one call, top to bottom. Every request ends up here, in this order and no other.
//! Why each stage stands where it stands: docs/ordering.md.
//!
//! Boxed are the futures that a common call does not need: a call's own future is made anew for each call, and moved.
//!
//! Skipping a stage does not compile: `authorize` takes the `Principal` that only `authenticate` makes, `validate` takes
//! the `Permit` that only `authorize` makes, and `forward` takes the `Vetted` that only `validate` makes.

use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, Response, request};
use palisade_guard::audit::record::Outcome;
use palisade_guard::authenticate::Principal;
use palisade_guard::identify::client_address::{self, Client};
use palisade_guard::limit::subject::Subject;
use palisade_guard::message::{self, Body as Messages, Call, Envelope, Facts, Form, Revision, agree};
use palisade_guard::refusal::{Reason, Refusal};
use palisade_guard::{authorize, edge, validate};

use crate::admin;
use crate::aggregate;
use crate::arrival;
use crate::batch;
use crate::caller;
use crate::current::Current;
use crate::ending::Grounds;
use crate::idempotency::{self, Claim};
use crate::passage::Passage;
use crate::projected::Projection;
use crate::reply::{self, Reply};
use crate::route::{self, Route};
use crate::session::{self, Resumed};
use crate::snapshot::Snapshot;
use crate::tasks;
use crate::transport::body::Body;
use crate::transport::http::{Arrival, Content};
use crate::transport::places::Place;
use crate::transport::tls::Secured;
use crate::upstream::catalog::Catalog;
use crate::upstream::{Answer, Answered, Server};

/// Answers one arrival. There is always a reply and always exactly one record: it is opened before anything can refuse
/// and closes with the last byte of the answer.
pub(crate) async fn answer(current: &Current, arrival: Arrival) -> Response<Body> {
    // One request sees one configuration, whatever is loaded meanwhile.
    let gate = &current.snapshot();
    let mut passage = Passage::open(gate, &arrival);
    // Boxed: the future of a whole call is large, and would be moved several times on its way into its connection.
    let outcome = arrival::catch(Box::pin(run(gate, &mut passage, arrival))).await.unwrap_or_else(|_panic| {
        passage.record.facts.outcome = Outcome::Panicked;
        Err(Refusal::new(Reason::Internal).because("a panic"))
    });
    reply::seal(current, gate, passage, outcome)
}

async fn run(gate: &Arc<Snapshot>, passage: &mut Passage, arrival: Arrival) -> Result<Reply, Refusal> {
    let Arrival { head, body, peer, place, secured } = arrival;
    let outcome = judged(gate, passage, &head, body, peer, (place, secured)).await;
    outcome.map_err(|refusal| caller::complete(gate, &caller::presented(&head, passage.secure, passage.now), refusal))
}

async fn judged(
    gate: &Arc<Snapshot>,
    passage: &mut Passage,
    head: &request::Parts,
    mut body: Content,
    peer: Option<SocketAddr>,
    (place, secured): (Option<Arc<Place>>, Option<Arc<Secured>>),
) -> Result<Reply, Refusal> {
    let headers = &head.headers;
    let route = route::find(gate, head.uri.path());
    passage.speak(head.uri.path(), headers);

    // A probe asks for the address it was given, whatever names are served here; it hears one word. Like all that
    // arrives it is counted, for each costs a line in the journal, and nobody may fill a disk with them.
    if let (Route::Health, Some(peer)) = (&route, peer) {
        // Strangers behind a proxy use up their own places, not those of the proxy's own probe.
        let client = client_address::client(&gate.identify, Some(peer), headers);
        let prober = Subject::address(client.map_or(peer.ip(), |client| client.address()));
        passage.fact("limit", gate.limits.arrive(&prober, passage.now.monotonic_ms))?;
        return passage.fact("route", admin::health(gate, head));
    }
    // The wire. Cheap checks first: what comes by a wrong name or from a wrong page costs nothing below.
    let client = passage.fact("identify", client_address::client(&gate.identify, peer, headers))?;
    passage.identified(&client);
    let address = Subject::address(client.address());
    // Over its ceiling an address is closed to strangers. Who shows a credential may be none: it is judged first.
    let over = gate.limits.arrive(&address, passage.now.monotonic_ms);
    let over = passage.fact("limit", caller::may_be_known(over, &route, head, secured.as_deref()))?;
    passage.fact("edge", arrival::must_name_a_host(head))?;
    passage.fact("edge", edge::host::judge(&gate.edge, &head.uri, headers))?;
    passage.origin = passage.fact("edge", edge::origin::judge(&gate.edge, headers))?;
    if let Some(origin) = passage.origin.as_ref().filter(|_| edge::cors::is_preflight(&head.method, headers)) {
        let preflight = edge::cors::preflight(origin, headers);
        return passage.fact("edge", preflight).map(Reply::Preflight);
    }
    let presented = caller::presented(head, passage.secure, passage.now);
    if let Some(page) = admin::front(gate, &route, head, &presented) {
        return passage.fact("route", page);
    }

    // The caller. The body is still on the wire, and an unknown caller cannot make us read it: only a signature does,
    // whose key and time are right.
    let from = caller::Whence { address: client.address(), secured: secured.as_deref(), is_over: over.is_err() };
    let caller = match caller::verified(gate, presented, from, &mut body).await {
        Ok(caller) => caller,
        Err(refusal) => {
            // Only calls that do not authenticate wait, or use up the address's window; guessing costs the guesser.
            Box::pin(caller::penalty(gate, client.address(), &presented, &refusal)).await;
            Box::pin(arrival::let_come(body, headers)).await;
            passage.fact("limit", over)?;
            let counted = gate.limits.unauthenticated(&address, passage.now.monotonic_ms);
            passage.admission = Some(passage.fact("limit", counted)?);
            return passage.fact("authenticate", Err(refusal));
        }
    };
    passage.fact("limit", caller::is_known(gate, &caller, (&address, passage.now), over))?;
    passage.authenticated(&caller);
    if let Some(place) = place {
        place.is_known();
    }
    // Ending a session is free: it gives back what others wait for.
    if head.method != Method::DELETE {
        passage.admission = match gate.admit(&caller, client.address(), passage.now.monotonic_ms).await {
            Ok(admission) => Some(admission),
            Err(refusal) => {
                // The refusal names the request it refuses, so that clients can match it.
                Box::pin(arrival::learn_id(gate, passage, head, body)).await;
                return passage.fact("limit", Err(refusal));
            }
        };
    }

    match route {
        // To a caller who may not call it, a server does not exist, however the request is made.
        Route::Mcp(server) if !server.is_open_to(&gate.asker(&caller, client.address())) => {
            let refusal = Refusal::new(Reason::UnknownPath)
                .because("the key's servers, its scopes, the policy, or the server wants signatures");
            passage.fact("authorize", Err(refusal))
        }
        Route::Mcp(server) => {
            let caller = Caller { client, principal: caller, door: Door::One(server), headers };
            let reply = call(gate, passage, &caller, &head.method, body).await;
            passage.grounds = Some(caller.grounds(gate, passage.reached.take(), secured));
            reply
        }
        Route::Aggregate => {
            let door = passage.fact("authorize", aggregate::door(gate, &caller, client.address()))?;
            let caller = Caller { client, principal: caller, door, headers };
            let reply = Box::pin(call(gate, passage, &caller, &head.method, body)).await;
            passage.grounds = Some(caller.grounds(gate, passage.reached.take(), secured));
            reply
        }
        route => Box::pin(admin::private(gate, passage, route, (head, body), &caller)).await,
    }
}

/// Who calls what, known and judged.
pub(crate) struct Caller<'a> {
    pub(crate) client: Client,
    pub(crate) principal: Principal,
    pub(crate) door: Door,
    pub(crate) headers: &'a HeaderMap,
}

impl Caller<'_> {
    /// What a stream rests on that outlives the call.
    fn grounds(self, gate: &Snapshot, reached: Option<Arc<Server>>, secured: Option<Arc<Secured>>) -> Grounds {
        let door = match (self.door, reached) {
            (Door::All(_), Some(server)) => Door::One(server),
            (door, _) => door,
        };
        let token = caller::asked_about(&self.principal, self.headers);
        let (caller, address) = (self.principal, self.client.address());
        Grounds { caller, token, address, secured, door, policy: gate.policy_print() }
    }
}

/// What stands behind the path that was called.
pub(crate) enum Door {
    /// One server.
    One(Arc<Server>),
    /// All servers that the caller may see, in order.
    All(Arc<[Arc<Server>]>),
}

impl Door {
    /// What sessions are sealed to. No server can have the aggregate's.
    fn seal(&self) -> &str {
        match self {
            Self::One(server) => &server.seal,
            Self::All(_) => "/mcp",
        }
    }

    fn extra_methods(&self) -> &[Box<str>] {
        match self {
            Self::One(server) => &server.extra_methods,
            Self::All(_) => &[],
        }
    }
}

/// An MCP request: read, judged, done.
async fn call(
    gate: &Arc<Snapshot>,
    passage: &mut Passage,
    caller: &Caller<'_>,
    method: &Method,
    body: Content,
) -> Result<Reply, Refusal> {
    passage.allow = "POST, GET, DELETE, OPTIONS";
    if let Door::One(server) = &caller.door {
        passage.record.facts.server = Some(Arc::clone(&server.name));
        passage.fact("identify", server.lists.judge(caller.client.address()))?;
    }
    let session = passage.fact("session", resumed(gate, caller))?;
    passage.record.facts.session = session.is_some();

    let message = match *method {
        Method::POST => {
            let (bytes, read) = passage.fact("parse", arrival::messages(gate, body, caller.headers).await)?;
            passage.record.facts.bytes_in = bytes.try_into().unwrap_or(u64::MAX);
            match passage.fact("parse", read)? {
                Messages::One(envelope) => envelope,
                Messages::Batch(envelopes) => {
                    return Box::pin(batch::answer(gate, passage, caller, session, envelopes)).await;
                }
            }
        }
        Method::GET | Method::DELETE => {
            let call = passage.fact("parse", arrival::without_body(method, caller.headers, session.as_ref()))?;
            return through(gate, passage, caller, session.as_ref(), call).await;
        }
        _ => return passage.fact("parse", Err(Refusal::new(Reason::MethodNotAllowed))),
    };
    passage.answer_under(&message);
    let call = passage.fact("parse", agreed(gate, caller, session.as_ref(), message, false))?;
    through(gate, passage, caller, session.as_ref(), call).await
}

/// To the one server, or to the aggregate, which finds the server that is meant and comes back to [`deed`] with it.
async fn through(
    gate: &Arc<Snapshot>,
    passage: &mut Passage,
    caller: &Caller<'_>,
    session: Option<&Resumed>,
    call: Call,
) -> Result<Reply, Refusal> {
    match &caller.door {
        Door::One(server) => {
            let reply = if tasks::are_named(caller, &call) {
                Box::pin(tasks::call(gate, passage, caller, server, session, call)).await?
            } else {
                deed(gate, passage, caller, server, session, call).await?
            };
            passage.fact("forward", tasks::sealed(gate, caller, server, reply))
        }
        Door::All(servers) => Box::pin(aggregate::answer(gate, passage, caller, servers, session, call)).await,
    }
}

/// Revision, headers and body tell one story.
pub(crate) fn agreed(
    gate: &Snapshot,
    caller: &Caller<'_>,
    session: Option<&Resumed>,
    envelope: Envelope,
    batched: bool,
) -> Result<Call, Refusal> {
    let facts = Facts {
        headers: Some(caller.headers),
        session: session.map(|session| session.revision),
        batched,
        extra_methods: caller.door.extra_methods(),
    };
    agree(&gate.message, envelope, facts).map(Call::Message)
}

/// One call of one server: permitted, vetted, recorded, sent, answered.
pub(crate) async fn deed(
    gate: &Arc<Snapshot>,
    passage: &mut Passage,
    caller: &Caller<'_>,
    server: &Arc<Server>,
    session: Option<&Resumed>,
    call: Call,
) -> Result<Reply, Refusal> {
    passage.called(&call);
    passage.reached = Some(Arc::clone(server));
    let headers = caller.headers;
    passage.fact("parse", arrival::must_accept(server, headers, &call))?;
    // A caller who may not call learns nothing about tools and their schemas.
    let asker = gate.asker(&caller.principal, caller.client.address());
    let permit = passage.fact("authorize", authorize::call(&asker, &server.name, &call))?;
    passage.record.facts.rule = Some(permit.rule().clone());
    let mirrors = match Catalog::tool_with_mirrors(&call) {
        // Nothing is repeated in headers where there are none.
        Some(_) if passage.local => Arc::default(),
        Some(tool) => {
            let mirrors = Box::pin(server.catalog.mirrors_of(server, tool, headers)).await;
            passage.fact("validate", mirrors)?
        }
        None => Arc::default(),
    };
    let vetted =
        passage.fact("validate", validate::call(&mirrors, (!passage.local).then_some(headers), permit, call))?;

    // What was done before is not done again.
    let claim = idempotency::claim(gate, passage, caller, server, &vetted).await;
    let mut ticket = match passage.fact("idempotency", claim)? {
        Claim::Answered(earlier) => return Ok(Reply::Mcp { answer: Answer::Message(earlier), handle: None }),
        Claim::Fresh(ticket) => ticket,
    };

    // The deed. From here the upstream may have acted, so the intent is written down first.
    if vetted.message().is_some_and(|message| message.form() == Some(Form::Request)) {
        passage.intend(gate).await?;
    }
    ticket.sent();
    let projection = Projection::of(gate, caller.client, &caller.principal, server, vetted.call());
    let answered = server.forward(&vetted, caller.principal.id(), headers, session).await;
    let Answered { answer, opened } = passage.fact("forward", ticket.settle(&vetted, answered).await)?;
    // What the caller may not use is not in its lists.
    let answer = match projection {
        Some(projection) => passage.fact("forward", projection.answer(answer))?,
        None => answer,
    };
    let handle = match opened {
        Some(opened) => passage.fact("session", handle(gate, caller, &opened.session, opened.revision))?,
        None => None,
    };
    Ok(Reply::Mcp { answer, handle })
}

/// The session a request names. A 2026-07-28 request has none, whatever its headers say.
fn resumed(gate: &Snapshot, caller: &Caller<'_>) -> Result<Option<Resumed>, Refusal> {
    let modern = matches!(message::header_revision(caller.headers)?, Some(Ok(revision)) if revision.is_modern());
    if modern {
        return Ok(None);
    }
    session::open(&gate.lasting.sealer, caller.headers, &caller.principal, caller.door.seal())
}

pub(crate) fn handle(
    gate: &Snapshot,
    caller: &Caller<'_>,
    session: &session::Session,
    revision: Revision,
) -> Result<Option<HeaderValue>, Refusal> {
    let sealed = session::seal(&gate.lasting.sealer, session, revision, &caller.principal, caller.door.seal());
    let value = sealed.and_then(|sealed| HeaderValue::try_from(sealed).ok());
    value.map(Some).ok_or_else(|| Refusal::new(Reason::Internal).because("a session cannot be sealed"))
}
