//! Properties of the breaker, whatever callers and servers do.

use palisade_guard::breaker::{Breaker, Config, Pass};
use proptest::prelude::*;

const CONFIG: Config = Config { failures: 4, first_ms: 100, longest_ms: 3_000 };

#[derive(Debug, Clone, Copy)]
enum Step {
    Wait(u64),
    Enter,
    Succeed(usize),
    Answer(usize),
    Fail(usize),
    Abandon(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..2_000_u64).prop_map(Step::Wait),
        4 => Just(Step::Enter),
        1 => any::<usize>().prop_map(Step::Succeed),
        1 => any::<usize>().prop_map(Step::Answer),
        5 => any::<usize>().prop_map(Step::Fail),
        1 => any::<usize>().prop_map(Step::Abandon),
    ]
}

proptest! {
    /// A3, R5, R7: a pause never exceeds the cap, so nobody is turned away for ever; fewer failures than the threshold
    /// never open the breaker, and while it is open at most one attempt passes at one instant.
    #[test]
    fn it_always_opens_late_and_closes_again(steps in prop::collection::vec(step(), 0..200)) {
        let (mut breaker, mut now_ms) = (Breaker::new(CONFIG), 0);
        // Attempts under way, each with how often the breaker had opened or tried when it began.
        let mut passes: Vec<(Pass, u32)> = Vec::new();
        let (mut failures, mut round) = (0, 0);
        for step in steps {
            let mut take = |at: usize| (!passes.is_empty()).then(|| passes.remove(at % passes.len()));
            match step {
                Step::Wait(ms) => now_ms += ms,
                Step::Enter => {
                    let was_open = breaker.is_open();
                    match breaker.enter(now_ms) {
                        Ok(pass) => {
                            if was_open {
                                round += 1;
                                prop_assert!(breaker.enter(now_ms).is_err(), "a second trial beside the first");
                            }
                            passes.push((pass, round));
                        }
                        Err(wait_ms) => {
                            prop_assert!(was_open);
                            prop_assert!((1..=CONFIG.longest_ms).contains(&wait_ms));
                        }
                    }
                }
                Step::Succeed(at) => if let Some((pass, began)) = take(at) {
                    breaker.succeeded(&pass);
                    if began == round {
                        failures = 0;
                        prop_assert!(!breaker.is_open());
                    }
                },
                Step::Answer(at) => if let Some((pass, _)) = take(at) { breaker.answered(&pass) },
                Step::Fail(at) => if let Some((pass, began)) = take(at) {
                    failures += u32::from(began == round);
                    let was_open = breaker.is_open();
                    let opened = breaker.failed(&pass, now_ms);
                    round += u32::from(opened);
                    prop_assert!(!opened || began + 1 == round && failures >= CONFIG.failures, "opened after {failures}");
                    prop_assert!(opened || breaker.is_open() == was_open);
                },
                Step::Abandon(at) => if let Some((pass, _)) = take(at) { breaker.abandoned(&pass, now_ms) },
            }
        }
        now_ms += CONFIG.longest_ms;
        let trial = breaker.enter(now_ms);
        prop_assert!(trial.is_ok(), "a pause ends");
        breaker.succeeded(&trial.unwrap());
        prop_assert!(!breaker.is_open() && breaker.enter(now_ms).is_ok() && breaker.enter(now_ms).is_ok());
    }
}
