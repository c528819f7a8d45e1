//! All sessions with several servers, bounded.

use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use palisade_guard::message::Revision;
use palisade_guard::refusal::{Detail, Reason, Refusal};

use super::joined::{Joined, Link};
use super::visit::Visit;
use crate::random;
use crate::session::{Resumed, Session};
use crate::snapshot::Snapshot;
use crate::time;
use crate::upstream::stdio::share;

/// Every session, by its number, or by its caller where that one speaks 2026-07-28.
#[derive(Default)]
pub(crate) struct Table {
    sessions: Mutex<HashMap<Key, Arc<Joined>>>,
    /// The configuration in force, once another one than the first is.
    newest: Mutex<Weak<Snapshot>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Session(u64),
    Caller(Arc<str>),
}

impl Table {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// A new session of a legacy client.
    pub(super) fn begin(&self, visit: &Visit, hello: Bytes, revision: Revision) -> Result<Session, Refusal> {
        let number = u64::from_le_bytes(random::bytes());
        let owner = Arc::clone(visit.principal.id());
        drop(self.insert(&visit.gate, Key::Session(number), Joined::new(owner, hello, revision, false))?);
        Ok(Session::Aggregate(number))
    }

    /// The session that a handle of ours stands for.
    pub(super) fn find(&self, resumed: &Resumed) -> Result<Arc<Joined>, Refusal> {
        let Session::Aggregate(number) = resumed.session else {
            return Err(Refusal::new(Reason::SessionUnknown).because("a session with one server"));
        };
        let joined = self.lock().get(&Key::Session(number)).cloned();
        let joined = joined.ok_or_else(|| Refusal::new(Reason::SessionUnknown).because("the session has ended"))?;
        joined.used_ms.store(time::now().monotonic_ms, Relaxed);
        Ok(joined)
    }

    /// The sessions of a caller of 2026-07-28 with servers that do not speak it.
    pub(super) fn of_caller(&self, visit: &Visit) -> Result<Arc<Joined>, Refusal> {
        let key = Key::Caller(Arc::clone(visit.principal.id()));
        if let Some(joined) = self.lock().get(&key).cloned() {
            joined.used_ms.store(time::now().monotonic_ms, Relaxed);
            return Ok(joined);
        }
        let revision = Revision::V2025_11_25;
        let hello = format!(
            r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"{}","capabilities":{{}},"clientInfo":{{"name":"palisade","version":"{}"}}}}}}"#,
            revision.name(),
            env!("CARGO_PKG_VERSION"),
        );
        let owner = Arc::clone(visit.principal.id());
        self.insert(&visit.gate, key, Joined::new(owner, Bytes::from(hello), revision, true))
    }

    fn insert(&self, gate: &Snapshot, key: Key, joined: Joined) -> Result<Arc<Joined>, Refusal> {
        let most = gate.aggregate.max_sessions;
        let room = || has_room(&self.lock(), most, &joined.owner);
        if room().is_err() {
            self.sweep(gate.timeouts.session);
        }
        let mut sessions = self.lock();
        if let Some(known) = sessions.get(&key) {
            return Ok(Arc::clone(known));
        }
        has_room(&sessions, most, &joined.owner)?;
        let joined = Arc::new(joined);
        sessions.insert(key, Arc::clone(&joined));
        Ok(joined)
    }

    /// Ends a session.
    pub(super) fn end(&self, resumed: &Resumed) {
        if let Session::Aggregate(number) = resumed.session {
            let ended = self.lock().remove(&Key::Session(number));
            if let Some(joined) = ended {
                joined.ended.cancel();
            }
        }
    }

    /// Judges what servers say by themselves by the configuration that came in force.
    pub(crate) fn judge(&self, gate: &Arc<Snapshot>) {
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(gate);
        let sessions: Vec<_> = self.lock().values().cloned().collect();
        for (_, link) in sessions.iter().flat_map(|joined| joined.links()) {
            self.judge_one(&link);
        }
    }

    /// The same for one that was being opened meanwhile.
    pub(super) fn judge_one(&self, link: &Link) {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
        if newest.is_some_and(|gate| !link.holds(&gate)) {
            link.withdrawn.cancel();
        }
    }

    /// Ends sessions that nobody has used for long. Whoever uses one now holds it.
    pub(crate) fn sweep(&self, idle: Duration) {
        let now = time::now().monotonic_ms;
        let idle = u64::try_from(idle.as_millis()).unwrap_or(u64::MAX);
        let mut ended = Vec::new();
        self.lock().retain(|_, joined| {
            let unused = Arc::strong_count(joined) == 1;
            let old = now.saturating_sub(joined.used_ms.load(Relaxed)) >= idle;
            if unused && old {
                ended.push(Arc::clone(joined));
            }
            !(unused && old)
        });
        // Dropped here, outside of the lock.
        drop(ended);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Joined>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether there is a place for one more session of this caller: none has more than its share, so none takes them all.
fn has_room(sessions: &HashMap<Key, Arc<Joined>>, most: usize, owner: &Arc<str>) -> Result<(), Refusal> {
    let full = |words, limit| {
        Err(Refusal::new(Reason::NoCapacity)
            .says(words)
            .with("limit", Detail::Number(u64::try_from(limit).unwrap_or(u64::MAX)))
            .retry_after(Duration::from_secs(10)))
    };
    if sessions.len() >= most {
        return full("all sessions are in use (aggregate.max_sessions)", most);
    }
    let theirs = sessions.values().filter(|joined| joined.owner == *owner).count();
    if theirs >= share(most) {
        return full("all sessions that one caller may have are in use (aggregate.max_sessions)", share(most));
    }
    Ok(())
}
