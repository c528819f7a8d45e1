//! Whether a server that could not be reached is worth another try.
//!
//! 1. So many failures in a row open the breaker. From then on calls are turned away at once, and the server is left
//!    alone for a pause.
//! 2. After the pause one call goes through as a trial. Its success closes the breaker, its failure begins a pause twice
//!    as long, up to a cap. A trial that takes longer than the pause holds nobody back any more.
//! 3. What began before the breaker opened says nothing about now: its outcome is not counted.
//! 4. A trial whose caller left says nothing either: the next caller makes the trial.
//! 5. A call that is not answered in time is no failure of a server that answers others meanwhile: a slow tool must not
//!    close its server for everybody. Where nobody is answered the breaker opens, and the next call tries at once.

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// Failures in a row that open it.
    pub failures: u32,
    /// The first pause.
    pub first_ms: u64,
    /// The longest pause.
    pub longest_ms: u64,
}

/// What is known of one server's health. Times are milliseconds of the monotonic clock.
#[derive(Debug)]
pub struct Breaker {
    config: Config,
    /// Failures since the last success.
    failures: u32,
    /// Counts openings and trials: what was let through in an earlier round is not counted.
    round: u64,
    /// Counts answers, of any round: each shows that the server is alive.
    answers: u64,
    /// While it is open: when the next call may try.
    until_ms: Option<u64>,
}

/// One attempt that was let through. Its outcome is told once.
#[derive(Debug)]
pub struct Pass {
    round: u64,
    answers: u64,
}

impl Breaker {
    /// A closed one.
    pub const fn new(config: Config) -> Self {
        Self { config, failures: 0, round: 0, answers: 0, until_ms: None }
    }

    /// Whether calls are turned away, but for trials.
    pub const fn is_open(&self) -> bool {
        self.until_ms.is_some()
    }

    /// Lets an attempt through, or says for how many milliseconds there will be none.
    pub fn enter(&mut self, now_ms: u64) -> Result<Pass, u64> {
        match self.until_ms {
            Some(until_ms) if now_ms < until_ms => return Err(until_ms - now_ms),
            Some(_) => self.pause(now_ms),
            None => {}
        }
        Ok(Pass { round: self.round, answers: self.answers })
    }

    /// The server was reached: all is well.
    pub const fn succeeded(&mut self, pass: &Pass) {
        self.answers = self.answers.wrapping_add(1);
        if pass.round == self.round {
            self.failures = 0;
            self.until_ms = None;
        }
    }

    /// The server answered, and how long it will stay is not known: others need not wait, but its failures are remembered
    /// until [`Self::succeeded`] or [`Self::failed`] tells the rest.
    pub const fn answered(&mut self, pass: &Pass) {
        self.answers = self.answers.wrapping_add(1);
        if pass.round == self.round {
            self.until_ms = None;
        }
    }

