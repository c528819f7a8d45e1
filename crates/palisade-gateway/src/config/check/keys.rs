//! The keys of all sources: read, weighed, and known by their digest alone from here on.
//!
//! 1. A key stands in exactly one place. The same key under two names would make records lie about who called.
//! 2. A weak key is refused, and never repeated in the fault.
//! 3. A file with a secret in it is refused when others than its owner may read it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use palisade_guard::authenticate::Keys;
use palisade_guard::digest::read_hex;
use palisade_guard::grant::Grant;
use zeroize::Zeroizing;

use super::{Check, grant, strength};
use crate::config::checked::StaticKey;
use crate::config::env::{self, Sets, TABLE};
use crate::config::fault::Place;
use crate::config::raw;
use crate::config::secret::{Reference, Secret};
use crate::config::seen::Seen;

/// What to do without a key.
pub(crate) const CURE: &str =
    "make one with `palisade keys create`, add [[auth.keys]], start with --api-key-file FILE, or set MCP_API_KEYS";
pub(super) const NAME_CURE: &str = "write 1 to 63 of a-z, 0-9, \"_\" and \"-\", beginning with a letter or digit";

/// Whether this can name a server or a key's holder.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-'))
}

/// Every key there is.
pub(super) fn all(raw: &raw::Auth, servers: &[Arc<str>], check: &mut Check<'_>) -> Vec<StaticKey> {
    let mut ring = Ring::default();
    for (index, key) in raw.keys.iter().enumerate() {
        configured(index, key, servers, check, &mut ring);
    }
    for row in TABLE {
        from_variable(row, check, &mut ring);
    }
    if check.flags.env_keys && ring.from_env == 0 {
        let cure = "set MCP_API_KEYS, API_KEY, AUTH_TOKEN or MCP_API_KEY_HASH";
        check.missing("auth.keys", Place::Flag("--env-keys"), "the environment holds no key", cure);
    }
    if let Some(path) = &check.flags.api_key_file {
        key_file(path, check, &mut ring);
    }
    if let Some(key) = &check.flags.api_key {
        ring.text("cli", key, Place::Flag("--api-key"), check);
    }
    ring.keys
}

/// The keys found so far.
#[derive(Default)]
struct Ring {
    keys: Vec<StaticKey>,
    names: BTreeMap<[u8; 32], Arc<str>>,
    from_env: usize,
    unnamed: usize,
}

impl Ring {
    /// `key-1`, `key-2` … for keys that come without a name, in the order of their sources.
    fn next_name(&mut self) -> String {
        self.unnamed += 1;
        format!("key-{}", self.unnamed)
    }

    fn text(&mut self, name: &str, key: &Secret, place: Place, check: &mut Check<'_>) {
        if let Some(digest) = weigh(key, &place, check) {
            self.add(StaticKey { name: Arc::from(name), ..bare(digest) }, place, check);
        }
    }

    fn add(&mut self, key: StaticKey, place: Place, check: &mut Check<'_>) {
        if !is_name(&key.name) {
            check.faults.add("auth.keys", place, format!("{:?} is not a name for a key", key.name), NAME_CURE);
            return;
        }
        if let Some(other) = self.names.get(&key.digest) {
            let problem = format!("{} is the same key as {other}", key.name);
            check.faults.add("auth.keys", place, problem, "remove one of them: records could not tell who called");
            return;
        }
        if self.keys.iter().any(|other| other.name == key.name) {
            let problem = format!("two keys are called {}", key.name);
            check.faults.add("auth.keys", place, problem, "give each a name of its own");
            return;
        }
        self.names.insert(key.digest, Arc::clone(&key.name));
        self.keys.push(key);
    }
}

fn bare(digest: [u8; 32]) -> StaticKey {
    StaticKey { name: Arc::from(""), digest, grant: Grant::default() }
}

/// One `[[auth.keys]]`.
fn configured(index: usize, raw: &raw::Key, servers: &[Arc<str>], check: &mut Check<'_>, ring: &mut Ring) {
    let at = format!("auth.keys[{index}]");
    let grant = grant::read(&at, &grant::Rights::from(raw), servers, check);
    let Some(digest) = digest(&at, raw, check) else { return };
    let name = raw.name.clone().unwrap_or_else(|| ring.next_name());
    let key = StaticKey { name: Arc::from(name), digest, grant };
    let place = check.layered.place(&at);
    ring.add(key, place, check);
}

