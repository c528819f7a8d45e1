//! Which configuration is in force since when, and what became of the last attempt to load another: for the status page.

use std::sync::{Mutex, MutexGuard, PoisonError};

use palisade_guard::clock::Moment;
use serde_json::{Value, json};

use crate::time;

/// What is known of loads.
pub(crate) struct Loads(Mutex<State>);

struct State {
    /// Counted from 1, the start.
    version: u64,
    digest: Option<String>,
    loaded: Moment,
    last: Option<Attempt>,
}

/// The last reload.
struct Attempt {
    at: Moment,
    faults: Vec<String>,
}

/// Faults that are shown; the log has all.
const SHOWN: usize = 50;

impl Loads {
    /// The start.
    pub(crate) fn new(digest: Option<String>) -> Self {
        Self(Mutex::new(State { version: 1, digest, loaded: time::now(), last: None }))
    }

    /// A configuration came in force.
    pub(crate) fn loaded(&self, digest: Option<String>) {
        let now = time::now();
        let mut state = self.lock();
        state.version += 1;
        (state.digest, state.loaded) = (digest, now);
        state.last = Some(Attempt { at: now, faults: Vec::new() });
    }

    /// A configuration did not.
    pub(crate) fn failed(&self, faults: &[String]) {
        let faults = faults.iter().take(SHOWN).cloned().collect();
        self.lock().last = Some(Attempt { at: time::now(), faults });
    }

    /// For the status page.
    pub(crate) fn status(&self) -> Value {
        let state = self.lock();
        let last = state.last.as_ref().map(
            |last| json!({"at": last.at.rfc3339().to_string(), "ok": last.faults.is_empty(), "faults": last.faults}),
        );
        json!({
            "version": state.version,
            "digest": state.digest,
            "loaded_at": state.loaded.rfc3339().to_string(),
            "last_reload": last,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