    /// The server was not reached. True if that opened the breaker.
    pub fn failed(&mut self, pass: &Pass, now_ms: u64) -> bool {
        if pass.round != self.round {
            return false;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures < self.config.failures {
            return false;
        }
        self.pause(now_ms);
        true
    }

    /// The server took the call and did not answer in time. True if that opened the breaker.
    pub fn was_late(&mut self, pass: &Pass, now_ms: u64) -> bool {
        if pass.answers != self.answers {
            return false;
        }
        let was_open = self.is_open();
        let opened = self.failed(pass, now_ms);
        if opened && !was_open {
            // It may have been slow calls of one caller, and nobody else called.
            self.until_ms = Some(now_ms);
        }
        opened
    }

    /// The attempt came to no end.
    pub fn abandoned(&mut self, pass: &Pass, now_ms: u64) {
        if pass.round == self.round && self.until_ms.is_some() {
            self.until_ms = Some(now_ms);
        }
    }

    /// Begins a pause and a round.
    fn pause(&mut self, now_ms: u64) {
        let beyond = self.failures.saturating_sub(self.config.failures).min(32);
        let pause_ms = self.config.first_ms.saturating_mul(1 << beyond).min(self.config.longest_ms);
        self.until_ms = Some(now_ms.saturating_add(pause_ms));
        self.round = self.round.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::{Breaker, Config, Pass};

    const CONFIG: Config = Config { failures: 3, first_ms: 1_000, longest_ms: 5_000 };

    fn open_at(now_ms: u64) -> Breaker {
        let mut breaker = Breaker::new(CONFIG);
        let passes: Vec<Pass> = (0..3).map(|_| breaker.enter(now_ms).unwrap()).collect();
        let opened: Vec<bool> = passes.iter().map(|pass| breaker.failed(pass, now_ms)).collect();
        assert_eq!(opened, [false, false, true]);
        breaker
    }

    /// A3, R7: the pause doubles with each trial that fails, up to the cap; a success forgets everything.
    #[test]
    fn pauses_double_up_to_the_cap() {
        let (mut breaker, mut now_ms) = (open_at(0), 0);
        for pause_ms in [1_000, 2_000, 4_000, 5_000, 5_000] {
            assert_eq!(breaker.enter(now_ms).unwrap_err(), pause_ms);
            now_ms += pause_ms;
            let trial = breaker.enter(now_ms).unwrap();
            assert!(breaker.enter(now_ms).is_err(), "one trial at a time");
            assert!(breaker.failed(&trial, now_ms));
        }
        now_ms += 5_000;
        let trial = breaker.enter(now_ms).unwrap();
        breaker.succeeded(&trial);
        assert!(!breaker.is_open());
        let pass = breaker.enter(now_ms).unwrap();
        assert!(!breaker.failed(&pass, now_ms), "it takes three again");
    }

    /// A3: a trial whose caller leaves passes to the next caller; one that hangs holds nobody back for ever.
    #[test]
    fn a_trial_is_not_lost() {
        let mut breaker = open_at(0);
        let trial = breaker.enter(1_000).unwrap();
        breaker.abandoned(&trial, 1_100);
        let hanging = breaker.enter(1_100).unwrap();
        assert_eq!(breaker.enter(1_200).unwrap_err(), 900);
        let next = breaker.enter(2_100).unwrap();
        breaker.succeeded(&hanging);
        assert!(breaker.is_open(), "it began two rounds ago");
        breaker.succeeded(&next);
        assert!(!breaker.is_open());
    }

    /// A3, R7: a server that answers and dies again at once opens the breaker all the same.
    #[test]
    fn an_answer_is_not_yet_health() {
        let mut breaker = Breaker::new(CONFIG);
        for failure in 1..=3 {
            let pass = breaker.enter(0).unwrap();
            breaker.answered(&pass);
            assert_eq!(breaker.failed(&pass, 0), failure == 3);
        }
        let trial = breaker.enter(1_000).unwrap();
        breaker.answered(&trial);
        assert!(breaker.enter(1_000).is_ok(), "nobody waits while it answers");
        assert!(breaker.failed(&trial, 1_500));
        assert_eq!(breaker.enter(1_500).unwrap_err(), 2_000);
    }

    /// A3, R5: slow calls do not close a server that answers others; one that answers nobody is left alone, and the next
    /// call finds out at once.
    #[test]
    fn slow_is_not_dead() {
        let mut breaker = Breaker::new(CONFIG);
        for _ in 0..5 {
            let slow: Vec<Pass> = (0..5).map(|_| breaker.enter(0).unwrap()).collect();
            let quick = breaker.enter(30_000).unwrap();
            breaker.succeeded(&quick);
            assert!(!slow.iter().any(|pass| breaker.was_late(pass, 60_000)));
        }
        let hung: Vec<Pass> = (0..4).map(|_| breaker.enter(60_000).unwrap()).collect();
        let opened: Vec<bool> = hung.iter().map(|pass| breaker.was_late(pass, 120_000)).collect();
        assert_eq!(opened, [false, false, true, false]);
        let trial = breaker.enter(120_000).unwrap();
        assert_eq!(breaker.enter(120_000).unwrap_err(), 1_000, "one trial at a time");
        assert!(breaker.was_late(&trial, 180_000));
        assert_eq!(breaker.enter(180_000).unwrap_err(), 2_000, "it is dead, and the pause doubles");
        let trial = breaker.enter(182_000).unwrap();
        breaker.succeeded(&trial);
        assert!(!breaker.is_open());
    }
}