fn digest(at: &str, raw: &raw::Key, check: &mut Check<'_>) -> Option<[u8; 32]> {
    const NAMES: [&str; 4] = ["sha256", "key_file", "key_env", "key"];
    let given = [raw.sha256.is_some(), raw.key_file.is_some(), raw.key_env.is_some(), raw.key.is_some()];
    match given.iter().filter(|given| **given).count() {
        1 => {}
        0 if NAMES.iter().any(|name| check.faults.was_tried(&format!("{at}.{name}"))) => return None,
        0 => {
            check.fault(at, "does not say where its key is", "add sha256, key_file or key_env");
            return None;
        }
        _ => {
            check.fault(at, "says more than once where its key is", "keep one of sha256, key_file, key_env and key");
            return None;
        }
    }
    if let Some(hash) = &raw.sha256 {
        let place = check.layered.place(&format!("{at}.sha256"));
        return read_hash(hash.reveal(), place, check);
    }
    let (name, key) = if let Some(path) = &raw.key_file {
        let name = format!("{at}.key_file");
        let key = from_file(&name, &check.path(&name, path), check)?;
        (name, key)
    } else if let Some(variable) = &raw.key_env {
        let name = format!("{at}.key_env");
        let key = from_env(&name, variable, check)?;
        (name, key)
    } else {
        let (name, key) = (format!("{at}.key"), raw.key.clone()?);
        if key.reference().is_some() {
            check.fault(&name, "is a reference, and takes the key itself", "use key_env or key_file");
            return None;
        }
        (name, key)
    };
    let place = check.layered.place(&name);
    weigh(&key, &place, check)
}

fn from_variable(row: &'static env::Row, check: &mut Check<'_>, ring: &mut Ring) {
    let usable = matches!(row.sets, Sets::Keys | Sets::Key(_) | Sets::KeyHashes);
    let Some(value) = usable.then(|| env::text(row, check.vars, check.faults)).flatten() else { return };
    ring.from_env += 1;
    let place = Place::Env(row.name);
    let items = value.reveal().split(',').map(str::trim);
    match row.sets {
        Sets::Key(name) => ring.text(name, &value, place, check),
        Sets::Keys => items.for_each(|item| {
            let (name, key) = split_name(item);
            let name = name.map_or_else(|| ring.next_name(), str::to_owned);
            ring.text(&name, &Secret::new(key.to_owned()), place.clone(), check);
        }),
        _ => items.enumerate().for_each(|(index, item)| {
            if let Some(digest) = read_hash(item, place.clone(), check) {
                let name = Arc::from(format!("hash-{}", index + 1));
                ring.add(StaticKey { name, ..bare(digest) }, place.clone(), check);
            }
        }),
    }
}

/// `NAME=KEY` or `KEY`. A key in base64 may end in `=`; that is no name.
fn split_name(item: &str) -> (Option<&str>, &str) {
    match item.split_once('=') {
        Some((name, key)) if is_name(name) && key.bytes().any(|byte| byte != b'=') => (Some(name), key),
        _ => (None, item),
    }
}

/// `--api-key-file`: one `NAME KEY` or `KEY` on each line.
fn key_file(path: &Path, check: &mut Check<'_>, ring: &mut Ring) {
    const FLAG: Place = Place::Flag("--api-key-file");
    check.files.push(Seen::now(path));
    let text = match private_file(path) {
        Ok(text) => text,
        Err((problem, cure)) => {
            check.faults.add("auth.keys", FLAG, problem, cure);
            check.faults.tried("auth.keys".to_owned());
            return;
        }
    };
    let shown: Arc<str> = Arc::from(path.display().to_string());
    let mut found = 0;
    for (index, line) in text.reveal().lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        found += 1;
        let place = Place::File { path: Arc::clone(&shown), line: index + 1 };
        let mut words = line.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some(key), None, None) => ring.text(&format!("file-{found}"), &Secret::new(key.to_owned()), place, check),
            (Some(name), Some(key), None) => ring.text(name, &Secret::new(key.to_owned()), place, check),
            _ => check.faults.add("auth.keys", place, "has more than a name and a key", "write NAME KEY, or KEY alone"),
        }
    }
    if found == 0 {
        check.faults.add("auth.keys", FLAG, format!("{shown} holds no key"), "write one key on each line");
        check.faults.tried("auth.keys".to_owned());
    }
}

