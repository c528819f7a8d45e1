//! Which configuration is in force. A request takes it once and keeps it to its end.

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
}
