//! The mirror of `[timeouts]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How long to wait.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Timeouts {
    /// For a request's headers, from their first byte; on a new connection from its beginning.
    pub(in crate::config) header: String,
    /// For the next request on a connection that is kept: longer than clients keep one, or theirs meet a closed one.
    pub(in crate::config) connection_idle: String,
    /// For a request's body.
    pub(in crate::config) body: String,
    /// For a connection to an upstream.
    pub(in crate::config) connect: String,
    /// Between two signs of life on a quiet stream.
    pub(in crate::config) keep_alive: String,
    /// For a client to take some of what is written to it.
    pub(in crate::config) write: String,
    /// For a stream, whatever happens on it: then it ends, and its client opens another.
    pub(in crate::config) stream: String,
    /// For a stream that answers no request and on which nothing but signs of life went.
    pub(in crate::config) stream_idle: String,
    /// Until a session nobody uses is forgotten.
    pub(in crate::config) session: String,
    /// For calls to end when the gateway stops.
    pub(in crate::config) shutdown: String,
    /// Before that, as a part of it: how long everything goes on but readiness, so that a load balancer can look away.
    /// Without it there is no such time.
    pub(in crate::config) notice: Option<String>,
}

impl Default for Timeouts {
    fn default() -> Self {
        let text = str::to_owned;
        Self {
            header: text("10s"),
            connection_idle: text("2m"),
            body: text("30s"),
            connect: text("10s"),
            keep_alive: text("15s"),
            write: text("30s"),
            stream: text("12h"),
            stream_idle: text("2h"),
            session: text("30m"),
            shutdown: text("30s"),
            notice: None,
        }
    }
}
