//! Where the store is, and the secret that goes with it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Check, keys, postgres, strength};
use crate::config::checked::{Audit, Store, StorePlace};
use crate::config::fault::Place;
use crate::config::raw;
use crate::config::secret::{Reference, Secret};

const CURE: &str = "write \"sqlite:FILE\", \"postgres://USER@HOST/DATABASE\", or \"memory\" in development";
/// The pepper that gives way.
const BEFORE: &str = "store.previous_pepper";
/// What the store is called where nobody says.
const DEFAULT: &str = "palisade.db";

/// Reads `[store]`.
pub(super) fn store(raw: &raw::Store, audit: &Audit, check: &mut Check<'_>) -> Store {
    let place = match &raw.url {
        Some(url) if url.as_str().starts_with("postgres") => match postgres::place(raw, url.as_str(), check) {
            Some(place) => StorePlace::Postgres(Box::new(place)),
            None => StorePlace::Memory,
        },
        Some(url) => place(url.as_str(), check),
        // Beside the journal, not in it: a journal may have to be put aside as evidence.
        None => match audit.dir.as_deref().filter(|_| check.strict) {
            Some(dir) => StorePlace::File(dir.parent().unwrap_or(Path::new("")).join(DEFAULT)),
            None => StorePlace::Memory,
        },
    };
    let pepper = raw.pepper.as_ref().and_then(|pepper| secret("store.pepper", pepper, check));
    let pepper = pepper.filter(|pepper| is_strong("store.pepper", pepper, check));
    let previous_pepper = raw.previous_pepper.as_ref().and_then(|pepper| secret(BEFORE, pepper, check));
    let previous_pepper = previous_pepper.filter(|pepper| is_strong(BEFORE, pepper, check));
    if matches!(place, StorePlace::Postgres(_)) && raw.pepper.is_none() {
        let problem = "is not set, and beside a server there is no file where one could be kept";
        check.missing(
            "store.pepper",
            Place::Default,
            problem,
            "make one with `palisade keys generate`, the same for all gateways",
        );
    }
    let staleness = check.duration("store.max_staleness", &raw.max_staleness, 3_600_000);
    // The store is asked four times a second, and may take a moment.
    Store { place, pepper, previous_pepper, max_staleness: staleness.max(Duration::from_secs(1)) }
}

fn place(url: &str, check: &mut Check<'_>) -> StorePlace {
    if url == "memory" {
        return StorePlace::Memory;
    }
    let path = url.strip_prefix("sqlite:").map(|rest| rest.strip_prefix("//").unwrap_or(rest));
    match path {
        Some(path) if !path.is_empty() && !path.contains(['?', '#', '%']) && path != ":memory:" => {
            let path = check.path("store.url", path);
            if !path.is_dir() && folder(&path).is_dir() {
                return StorePlace::File(path);
            }
            let problem = format!("{} is not a file and cannot become one", path.display());
            check.fault("store.url", problem, "name a file in a folder that exists");
        }
        Some(_) => check.fault("store.url", "does not name a file", CURE),
        None => check.fault("store.url", "is no store this version knows", CURE),
    }
    check.faults.tried("store.url".to_owned());
    StorePlace::Memory
}

/// The folder of a file; a bare name is in the folder where we are.
fn folder(path: &Path) -> PathBuf {
    path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new(".")).to_owned()
}

/// The secret that is referred to.
pub(super) fn secret(at: &str, secret: &Secret, check: &mut Check<'_>) -> Option<Secret> {
    match secret.reference() {
        Some(Reference::Env(name)) => keys::from_env(at, name, check),
        Some(Reference::File(path)) => {
            let path = check.path(at, path);
            keys::from_file(at, &path, check)
        }
        _ => {
            check.fault(at, "is not a reference to a secret", "write \"secret:file:PATH\" or \"secret:env:NAME\"");
            None
        }
    }
}

/// Whoever has a copy of the store must not find the pepper by trying.
fn is_strong(at: &str, pepper: &Secret, check: &mut Check<'_>) -> bool {
    let is_strong = strength::judge(pepper.reveal(), true).is_ok();
    if !is_strong {
        let cure = "make one with `palisade keys generate`";
        check.fault(at, "is no secret of at least 32 random bytes", cure);
    }
    is_strong
}
