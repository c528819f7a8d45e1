//! How many files and sockets this process may have open, and where connections must stop.
//!
//! The system grants so many and no more. When none is left, nobody can be accepted, no server reached, and a journal
//! that cannot begin a new file records nothing. So connections are counted, and some descriptors are left for our own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What there is, and what connections have of it.
#[derive(Debug)]
pub(crate) struct Descriptors {
    clients: usize,
    upstreams: usize,
    taken: AtomicUsize,
}

/// One descriptor, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Taken(Arc<Descriptors>);

/// Beyond this we do not ask for more.
const WANTED: u64 = 65_536;

impl Descriptors {
    /// Takes as many as the system grants, within reason: children inherit the limit, and some go through all of it.
    pub(crate) fn claim() -> Arc<Self> {
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        let Some(had) = current else { return Arc::new(Self::of(None)) };
        let wanted = maximum.unwrap_or(u64::MAX).min(WANTED).max(had);
        let granted = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).is_ok();
        Arc::new(Self::of(Some(if granted { wanted } else { had })))
    }

    /// What a limit leaves for connections.
    fn of(limit: Option<u64>) -> Self {
        let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        // Our own files, the pipes of children, and what is open for a moment while one is started.
        let upstreams = limit - (limit / 4).min(256);
        // A caller who was let in must still be able to reach a server.
        Self { clients: upstreams - limit / 16, upstreams, taken: AtomicUsize::new(0) }
    }

    /// How many connections of clients there can be at the very most.
    pub(crate) const fn clients(&self) -> usize {
        self.clients
    }

    /// Whether there is room for one more client only if another one goes.
    pub(crate) fn is_short(&self) -> bool {
        self.taken.load(Relaxed) >= self.clients
    }

    /// For a client's connection: who may have one is decided elsewhere.
    pub(crate) fn take(self: &Arc<Self>) -> Taken {
        self.taken.fetch_add(1, Relaxed);
        Taken(Arc::clone(self))
    }

    /// For a connection to an upstream, if there is one left.
    pub(crate) fn take_for_upstream(self: &Arc<Self>) -> Option<Taken> {
        let taken = self.take();
        (self.taken.load(Relaxed) <= self.upstreams).then_some(taken)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::Descriptors;
    use std::sync::Arc;

    /// A8: something is left for ourselves, whatever the limit.
    #[test]
    fn something_is_left() {
        for limit in [64, 256, 1024, 20_000, 1_048_576] {
            let Descriptors { clients, upstreams, .. } = Descriptors::of(Some(limit));
            let limit = usize::try_from(limit).unwrap();
            assert!(clients < upstreams && upstreams + 16 <= limit && clients * 2 > limit, "{limit}: {clients}");
        }
        assert!(Descriptors::of(None).clients() > 1 << 40);
    }

    /// A8: clients stop before upstreams do, and what is given back can be taken again.
    #[test]
    fn clients_stop_first() {
        let descriptors = Arc::new(Descriptors::of(Some(64)));
        let mut held = Vec::new();
        while !descriptors.is_short() {
            held.push(descriptors.take());
        }
        while let Some(taken) = descriptors.take_for_upstream() {
            held.push(taken);
        }
        assert_eq!(held.len(), 48);
        held.pop();
        assert!(descriptors.take_for_upstream().is_some() && descriptors.is_short());
        held.clear();
        assert!(!descriptors.is_short());
    }
}
