//! A waker that remembers, for two futures that one task polls in turn.
//!
//! Whoever wakes either of them rings; they are polled until nobody rings. A task is woken often for another reason than
//! theirs, and then neither is polled: a connection that has nothing to read costs as much to ask as one that has.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Rings for one task.
pub(super) struct Bell {
    rung: AtomicBool,
    /// The task is at work here, and need not be woken to hear it.
    heard: AtomicBool,
    task: Mutex<Waker>,
}

/// Rounds in one poll, so that what always rings leaves room for other tasks.
const ROUNDS: u32 = 16;

impl Bell {
    pub(super) fn new() -> Arc<Self> {
        let task = Mutex::new(Waker::noop().clone());
        Arc::new(Self { rung: AtomicBool::new(true), heard: AtomicBool::new(false), task })
    }

    /// Has the next poll go to work whoever woke it.
    pub(super) fn ring(&self) {
        self.rung.store(true, SeqCst);
    }

    /// Goes round and round until there is a result or nobody rings any more.
    pub(super) fn answer<T>(
        self: &Arc<Self>,
        outside: &Context<'_>,
        mut round: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner).clone_from(outside.waker());
        let waker = Waker::from(Arc::clone(self));
        let inside = &mut Context::from_waker(&waker);
        for _ in 0..ROUNDS {
            self.heard.store(true, SeqCst);
            let done = if self.rung.swap(false, SeqCst) { round(inside) } else { Poll::Pending };
            // In this order: what rings before the second is seen by it, and what rings after the first wakes the task.
            self.heard.store(false, SeqCst);
            if done.is_ready() || !self.rung.load(SeqCst) {
                return done;
            }
        }
        outside.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.rung.swap(true, SeqCst) && !self.heard.load(SeqCst) {
            self.task.lock().unwrap_or_else(PoisonError::into_inner).wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Bell, ROUNDS};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::task::{Context, Poll, Wake, Waker};

    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    fn task() -> (Arc<Task>, Waker) {
        let task = Arc::new(Task::default());
        (Arc::clone(&task), Waker::from(task))
    }

    /// A1: what was not rung for is not polled, and what was rung for from elsewhere wakes the task once.
    #[test]
    fn only_who_is_rung_for_is_polled() {
        let (bell, (task, waker)) = (Bell::new(), task());
        let outside = Context::from_waker(&waker);
        let (mut rounds, mut kept) = (0, None);
        let mut poll = |bell: &Arc<Bell>| {
            bell.answer(&outside, |inside| {
                (rounds, kept) = (rounds + 1, Some(inside.waker().clone()));
                Poll::<()>::Pending
            })
        };
        assert!(poll(&bell).is_pending() && poll(&bell).is_pending());
        assert_eq!((rounds, task.0.load(SeqCst)), (1, 0), "the second time nobody had rung");
        let kept = kept.unwrap();
        kept.wake_by_ref();
        kept.wake_by_ref();
        assert_eq!(task.0.load(SeqCst), 1);
        let rung = bell.answer(&outside, |_| Poll::Ready(()));
        assert!(rung.is_ready());
    }

    /// A1: who rings while it is polled is polled again at once, and for ever only in turns with other tasks.
    #[test]
    fn what_always_rings_leaves_room() {
        let (bell, (task, waker)) = (Bell::new(), task());
        let mut rounds = 0;
        let polled = bell.answer(&Context::from_waker(&waker), |inside| {
            rounds += 1;
            inside.waker().wake_by_ref();
            if rounds < 3 { Poll::Pending } else { Poll::Ready(rounds) }
        });
        assert_eq!((polled, task.0.load(SeqCst)), (Poll::Ready(3), 0));
        let polled = bell.answer(&Context::from_waker(&waker), |inside| {
            rounds += 1;
            inside.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        assert_eq!((polled, rounds, task.0.load(SeqCst)), (Poll::Pending, 3 + ROUNDS, 1));
    }
}
