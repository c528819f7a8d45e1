//! Where the store is, and the secret that goes with it.

use std::path::{Path, PathBuf};

use super::{Check, keys, strength};
use crate::config::checked::{Audit, Store, StorePlace};
use crate::config::raw;
use crate::config::secret::{Reference, Secret};

const CURE: &str = "write \"sqlite:FILE\", or \"memory\" in development";
/// What the store is called where nobody says.
const DEFAULT: &str = "palisade.db";

/// Reads `[store]`.
pub(super) fn store(raw: &raw::Store, audit: &Audit, check: &mut Check<'_>) -> Store {
    let place = match &raw.url {
        Some(url) => place(url.as_str(), check),
        // Beside the journal, not in it: a journal may have to be put aside as evidence.
        None => match audit.dir.as_deref().filter(|_| check.strict) {
            Some(dir) => StorePlace::File(dir.parent().unwrap_or(Path::new("")).join(DEFAULT)),
            None => StorePlace::Memory,
        },
    };
    let pepper = raw.pepper.as_ref().and_then(|pepper| secret(pepper, check));
    Store { place, pepper }
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
        None if url.starts_with("postgres") => {
            let problem = "this version has no PostgreSQL: gateways on several machines cannot share a store";
            check.fault("store.url", problem, "write \"sqlite:FILE\", or unset it");
        }
        None => check.fault("store.url", "is no store this version knows", CURE),
    }
    check.faults.tried("store.url".to_owned());
    StorePlace::Memory
}

/// The folder of a file; a bare name is in the folder where we are.
fn folder(path: &Path) -> PathBuf {
    path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new(".")).to_owned()
}

fn secret(pepper: &Secret, check: &mut Check<'_>) -> Option<Secret> {
    const AT: &str = "store.pepper";
    let secret = match pepper.reference() {
        Some(Reference::Env(name)) => keys::from_env(AT, name, check)?,
        Some(Reference::File(path)) => {
            let path = check.path(AT, path);
            keys::from_file(AT, &path, check)?
        }
        _ => {
            check.fault(AT, "is not a reference to a secret", "write \"secret:file:PATH\" or \"secret:env:NAME\"");
            return None;
        }
    };
    // Whoever has a copy of the store must not find it by trying.
    if strength::judge(secret.reveal(), true).is_err() {
        check.fault(AT, "is no secret of at least 32 random bytes", "make one with `palisade keys generate`");
        return None;
    }
    Some(secret)
}
