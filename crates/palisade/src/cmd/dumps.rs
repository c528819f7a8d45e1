//! No dumps of memory: there are keys in it.

use palisade_gateway::config::Environment;
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

/// In production: from now on this process leaves no dump when it dies, neither as a file nor to a program that collects them, and no
/// other process of its user may look into its memory. Its children begin with the same limit, and may raise it.
pub(super) fn forbid(environment: Environment) {
    if environment != Environment::Production {
        return;
    }
    let most = getrlimit(Resource::Core).maximum;
    let limited = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: most });
    let hidden = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    if let Err(error) = limited.and(hidden) {
        tracing::warn!(%error, "a dump of this process's memory cannot be ruled out");
    }
}
