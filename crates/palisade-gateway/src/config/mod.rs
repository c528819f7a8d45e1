//! The configuration: `palisade.toml`, environment and flags, become one value in which nothing can be wrong.
//!
//! 1. `raw` mirrors the file, and its comments are the manual; `shape` checks names and types against it.
//! 2. `merge` lays environment ([`env`]) and flags over it and keeps where each value came from.
//! 3. `check` reads every text into its type ([`Config`]), `production` refuses what is dangerous.
//! 4. One fault, and nothing starts: [`load`] returns every [`Fault`] at once.
//!
//! # Caveat
//! Secrets are looked up here, at start. A rotated key file counts from the next start or reload on.

mod check;
mod checked;
pub mod env;
mod fault;
mod flags;
mod merge;
pub mod production;
mod raw;
mod schema;
mod secret;
mod seen;
mod shape;
mod show;
mod source;

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use palisade_guard::digest::sha256;
use serde::Deserialize as _;
use zeroize::Zeroizing;

pub use checked::{
    Aggregate, Audit, Auth, AuthMode, Config, Durability, Environment, Format, Introspection, Issuer, Kept, KeyForm,
    KeySource, Level, Listen, Log, MessageLimits, OnFailure, Postgres, PostgresHost, Prefix, Redis, RedisForm, Server,
    Sign, Signing, SigningClient, StaticKey, Store, StorePlace, Timeouts, Tls, Tokens, ToolNames, Upstream,
};
pub use env::Vars;
pub use fault::{Fault, Place};
pub use flags::{Credential, Flags, ServerFlag, Start};
pub use schema::schema;
pub use secret::{Command, Secret};
pub use seen::Seen;
pub use source::{Origin, Source};

pub(crate) use check::keys::{CURE as NO_KEY, is_name, private_file};
pub(crate) use check::listen::network;
pub(crate) use check::quantity::duration;
pub(crate) use shape::nearest;

use check::{Check, keys};
use fault::Faults;
use merge::Layered;

/// A configuration, and what `palisade config show` says of it.
#[derive(Debug)]
pub struct Loaded {
    /// What the gateway is built from.
    pub config: Config,
    /// Where it came from.
    pub origin: Origin,
    lines: Vec<show::Line>,
}

/// Reads file, environment and flags.
pub fn load(flags: &Flags, file: Option<&Path>, vars: &Vars, start: Start) -> Result<Loaded, Vec<Fault>> {
    let root = schema::value();
    let (mut layered, mut faults) = (Layered::default(), Faults::default());
    let mut digest = None;
    let files = file.map(Seen::now).into_iter().collect();
    let readable = file.is_none_or(|path| {
        digest = read(path, &root, &mut layered, &mut faults);
        digest.is_some()
    });
    merge::over(&mut layered, vars, flags, start, &root, &mut faults);
    let notes = env::notes(vars, &mut faults);
    if !readable {
        return Err(faults.into_sorted());
    }
    let tree = std::mem::take(&mut layered.tree);
    let Ok(raw) = raw::File::deserialize(tree) else {
        // Its words could repeat a secret.
        faults.add("", Place::Default, "does not fit its own schema", "please report this file's shape as a bug");
        return Err(faults.into_sorted());
    };
    let mut check = Check {
        layered: &layered,
        vars,
        flags,
        base: file.and_then(Path::parent).unwrap_or(Path::new("")),
        strict: raw.environment.is_strict(),
        key_variables: keys::variables(&raw).collect::<BTreeSet<_>>(),
        files,
        faults: &mut faults,
    };
    let config = check::config(&raw, notes, &mut check);
    let files = std::mem::take(&mut check.files);
    if flags.tends_keys {
        faults.keep_those_of_keys();
    } else if raw.environment.is_strict() {
        let facts = production::Facts { raw: &raw, config: &config, flags };
        production::judge(&facts, &layered, &mut faults);
    }
    if !faults.is_empty() {
        return Err(faults.into_sorted());
    }
    let lines = show::lines(&raw, &config.auth, &layered, vars);
    let origin = Origin::new(digest, files, &lines);
    Ok(Loaded { config, origin, lines })
}

/// Every effective value, where it came from, secrets masked.
pub fn show(loaded: &Loaded) -> String {
    show::page(&loaded.lines)
}

/// One line for each fault.
pub fn report(faults: &[Fault]) -> String {
    faults.iter().map(Fault::to_string).map(|line| line + "\n").collect()
}

/// Reads the file into the layers and says how its digest begins; `None` when nothing of it can be used.
fn read(path: &Path, root: &serde_json::Value, layered: &mut Layered, faults: &mut Faults) -> Option<String> {
    let shown: Arc<str> = Arc::from(path.display().to_string());
    let mut text = Zeroizing::new(String::new());
    let outcome = fs::File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_string(&mut text));
    let whole = Place::File { path: Arc::clone(&shown), line: 0 };
    match outcome {
        Err(error) => faults.add("", whole, format!("cannot be read ({error})"), "name a readable file of UTF-8 text"),
        Ok(_) if u64::try_from(text.len()).is_ok_and(|length| length > LARGEST) => {
            faults.add("", whole, format!("is larger than {LARGEST} bytes"), "name the right file");
        }
        Ok(_) if shape::read(&text, &shown, root, layered, faults) => return Some(digest(text.as_bytes())),
        Ok(_) => {}
    }
    None
}

/// Enough to tell two files apart, too little to guess a secret by.
fn digest(bytes: &[u8]) -> String {
    let first = sha256(bytes).first_chunk().copied().unwrap_or_default();
    format!("{:016x}", u64::from_be_bytes(first))
}

/// Bytes of a configuration file.
const LARGEST: u64 = 1 << 20;
