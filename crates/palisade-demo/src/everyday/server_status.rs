//! `server_status`: how long this server has been up and how much it has done.

use schemars::JsonSchema;
use serde::Serialize;

use crate::{state::State, toolset::Toolset};

/// The state of this server at one moment.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Report {
    /// Always `up`: a server that is not does not answer.
    status: &'static str,
    /// Whole seconds since the server started.
    uptime_seconds: u64,
    /// Tool calls answered so far, without this one.
    calls_served: u64,
    /// Tool calls that their tool refused so far.
    calls_refused: u64,
    /// The set of tools that is served.
    toolset: Toolset,
}

/// Reports the status as `state` knows it.
pub(crate) fn report(state: &State) -> Report {
    Report {
        status: "up",
        uptime_seconds: state.uptime().as_secs(),
        calls_served: state.served(),
        calls_refused: state.refused(),
        toolset: state.toolset,
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    /// K1: answered and refused calls are counted apart.
    #[test]
    fn counts_calls() {
        let state = State::new(Toolset::Everyday, || SystemTime::UNIX_EPOCH);
        state.count(&Ok::<_, ()>(()));
        state.count(&Ok::<_, ()>(()));
        state.count(&Err::<(), _>(()));
        let status = report(&state);
        assert_eq!((status.calls_served, status.calls_refused), (2, 1));
        assert_eq!(serde_json::to_value(status).unwrap()["toolset"], "everyday");
    }
}
