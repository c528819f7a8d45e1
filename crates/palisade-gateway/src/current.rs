//! Which configuration is in force. A request takes it once and keeps it to its end; a stream, which may stay for hours,
//! hears of each one that follows.

use std::sync::Arc;

use tokio::sync::watch;

use crate::snapshot::Snapshot;

/// The snapshot in force. A reading lock is held for as long as it takes to count one more reader; a writer comes with
/// a reload, and has nothing to do but to exchange a pointer.
#[derive(Clone)]
pub(crate) struct Current(Arc<watch::Sender<Arc<Snapshot>>>);

impl Current {
    /// The first one.
    pub(crate) fn new(snapshot: Snapshot) -> Self {
        Self(Arc::new(watch::Sender::new(Arc::new(snapshot))))
    }

    /// The snapshot in force now.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.0.borrow())
    }

    /// Puts another one in force, and returns the one before.
    pub(crate) fn replace(&self, snapshot: Snapshot) -> Arc<Snapshot> {
        self.0.send_replace(Arc::new(snapshot))
    }

    /// Has every stream judged again under the same snapshot: a key was withdrawn, or its time is over.
    pub(crate) fn nudge(&self) {
        self.0.send_modify(|_same| {});
    }

    /// Every snapshot that follows `gate`, also if one came in force meanwhile.
    pub(crate) fn after(&self, gate: &Arc<Snapshot>) -> Later {
        let mut receiver = self.0.subscribe();
        if !Arc::ptr_eq(&receiver.borrow(), gate) {
            receiver.mark_changed();
        }
        Later(receiver)
    }
}

/// The configurations that follow one.
#[derive(Clone)]
pub(crate) struct Later(watch::Receiver<Arc<Snapshot>>);

impl Later {
    /// The newest there is.
    pub(crate) fn now(&self) -> Arc<Snapshot> {
        Arc::clone(&self.0.borrow())
    }

    /// The newest, once there is one; none ever when the gateway has ended.
    pub(crate) async fn next(&mut self) -> Arc<Snapshot> {
        if self.0.changed().await.is_err() {
            return std::future::pending().await;
        }
        Arc::clone(&self.0.borrow_and_update())
    }
}
