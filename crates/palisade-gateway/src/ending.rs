//! What ends a stream before its own end: the order to stop, or a configuration under which it would not be permitted.
//!
//! A stream may stay for hours. It lives as long as a call would be permitted that asks for it now: its caller has its
//! key, its address passes every list, its server is the same. So each configuration that comes in force judges it anew,
//! and where an issuer was asked about its caller's token, it is asked again as often as for a call.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use palisade_guard::authenticate::{self, Principal};
use palisade_guard::refusal::{Reason, Refusal};

use crate::caller::{self, Token};
use crate::current::Later;
use crate::lasting::Lasting;
use crate::pipeline::Door;
use crate::snapshot::Snapshot;
use crate::time;
use crate::transport::tls::Secured;
use crate::upstream::Server;

/// On what grounds a stream was granted.
pub(crate) struct Grounds {
    /// To whom.
    pub(crate) caller: Principal,
    /// The token, where its issuer must be asked about it again.
    pub(crate) token: Option<Arc<Token>>,
    /// Where the caller is.
    pub(crate) address: IpAddr,
    /// On what connection.
    pub(crate) secured: Option<Arc<Secured>>,
    /// What may be in it.
    pub(crate) door: Door,
    /// Under which policy.
    pub(crate) policy: Option<[u8; 32]>,
}

impl Grounds {
    /// Whether `gate` would grant it too.
    pub(crate) fn hold(&self, gate: &Snapshot) -> Result<(), Refusal> {
        gate.identify.lists.judge(self.address)?;
        let caller = authenticate::again(&gate.authenticate, &self.caller, time::now())?;
        // What is in a stream was judged by the scopes of its caller when it was opened.
        same_scopes(&self.caller, &caller)?;
        // What is in it was judged by the rules and the groups of that time, too.
        let same_groups = self.policy.is_none() || caller.grant().groups == self.caller.grant().groups;
        if gate.policy_print() != self.policy || !same_groups {
            return Err(Refusal::new(Reason::Forbidden)
                .says("your rights changed: call again")
                .because("another policy, or other groups, than the stream was opened with"));
        }
        match &self.door {
            Door::One(server) => holds_for(&caller, self.address, server, gate),
            Door::All(servers) => servers.iter().try_for_each(|server| holds_for(&caller, self.address, server, gate)),
        }
    }
}

fn same_scopes(then: &Principal, now: &Principal) -> Result<(), Refusal> {
    if then.grant().scopes == now.grant().scopes {
        return Ok(());
    }
    Err(Refusal::new(Reason::ScopeMissing).says("your scopes changed: call again").because("other scopes"))
}

fn holds_for(caller: &Principal, address: IpAddr, server: &Server, gate: &Snapshot) -> Result<(), Refusal> {
    let now = gate.servers.get(&server.name);
    let now = now.filter(|now| now.upstream.is(&server.upstream)).ok_or_else(|| {
        Refusal::new(Reason::BackendUnavailable)
            .says("this server was removed or set up anew: call again")
            .because("a reload")
    })?;
    now.lists.judge(address)?;
    let asker = gate.asker(caller, address);
    if !now.is_open_to(&asker) {
        return Err(Refusal::new(Reason::UnknownPath).because("the caller may not see the server any more"));
    }
    asker.reach(&now.name).map(drop)
}

/// Done when a caller's credential ends by itself; never for most.
async fn expired(end: Option<u64>) {
    let Some(end) = end else { return std::future::pending().await };
    passed(end.saturating_add(1)).await;
}

/// Done at a second since 1970.
async fn passed(second: u64) {
    let left = second.saturating_mul(1000).saturating_sub(time::now().unix_ms);
    tokio::time::sleep(Duration::from_millis(left)).await;
}

/// What a stream's caller is now, when its token's issuer was asked once more.
type Asked = Pin<Box<dyn Future<Output = Result<Principal, Refusal>> + Send>>;

/// Who the caller still is when the issuer of its token was asked again; never done where nobody must be. Boxed: of most
/// streams it is no part.
fn heard(grounds: &Grounds, later: &Later) -> Asked {
    let Some((until, token)) = grounds.caller.believed().zip(grounds.token.clone()) else {
        return Box::pin(std::future::pending());
    };
    let (caller, later) = (grounds.caller.clone(), later.clone());
    Box::pin(async move {
        passed(until).await;
        caller::still(&later.now(), &caller, &token).await
    })
}

/// Waits for what may withdraw a stream, and judges it then.
async fn judged(grounds: &mut Grounds, later: &mut Later, asked: &mut Asked) -> Result<(), Refusal> {
    let gate = tokio::select! {
        gate = later.next() => gate,
        said = &mut *asked => {
            let caller = said?;
            same_scopes(&grounds.caller, &caller)?;
            grounds.caller = caller;
            *asked = heard(grounds, later);
            later.now()
        }
        () = expired(grounds.caller.expires()) => {
            let over = Refusal::new(Reason::Unauthenticated).says("the credential has expired: call again");
            return Err(over.because("the end of the credential"));
        }
    };
    caller::certificate(&gate, grounds.secured.as_deref(), time::now())?;
    grounds.hold(&gate)
}

async fn withdrawn(grounds: Option<Grounds>, mut later: Later) -> Refusal {
    let Some(mut grounds) = grounds else { return std::future::pending().await };
    let mut asked = heard(&grounds, &later);
    loop {
        if let Err(refusal) = judged(&mut grounds, &mut later, &mut asked).await {
            return refusal;
        }
    }
}

/// Done when a stream must end; with an error where it owes an answer.
pub(crate) async fn ending(lasting: Arc<Lasting>, later: Later, grounds: Option<Grounds>, standing: bool) -> Refusal {
    let stopped = async {
        // A stream without an end of its own ends at once; one that owes an answer has until calls are cut.
        if standing {
            lasting.stopping.cancelled().await;
        } else {
            lasting.cut.cancelled().await;
        }
        Refusal::new(Reason::NoCapacity).says("the gateway is stopping: call again").because("the order to stop")
    };
    tokio::select! {
        refusal = withdrawn(grounds, later) => refusal,
        refusal = stopped => refusal,
    }
}
