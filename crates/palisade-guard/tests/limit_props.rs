//! Limits against an exact log: whatever the times, no 60 seconds ever hold more than the limit.

use palisade_guard::limit::seed::Seed;
use palisade_guard::limit::subject::Subject;
use palisade_guard::limit::table::Table;
use palisade_guard::limit::window::{Count, SPAN_MS, Window};
use proptest::prelude::*;

/// Steps from call to call: bursts, both sides of the edges of a cluster and of the span, idle gaps, long jumps.
fn step() -> impl Strategy<Value = u64> {
    let width = Window::<u16, 23>::width_ms(1000);
    prop_oneof![
        6 => Just(0),
        6 => 1..50_u64,
        4 => 1..6000_u64,
        2 => prop::sample::select(vec![1, width - 1, width, width + 1, SPAN_MS - 1, SPAN_MS, SPAN_MS + 1, 65_535, 65_536]),
        1 => 0..200_000_u64,
        1 => 0..1_u64 << 40,
    ]
}

/// When calls come: a start and steps, so that they start anywhere on the 16-bit clock of a cluster.
fn times(most: usize) -> impl Strategy<Value = Vec<u64>> {
    (0..1_u64 << 20, prop::collection::vec(step(), 1..most)).prop_map(|(start, steps)| {
        let sum = |now: &mut u64, step| {
            *now += step;
            Some(*now)
        };
        steps.into_iter().scan(start, sum).collect()
    })
}

fn limit() -> impl Strategy<Value = u32> {
    prop_oneof![1..10_u32, 20..30_u32, 30..200_u32]
}

/// The exact log: the time of every admitted call.
#[derive(Default)]
struct Log(Vec<u64>);

impl Log {
    /// Admitted calls later than `now - back`, all of them when `back` reaches before the start.
    fn within(&self, back: u64, now: u64) -> usize {
        self.0.iter().rev().take_while(|call| **call + back > now).count()
    }
}

fn as_usize(number: u32) -> usize {
    number.try_into().unwrap_or(usize::MAX)
}

/// Runs one history through a window and holds every promise of `window.rs` against the log.
fn check<C: Count, const CLUSTERS: usize>(limit: u32, times: &[u64]) -> Result<(), TestCaseError> {
    let most = as_usize(limit);
    let mut window = Window::<C, CLUSTERS>::default();
    let mut log = Log::default();
    for &now in times {
        prop_assert_eq!(window.is_idle(now), log.within(SPAN_MS, now) == 0);
        let verdict = window.admit(limit, now);
        let remembered = log.within(SPAN_MS + Window::<C, CLUSTERS>::width_ms(limit), now);
        if verdict.admitted {
            log.0.push(now);
        } else {
            prop_assert!(remembered >= most, "refused at {now} after {remembered} of {limit}");
            prop_assert!((1..=SPAN_MS).contains(&verdict.retry_ms), "retry in {} ms", verdict.retry_ms);
            prop_assert!(!window.clone().admit(limit, now + verdict.retry_ms - 1).admitted, "told to wait too long");
            prop_assert!(window.clone().admit(limit, now + verdict.retry_ms).admitted, "told to wait too short");
            prop_assert!(window.clone().admit(limit, now + verdict.reset_ms).remaining == limit - 1);
        }
        prop_assert!(log.within(SPAN_MS, now) <= most, "{} of {limit} at {now}", log.within(SPAN_MS, now));
        let left = as_usize(verdict.remaining);
        prop_assert!(left + log.within(SPAN_MS, now) <= most, "promises more than there is");
        let mut used_up = window;
        prop_assert_eq!((0..=limit).filter(|_| used_up.admit(limit, now).admitted).count(), left);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// D1: never more than N in any 60 s; never refused with fewer than N in 60 s and one width; `Retry-After` is the
    /// first instant at which a call passes.
    #[test]
    fn windows_keep_their_promises(limit in limit(), times in times(400)) {
        check::<u16, 23>(limit, &times)?;
        check::<u16, 7>(limit, &times)?;
        check::<u32, 2>(limit, &times)?;
    }

    /// D1: clocks read in one order and judged in the other admit no more either.
    #[test]
    fn clocks_out_of_order(limit in limit(), times in times(400), late in prop::collection::vec(0..2000_u64, 400)) {
        let mut window = Window::<u16, 23>::default();
        let (mut log, mut newest) = (Log::default(), 0);
        for (now, late) in times.into_iter().zip(late) {
            newest = newest.max(now.saturating_sub(late));
            if window.admit(limit, now.saturating_sub(late)).admitted {
                log.0.push(newest);
            }
            prop_assert!(log.within(SPAN_MS, newest) <= as_usize(limit));
        }
    }

    /// D3: however full the table and whoever comes, no subject ever gets more than its own exact limit.
    #[test]
    fn a_crowded_table_refills_nobody(
        capacity in 0..12_usize,
        limit in 1..8_u32,
        calls in prop::collection::vec((0..40_u8, prop_oneof![8 => 0..400_u64, 1 => 0..70_000_u64], any::<bool>()), 1..1500),
    ) {
        let table = Table::<u16, 23>::new(capacity, Seed::new([1; 16]));
        let mut logs: Vec<Log> = std::iter::repeat_with(Log::default).take(40).collect();
        let mut now = 0;
        for (who, step, tidy) in calls {
            now += step;
            if tidy && step > 300 {
                table.forget_idle(now);
            }
            // Four blocks of ten.
            let subject = Subject::address([10, who % 4, who, 1].into());
            let log = &mut logs[usize::from(who)];
            if table.admit(&subject, limit, now).admitted {
                log.0.push(now);
            }
            prop_assert!(log.within(SPAN_MS, now) <= as_usize(limit), "subject {who} at {now}");
            prop_assert!(table.len() <= capacity);
        }
    }
}
