//! What ends a stream before its own end: the order to stop, or a configuration under which it would not be permitted.
//!
//! A stream may stay for hours. It lives as long as a call would be permitted that asks for it now: its caller has its
//! key, its address passes every list, its server is the same. So each configuration that comes in force judges it anew.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use palisade_guard::authenticate::{self, Principal};
use palisade_guard::authorize;
use palisade_guard::refusal::{Reason, Refusal};

use crate::caller;
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
    /// Where the caller is.
    pub(crate) address: IpAddr,
    /// On what connection.
    pub(crate) secured: Option<Arc<Secured>>,
    /// What may be in it.
    pub(crate) door: Door,
}

impl Grounds {
    /// Whether `gate` would grant it too.
    pub(crate) fn hold(&self, gate: &Snapshot) -> Result<(), Refusal> {
        gate.identify.lists.judge(self.address)?;
        let caller = authenticate::again(&gate.authenticate, &self.caller, time::now())
            .ok_or_else(|| Refusal::new(Reason::Unauthenticated).because("the credential was withdrawn"))?;
        // What is in a stream was judged by the scopes of its caller when it was opened.
        if caller.grant().scopes != self.caller.grant().scopes {
            return Err(Refusal::new(Reason::ScopeMissing)
                .says("your scopes changed: call again")
                .because("other scopes"));
        }
        match &self.door {
            Door::One(server) => holds_for(&caller, self.address, server, gate),
            Door::All(servers) => servers.iter().try_for_each(|server| holds_for(&caller, self.address, server, gate)),
        }
    }
}

fn holds_for(caller: &Principal, address: IpAddr, server: &Server, gate: &Snapshot) -> Result<(), Refusal> {
    let now = gate.servers.get(&server.name);
    let now = now.filter(|now| now.upstream.is(&server.upstream)).ok_or_else(|| {
        Refusal::new(Reason::BackendUnavailable)
            .says("this server was removed or set up anew: call again")
            .because("a reload")
    })?;
    now.lists.judge(address)?;
    if !now.is_open_to(caller) {
        return Err(Refusal::new(Reason::UnknownPath).because("the caller may not see the server any more"));
    }
    authorize::reach(caller, address, &now.name).map(drop)
}

/// Done when a caller's credential ends by itself; never for most.
async fn expired(caller: &Principal) {
    let Some(end) = caller.expires() else { return std::future::pending().await };
    let left = end.saturating_add(1).saturating_mul(1000).saturating_sub(time::now().unix_ms);
    tokio::time::sleep(Duration::from_millis(left)).await;
}

/// Done when a stream must end; with an error where it owes an answer.
pub(crate) async fn ending(
    lasting: Arc<Lasting>,
    mut later: Later,
    grounds: Option<Grounds>,
    standing: bool,
) -> Refusal {
    let withdrawn = async {
        let Some(grounds) = grounds else { return std::future::pending().await };
        let expired = expired(&grounds.caller);
        tokio::pin!(expired);
        loop {
            let gate = tokio::select! {
                gate = later.next() => gate,
                () = &mut expired => {
                    let over = Refusal::new(Reason::Unauthenticated).says("the credential has expired: call again");
                    return over.because("the end of the credential");
                }
            };
            let certified = caller::certificate(&gate, grounds.secured.as_deref(), time::now());
            if let Err(refusal) = certified.and_then(|_| grounds.hold(&gate)) {
                return refusal;
            }
        }
    };
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
        refusal = withdrawn => refusal,
        refusal = stopped => refusal,
    }
}
