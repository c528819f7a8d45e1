//! Who is calling, as far as the world must be asked: the side of `authenticate` that touches it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, request};
use palisade_guard::authenticate::token::{Need, Tokens};
use palisade_guard::authenticate::{self, Config, Pending, Presented, Principal, Verdict};
use palisade_guard::certificate::Certificate;
use palisade_guard::clock::Moment;
use palisade_guard::edge;
use palisade_guard::limit::subject::Subject;
use palisade_guard::refusal::{Event, Reason, Refusal};
use palisade_guard::token::{Compact, Fault};
use zeroize::Zeroizing;

use crate::admin;
use crate::arrival;
use crate::issuers::{self, Remote};
use crate::route::Route;
use crate::snapshot::Snapshot;
use crate::time;
use crate::transport::http::Content;
use crate::transport::tls::Secured;

/// What a request shows of its caller, without its connection's certificate.
pub(crate) const fn presented(head: &request::Parts, secure: bool, now: Moment) -> Presented<'_> {
    Presented { method: &head.method, uri: &head.uri, headers: &head.headers, secure, certificate: None, now }
}

/// Where a call comes from.
#[derive(Clone, Copy)]
pub(crate) struct Whence<'c> {
    pub(crate) address: IpAddr,
    /// Its connection, where that is one by TLS.
    pub(crate) secured: Option<&'c Secured>,
    /// Whether strangers are not heard from there any more.
    pub(crate) is_over: bool,
}

/// The verified caller of a request. Of a signed one the body is read: it stays in `body` for whoever reads it next.
pub(crate) async fn verified(
    gate: &Snapshot,
    presented: Presented<'_>,
    from: Whence<'_>,
    body: &mut Content,
) -> Result<Principal, Refusal> {
    let presented = Presented { certificate: certificate(gate, from.secured, presented.now)?, ..presented };
    match authenticate::caller(&gate.authenticate, &presented)? {
        Verdict::Accept(principal) => Ok(principal),
        // Boxed: of most calls these are no part.
        Verdict::Signed(pending) => Box::pin(signed(gate, presented, *pending, body)).await,
        Verdict::Unsettled(need) => Box::pin(settled(gate, presented, need, from)).await,
    }
}

/// Fetches what was missing, and judges once more: what is still missing then is not there.
async fn settled(
    gate: &Snapshot,
    presented: Presented<'_>,
    need: Need,
    from: Whence<'_>,
) -> Result<Principal, Refusal> {
    let refused =
        |cause: Fault| Refusal::new(Reason::Unauthenticated).challenge(authenticate::CHALLENGE_INVALID).because(cause);
    let token = authenticate::bearer(presented.headers)?.unwrap_or_default();
    match need {
        Need::Keys(issuer) => {
            let Some(remote) = gate.issuers.get(&issuer.url) else { return Err(refused(Fault::UnknownKey)) };
            let compact = Compact::read(token).map_err(refused)?;
            remote.learn(compact.kid()).await;
            match authenticate::caller(&gate.authenticate, &presented)? {
                Verdict::Accept(principal) => Ok(principal),
                Verdict::Unsettled(_) | Verdict::Signed(_) => Err(refused(Fault::UnknownKey)),
            }
        }
        Need::Introspection(issuer) => {
            let (Some(tokens), Some(remote)) = (tokens(gate), gate.issuers.get(&issuer.url)) else {
                return Err(refused(Fault::Issuer));
            };
            let was_good = tokens.was_good(token);
            if from.is_over && !was_good {
                return Err(issuers::unsaid("its address is over its ceiling, and nobody knows the token"));
            }
            let _place = remote.place(token, was_good, from.address).await.ok_or_else(|| issuers::unsaid("no turn"))?;
            // Another call with this token may have asked meanwhile.
            if let Verdict::Accept(known) = authenticate::caller(&gate.authenticate, &presented)? {
                return Ok(known);
            }
            let said = remote.ask(token).await?;
            tokens.introspected(&issuer, token, &said, &presented)
        }
    }
}

/// The token of a caller whose issuer must be asked about it again while a stream lives; no other is kept.
pub(crate) fn asked_about(caller: &Principal, headers: &HeaderMap) -> Option<Arc<Token>> {
    caller.believed()?;
    let token = authenticate::bearer(headers).ok()??;
    Some(Arc::new(Zeroizing::new(token.into())))
}

/// A token, wiped when it is let go of.
pub(crate) type Token = Zeroizing<Box<[u8]>>;

