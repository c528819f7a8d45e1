//! The mirror of `[store]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::secret::{Secret, Url};

/// What must outlive the process: managed keys, and what else must be known twice.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Store {
    /// `sqlite:FILE`, made at start if its folder exists; several gateways of one machine may share it. Or `memory`,
    /// which forgets everything at the end, in development only. Without it `palisade.db` beside `audit.dir`, and in
    /// development `memory`. Env `DATABASE_URL`.
    pub(in crate::config) url: Option<Url>,
    /// The secret without which nothing in the store can be used as a key, as `secret:env:NAME` or `secret:file:PATH`:
    /// at least 32 random bytes, the same for all gateways that share the store. Without it `palisade.pepper` beside
    /// the store, made with the first key. Keep a copy of it, apart from copies of the store.
    pub(in crate::config) pepper: Option<Secret>,
}
