//! Places for children of sessions, and each caller's share of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most of `all` sessions that one caller may have: half of them, so that no caller takes every place.
pub(crate) const fn share(all: usize) -> usize {
    if all < 2 { all } else { all / 2 }
}

/// All places of one server.
pub(super) struct Places {
    all: Arc<Semaphore>,
    share: usize,
    /// What is left of the share of each caller who has a place.
    callers: Mutex<HashMap<Arc<str>, Weak<Semaphore>>>,
}

/// The place of one child, until it is gone for good.
#[derive(Debug)]
pub(super) struct Place {
    _of_all: OwnedSemaphorePermit,
    _of_share: Option<OwnedSemaphorePermit>,
}

/// Why there is none.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// The caller has its share.
    Share,
    /// All are taken.
    All,
}

impl Places {
    /// So many places.
    pub(super) fn new(all: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(all)), share: share(all), callers: Mutex::default() }
    }

    /// A place for a child of this caller; `None` is the gateway itself.
    pub(super) fn take(&self, caller: Option<&Arc<str>>) -> Result<Place, Full> {
        let of_share = caller.map(|caller| self.share_of(caller).try_acquire_owned().map_err(|_| Full::Share));
        let of_share = of_share.transpose()?;
        let of_all = Arc::clone(&self.all).try_acquire_owned().map_err(|_| Full::All)?;
        Ok(Place { _of_all: of_all, _of_share: of_share })
    }

    fn share_of(&self, caller: &Arc<str>) -> Arc<Semaphore> {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = callers.get(caller).and_then(Weak::upgrade) {
            return share;
        }
        // Whoever has no place any more is forgotten, so there are never more than places.
        callers.retain(|_, share| share.strong_count() > 0);
        let share = Arc::new(Semaphore::new(self.share));
        callers.insert(Arc::clone(caller), Arc::downgrade(&share));
        share
    }
}

#[cfg(test)]
mod tests {
    use super::{Full, Places};
    use std::sync::Arc;

    /// A3, D3: no caller has more than half of the places, and who has none is not kept in mind.
    #[test]
    fn a_caller_has_its_share() {
        let places = Places::new(4);
        let [greedy, other] = ["greedy", "other"].map(Arc::<str>::from);
        let first = places.take(Some(&greedy)).unwrap();
        let _second = places.take(Some(&greedy)).unwrap();
        assert_eq!(places.take(Some(&greedy)).unwrap_err(), Full::Share);
        let others = [places.take(Some(&other)).unwrap(), places.take(None).unwrap()];
        assert_eq!(places.take(Some(&other)).unwrap_err(), Full::All);
        drop((others, first));
        let _again = places.take(Some(&greedy)).unwrap();
        for number in 0..100 {
            drop(places.take(Some(&Arc::from(format!("caller {number}")))));
        }
        assert!(places.callers.lock().unwrap().len() <= 2);
        let _only = Places::new(1).take(Some(&other)).unwrap();
    }
}