/// The caller of a stream, whose token's issuer was believed for long enough: as it says now. One that is out of reach is
/// asked again for as long as its word was believed; then the stream ends, as a call would be refused.
pub(crate) async fn still(gate: &Snapshot, caller: &Principal, token: &[u8]) -> Result<Principal, Refusal> {
    let withdrawn = |cause: &str| Refusal::new(Reason::Unauthenticated).because(cause);
    let tokens = tokens(gate).ok_or_else(|| withdrawn("tokens are not taken any more"))?;
    let issuer = match tokens.still(caller, token, time::now())? {
        Verdict::Unsettled(Need::Introspection(issuer)) => issuer,
        known => return known.principal().ok_or_else(|| withdrawn("its issuer cannot be asked any more")),
    };
    let remote = gate.issuers.get(&issuer.url).ok_or_else(|| withdrawn("its issuer cannot be asked any more"))?;
    let patience = Duration::from_secs(issuer.introspects.unwrap_or_default());
    let asked = tokio::time::timeout(patience, async {
        loop {
            match said(tokens, remote, caller, token).await {
                Err(refusal) if refusal.reason() == Reason::NoCapacity => tokio::time::sleep(patience / 20).await,
                said => return said,
            }
        }
    });
    asked.await.unwrap_or_else(|_over| Err(issuers::unsaid("its issuer was out of reach for a while")))
}

/// What the issuer says when it is this stream's turn; another with the same token may have asked meanwhile.
async fn said(tokens: &Tokens, remote: &Remote, caller: &Principal, token: &[u8]) -> Result<Principal, Refusal> {
    let turn = remote.turn().await.ok_or_else(|| issuers::unsaid("no turn"))?;
    if let Verdict::Accept(known) = tokens.still(caller, token, time::now())? {
        return Ok(known);
    }
    tokens.heard(caller, token, &turn.ask(token).await?, time::now())
}

/// What judges tokens, where any are taken.
pub(crate) fn tokens(gate: &Snapshot) -> Option<&Tokens> {
    match &gate.authenticate {
        Config::Credentials(methods) => methods.tokens.as_ref(),
        Config::None => None,
    }
}

/// A refusal whose challenge says where a client learns whom to ask for a token.
pub(crate) fn complete(gate: &Snapshot, presented: &Presented<'_>, refusal: Refusal) -> Refusal {
    match tokens(gate) {
        Some(tokens) => tokens.complete(refusal, presented),
        None => refusal,
    }
}

/// The body, the signature, and then the nonce: only who signs can use one up.
async fn signed(
    gate: &Snapshot,
    presented: Presented<'_>,
    pending: Pending,
    body: &mut Content,
) -> Result<Principal, Refusal> {
    let bytes = arrival::whole(gate, body, presented.headers).await?;
    let (principal, used) = pending.holds(&bytes)?;
    authenticate::first(&gate.lasting.nonces.insert(used, presented.now).await)?;
    Ok(principal)
}

/// Who may go on from an address that is over its ceiling: whoever shows a credential, until it is judged. Nobody's call
/// to a page, and no preflight.
pub(crate) fn may_be_known(
    over: Result<(), Refusal>,
    route: &Route,
    head: &request::Parts,
    secured: Option<&Secured>,
) -> Result<Result<(), Refusal>, Refusal> {
    let shows = || {
        let is_public = admin::is_public(route) || edge::cors::is_preflight(&head.method, &head.headers);
        let certificate = secured.and_then(Secured::certificate);
        !is_public && (certificate.is_some() || authenticate::is_presented(&head.headers))
    };
    if over.is_err() && !shows() { over.map(Ok) } else { Ok(over) }
}

/// A caller who is known takes no place among the strangers of its address, and is not shut out by them. Where everybody
/// is anonymous, all are strangers.
pub(crate) fn is_known(
    gate: &Snapshot,
    caller: &Principal,
    (address, now): (&Subject, Moment),
    over: Result<(), Refusal>,
) -> Result<(), Refusal> {
    if caller.is_anonymous() {
        return over;
    }
    // A call that was over the ceiling has taken no place.
    if over.is_ok() {
        gate.limits.known(address, now.monotonic_ms);
    }
    Ok(())
}

/// Holds up the refusal of a wrong credential, longer with each that came from the same block of addresses. What waits
/// is a connection of a stranger, which is the first to go when places are scarce.
pub(crate) async fn penalty(gate: &Snapshot, address: IpAddr, presented: &Presented<'_>, refusal: &Refusal) {
    // All alike: what is wrong with a credential must not show in how long the refusal takes.
    let is_wrong = refusal.reason().row().event == Some(Event::AuthFailure);
    if gate.penalty.is_zero() || !is_wrong || !authenticate::is_presented(presented.headers) {
        return;
    }
    let penalty = gate.lasting.penalties.wrong(address, gate.penalty, presented.now.monotonic_ms);
    if penalty > Duration::ZERO {
        tokio::select! {
            () = tokio::time::sleep(penalty) => {}
            () = gate.lasting.stopping.cancelled() => {}
        }
    }
}

/// The client's certificate, if it has one that is good now. A connection lasts longer than a configuration: what would not
/// be let in any more is refused.
pub(crate) fn certificate<'s>(
    gate: &Snapshot,
    secured: Option<&'s Secured>,
    now: Moment,
) -> Result<Option<&'s Arc<Certificate>>, Refusal> {
    match &gate.tls {
        None => Ok(None),
        Some(tls) if tls.admits(secured, now) => Ok(secured.and_then(Secured::certificate)),
        Some(_) => {
            Err(Refusal::new(Reason::Unauthenticated).because("the connection's certificate is not good any more"))
        }
    }
}
