//! Whose turn it is to ask: so many questions at one time, and only a few of them by one asker.
//!
//! 1. An asker is whatever its questions have in common: a block of addresses, or a token.
//! 2. An asker's questions wait behind its own first, and only then for a place among all. So who asks without end holds
//!    its few places, and nobody else's.
//! 3. Whoever has waited too long, or finds a line too long to join, hears it at once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// Places for questions.
pub(super) struct Turns<A: Hash + Eq + Copy> {
    places: Semaphore,
    /// Places of one asker at one time.
    each: usize,
    askers: Mutex<HashMap<A, Arc<Semaphore>>>,
}

/// A turn: what it holds is free again when it is dropped.
pub(super) struct Turn<'t, A: Hash + Eq + Copy> {
    /// Given back before the asker is forgotten.
    _held: (OwnedSemaphorePermit, SemaphorePermit<'t>),
    _line: Line<'t, A>,
}

/// A question's stand in the line of its asker, who is forgotten with the last.
struct Line<'t, A: Hash + Eq + Copy> {
    turns: &'t Turns<A>,
    asker: A,
    own: Option<Arc<Semaphore>>,
}

/// The longest that a question waits for its turn.
const PATIENCE: Duration = Duration::from_secs(5);
/// Questions of one asker, those that are asked among them.
const LINE: usize = 1024;
/// Askers at one time.
const ASKERS: usize = 1024;

impl<A: Hash + Eq + Copy> Turns<A> {
    /// So many places, and so many for each asker.
    pub(super) fn new(all: usize, each: usize) -> Self {
        Self { places: Semaphore::new(all), each, askers: Mutex::default() }
    }

    /// Waits for a turn. `None` where the line is too long, or the wait was.
    pub(super) async fn turn(&self, asker: A) -> Option<Turn<'_, A>> {
        let line = self.join(asker)?;
        let own = Arc::clone(line.own.as_ref()?);
        let places = async { Some((own.acquire_owned().await.ok()?, self.places.acquire().await.ok()?)) };
        let held = tokio::time::timeout(PATIENCE, places).await.ok()??;
        Some(Turn { _held: held, _line: line })
    }

    fn join(&self, asker: A) -> Option<Line<'_, A>> {
        let mut askers = self.lock();
        if askers.len() >= ASKERS && !askers.contains_key(&asker) {
            return None;
        }
        let own = askers.entry(asker).or_insert_with(|| Arc::new(Semaphore::new(self.each)));
        // Two for each question, and one is the table's.
        let is_free = Arc::strong_count(own) <= 2 * LINE;
        is_free.then(|| Line { turns: self, asker, own: Some(Arc::clone(own)) })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<A, Arc<Semaphore>>> {
        self.askers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<A: Hash + Eq + Copy> Drop for Line<'_, A> {
    fn drop(&mut self) {
        let mut askers = self.turns.lock();
        self.own = None;
        if askers.get(&self.asker).is_some_and(|own| Arc::strong_count(own) == 1) {
            askers.remove(&self.asker);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ASKERS, LINE, PATIENCE, Turns};
    use tokio::time::{Instant, timeout};

    /// B6, P-I11: an asker without end holds its few places, its other questions wait, and others are not kept waiting.
    #[tokio::test(start_paused = true)]
    async fn nobody_holds_all_places() {
        let turns = Turns::new(4, 2);
        let mine = [turns.turn(1).await.unwrap(), turns.turn(1).await.unwrap()];
        let begun = Instant::now();
        assert!(turns.turn(1).await.is_none(), "a third of the same asker");
        assert_eq!(begun.elapsed(), PATIENCE);
        let [first, second] = [turns.turn(2).await.unwrap(), turns.turn(3).await.unwrap()];
        assert_eq!(begun.elapsed(), PATIENCE, "others do not wait");
        assert!(turns.turn(4).await.is_none(), "there are no more");
        drop(first);
        let again = turns.turn(2).await.unwrap();
        drop((mine, again, second));
        assert!(turns.lock().is_empty(), "nobody is remembered");
    }

    /// B6, P-I11: lines have an end, and so has their number; who gives up leaves nothing behind.
    #[tokio::test(start_paused = true)]
    async fn lines_have_an_end() {
        let turns = Turns::new(2 * ASKERS, 1);
        let mut held = Vec::new();
        for asker in 0..ASKERS {
            held.push(turns.turn(asker).await.unwrap());
        }
        let begun = Instant::now();
        assert!(turns.turn(ASKERS).await.is_none() && begun.elapsed().is_zero(), "one asker too many");
        let mut waiting: Vec<_> = (1..LINE).map(|_| Box::pin(turns.turn(0))).collect();
        for wait in &mut waiting {
            assert!(timeout(std::time::Duration::from_millis(1), wait).await.is_err());
        }
        let begun = Instant::now();
        assert!(turns.turn(0).await.is_none() && begun.elapsed().is_zero(), "one question too many");
        held.remove(0);
        assert!(waiting.remove(0).await.is_some(), "who came first");
        drop((held, waiting));
        assert!(turns.lock().is_empty());
    }
}
