//! What the status page counts.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use palisade_guard::refusal::{Event, Reason};

/// Why a connection was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// There was no place for it.
    TurnedAway,
    /// It had not said who it is, and another one needed its place.
    GaveWay,
    /// The head of its next request did not come in time.
    SlowHead,
    /// What it sent is no HTTP.
    Malformed,
    /// It did not read what it had asked for.
    Stalled,
    /// It did not come to an agreement about TLS, or did not speak it.
    Handshake,
    /// It sent too much of what carries nothing.
    Flooded,
}

impl Cut {
    /// The words of the status page, in the order of the variants.
    const WORDS: [&str; 7] = ["turned_away", "gave_way", "slow_head", "malformed", "stalled", "handshake", "flooded"];
}

/// Counts since the start.
#[derive(Default)]
pub(crate) struct Counters {
    arrived: AtomicU64,
    closed: AtomicU64,
    refused: AtomicU64,
    auth_failure: AtomicU64,
    rate_limit: AtomicU64,
    ssrf_attempt: AtomicU64,
    input_validation: AtomicU64,
    policy_denied: AtomicU64,
    cut: [AtomicU64; Cut::WORDS.len()],
}

impl Counters {
    /// A request arrived.
    pub(crate) fn arrived(&self) {
        self.arrived.fetch_add(1, Relaxed);
    }

    /// Its record closed.
    pub(crate) fn closed(&self) {
        self.closed.fetch_add(1, Relaxed);
    }

    /// It was refused.
    pub(crate) fn refused(&self, reason: Reason) {
        self.refused.fetch_add(1, Relaxed);
        if let Some(event) = reason.row().event {
            self.of(event).fetch_add(1, Relaxed);
        }
    }

    /// A connection was cut.
    pub(crate) fn cut(&self, why: Cut) {
        let [turned_away, gave_way, slow_head, malformed, stalled, handshake, flooded] = &self.cut;
        let counter = match why {
            Cut::TurnedAway => turned_away,
            Cut::GaveWay => gave_way,
            Cut::SlowHead => slow_head,
            Cut::Malformed => malformed,
            Cut::Stalled => stalled,
            Cut::Handshake => handshake,
            Cut::Flooded => flooded,
        };
        counter.fetch_add(1, Relaxed);
    }

    /// Cut connections, by why.
    pub(crate) fn cuts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Cut::WORDS.into_iter().zip(self.cut.iter().map(|count| count.load(Relaxed)))
    }

    const fn of(&self, event: Event) -> &AtomicU64 {
        match event {
            Event::AuthFailure => &self.auth_failure,
            Event::RateLimit => &self.rate_limit,
            Event::SsrfAttempt => &self.ssrf_attempt,
            Event::InputValidation => &self.input_validation,
            Event::PolicyDenied => &self.policy_denied,
        }
    }

    /// Requests: all, open now, refused.
    pub(crate) fn requests(&self) -> (u64, u64, u64) {
        let (arrived, closed) = (self.arrived.load(Relaxed), self.closed.load(Relaxed));
        (arrived, arrived.saturating_sub(closed), self.refused.load(Relaxed))
    }

    /// Security events by name.
    pub(crate) fn events(&self) -> [(&'static str, u64); 5] {
        use Event::{AuthFailure, InputValidation, PolicyDenied, RateLimit, SsrfAttempt};
        [AuthFailure, RateLimit, SsrfAttempt, InputValidation, PolicyDenied]
            .map(|event| (event.names().0, self.of(event).load(Relaxed)))
    }
}
