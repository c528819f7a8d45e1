//! The record of one arrival: opened before anything can refuse, closed exactly once, whatever happens.

use std::sync::Arc;
use std::time::Instant;

use palisade_guard::audit::record::{Outcome, Record};
use palisade_guard::refusal::Refusal;

use crate::lasting::Lasting;
use crate::time;

/// A record that is written when it is dropped.
pub(crate) struct OpenRecord {
    /// The facts so far.
    pub(crate) facts: Record,
    lasting: Arc<Lasting>,
    started: Instant,
    complete: bool,
}

impl OpenRecord {
    /// Opens the record of one arrival.
    pub(crate) fn open(lasting: &Arc<Lasting>, facts: Record, started: Instant) -> Self {
        lasting.counters.arrived();
        Self { facts, lasting: Arc::clone(lasting), started, complete: false }
    }

    /// Bytes were handed to the client's connection.
    pub(crate) fn sent(&mut self, bytes: usize) {
        self.facts.bytes_out += u64::try_from(bytes).unwrap_or(u64::MAX);
    }

    /// An event was handed over.
    pub(crate) const fn event(&mut self) {
        self.facts.events += 1;
    }

    /// A stream broke.
    pub(crate) fn broke(&mut self, refusal: &Refusal) {
        self.refused("stream", refusal);
        self.facts.outcome = Outcome::UpstreamFailed;
    }

    /// We ended a stream that owed an answer.
    pub(crate) fn cut(&mut self, refusal: &Refusal) {
        self.refused("stream", refusal);
        self.facts.outcome = Outcome::Refused;
    }

    /// The answer was handed over whole.
    pub(crate) const fn complete(&mut self) {
        self.complete = true;
    }

    /// A stage refused.
    #[cold]
    pub(crate) fn refused(&mut self, stage: &'static str, refusal: &Refusal) {
        self.facts.refuse(stage, refusal);
        self.lasting.counters.refused(refusal.reason());
    }
}

impl Drop for OpenRecord {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.facts.outcome = Outcome::Panicked;
        } else if !self.complete && self.facts.outcome != Outcome::Panicked {
            self.facts.outcome = Outcome::ClientLeft;
        }
        let ended = time::instant();
        self.facts.duration_us = time::micros(self.started, ended);
        self.lasting.counters.closed();
        self.lasting.journal.close(&self.facts, time::at(ended));
    }
}
