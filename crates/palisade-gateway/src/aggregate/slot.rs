//! The place of one server's session in a client's: empty, or with a link to it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;

/// The place of one server's session.
pub(super) struct Slot<L> {
    opening: Arc<tokio::sync::Mutex<()>>,
    link: Mutex<Option<Arc<L>>>,
}

impl<L> Default for Slot<L> {
    fn default() -> Self {
        Self { opening: Arc::default(), link: Mutex::default() }
    }
}

impl<L> Slot<L> {
    /// Waits for the turn to open it: however many calls need a session, one opens it.
    pub(super) async fn turn(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.opening).lock_owned().await
    }

    /// The session, if there is one. Whoever opens one meanwhile is not waited for.
    pub(super) fn link(&self) -> Option<Arc<L>> {
        self.lock().clone()
    }

    /// Puts a session there.
    pub(super) fn put(&self, link: &Arc<L>) {
        *self.lock() = Some(Arc::clone(link));
    }

    /// Empties it, if it is still this session.
    pub(super) fn forget(&self, link: &Arc<L>) {
        let mut known = self.lock();
        if known.as_ref().is_some_and(|known| Arc::ptr_eq(known, link)) {
            *known = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<L>>> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Slot;
    use std::sync::Arc;

    /// A3: what waits for the turn to open a session hides none that is open, or an answer would find no way home.
    #[tokio::test]
    async fn an_open_session_is_seen_while_others_take_turns() {
        let (slot, link) = (Slot::default(), Arc::new(1));
        slot.put(&link);
        let turn = slot.turn().await;
        assert_eq!(slot.link(), Some(Arc::clone(&link)));
        slot.forget(&Arc::new(1));
        assert_eq!(slot.link(), Some(Arc::clone(&link)), "another one like it is forgotten");
        slot.forget(&link);
        assert_eq!(slot.link(), None);
        drop(turn);
    }
}