/// The secret in a variable.
pub(super) fn from_env(at: &str, name: &str, check: &mut Check<'_>) -> Option<Secret> {
    let value = check.vars.get(name).and_then(|value| value.to_str()).filter(|value| !value.trim().is_empty());
    if value.is_none() {
        check.fault(at, format!("the environment variable {name} holds nothing"), "set it");
    }
    value.map(|value| Secret::new(value.to_owned()))
}

/// The secret in a file, without the line end after it.
pub(super) fn from_file(at: &str, path: &Path, check: &mut Check<'_>) -> Option<Secret> {
    check.files.push(Seen::now(path));
    match private_file(path) {
        Ok(text) if text.reveal().trim().is_empty() => {
            check.fault(at, format!("{} is empty", path.display()), "write the secret into it");
            None
        }
        Ok(text) => Some(Secret::new(text.reveal().trim_end_matches(['\r', '\n']).to_owned())),
        Err((problem, cure)) => {
            check.fault(at, problem, cure);
            None
        }
    }
}

/// What was judged is what is read: the file is opened once.
pub(crate) fn private_file(path: &Path) -> Result<Secret, (String, String)> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| {
        (format!("{shown} cannot be read ({error})"), "name a file of text that can be read".to_owned())
    };
    let file = fs::File::open(path).map_err(unreadable)?;
    let about = file.metadata().map_err(unreadable)?;
    if !about.is_file() || about.size() > LARGEST {
        return Err((format!("{shown} is not a file of at most {LARGEST} bytes"), "name a file with keys".to_owned()));
    }
    let mode = about.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err((format!("others may use {shown} (mode {mode:04o})"), format!("chmod 600 {shown}")));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(LARGEST).read_to_string(&mut text).map_err(unreadable)?;
    Ok(Secret::new(std::mem::take(&mut text)))
}

fn read_hash(text: &str, place: Place, check: &mut Check<'_>) -> Option<[u8; 32]> {
    let Some(digest) = read_hex(text) else {
        let cure = "write the 64 hexadecimal digits of a key's SHA-256";
        check.faults.add("auth.keys", place, "is not a SHA-256", cure);
        return None;
    };
    // The weakest keys are known by their digest too.
    if strength::WELL_KNOWN.iter().chain(&[""]).any(|word| Keys::digest(word.as_bytes()) == digest) {
        check.faults.add("auth.keys", place, "is the SHA-256 of a well-known word", MAKE_ONE);
        return None;
    }
    Some(digest)
}

/// The digest of a key that is good enough.
fn weigh(key: &Secret, place: &Place, check: &mut Check<'_>) -> Option<[u8; 32]> {
    match strength::judge(key.reveal(), check.strict) {
        Ok(()) => Some(Keys::digest(key.reveal().as_bytes())),
        Err(problem) => {
            check.faults.add("auth.keys", place.clone(), problem, MAKE_ONE);
            check.faults.tried("auth.keys".to_owned());
            None
        }
    }
}

/// The variables the file takes secrets from.
pub(in crate::config) fn variables(raw: &raw::File) -> impl Iterator<Item = &str> {
    let keys = raw.auth.keys.iter().filter_map(|key| key.key_env.as_deref());
    let headers = raw.servers.values().flat_map(|server| server.headers.values());
    let tokens = &raw.auth.tokens;
    let own =
        [&raw.store.pepper, &raw.store.previous_pepper, &raw.store.password, &tokens.secret, &tokens.previous_secret]
            .into_iter()
            .flatten();
    let clients = raw.auth.issuers.iter().filter_map(|issuer| issuer.client_secret.as_ref());
    keys.chain(headers.chain(own).chain(clients).filter_map(|value| match value.reference() {
        Some(Reference::Env(name)) => Some(name),
        _ => None,
    }))
    .chain(raw.auth.clients.iter().flat_map(|client| &client.secrets).filter_map(|secret| {
        match secret.reference() {
            Some(Reference::Env(name)) => Some(name),
            _ => None,
        }
    }))
}

const MAKE_ONE: &str = "make one with `palisade keys generate`";
const LARGEST: u64 = 1 << 20;
