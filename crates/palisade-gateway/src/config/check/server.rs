//! The servers behind the gate: how each is reached, and with which credentials.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use http::{HeaderName, HeaderValue, Uri};
use palisade_guard::sign::{Scheme, Signer, Unfit};

use super::quantity::SECOND;
use super::{Check, keys, listen};
use crate::config::checked::{Server, Sign, Upstream};
use crate::config::env;
use crate::config::fault::Place;
use crate::config::raw;
use crate::config::secret::{Command, Reference, Secret, Url};
use crate::config::seen::Seen;
use crate::config::shape::join;

pub(super) fn all(raw: &BTreeMap<String, raw::Server>, check: &mut Check<'_>) -> Vec<Server> {
    if raw.is_empty() && !check.flags.in_process {
        let cure = "add [servers.NAME] with a command or a url, or start with --url URL or -- CMD";
        check.missing("servers", Place::Default, "there is no server to guard", cure);
    }
    raw.iter().map(|(name, server)| one(name, server, check)).collect()
}

fn one(name: &str, raw: &raw::Server, check: &mut Check<'_>) -> Server {
    let setting = join("servers", name);
    if !keys::is_name(name) {
        check.fault(&setting, "is not a name for a server", keys::NAME_CURE);
    }
    for (index, method) in raw.methods.iter().enumerate() {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_' | b'-' | b'.' | b'$');
        if method.is_empty() || method.len() > 128 || !method.bytes().all(plain) {
            let at = format!("{setting}.methods[{index}]");
            check.fault(&at, format!("{method:?} is not a method"), "write one like \"vendor/extra\"");
        }
    }
    Server {
        name: Arc::from(name),
        upstream: upstream(&setting, raw, check),
        timeout: check.duration(&format!("{setting}.timeout"), &raw.timeout, 24 * 3600 * SECOND),
        lists: listen::lists(&setting, &raw.allow, &raw.deny, check),
        methods: raw.methods.iter().map(|method| method.as_str().into()).collect(),
        max_sessions: super::count(raw.max_sessions),
        signed: raw.signed,
    }
}

fn upstream(setting: &str, raw: &raw::Server, check: &mut Check<'_>) -> Upstream {
    match (&raw.command, &raw.url) {
        (Some(_), Some(_)) => check.fault(setting, "has both a command and a url", "keep one of them"),
        (None, None) => {
            let tried = ["command", "url"].iter().any(|name| check.faults.was_tried(&format!("{setting}.{name}")));
            if !tried {
                check.fault(setting, "has neither a command nor a url", "add one of them");
            }
        }
        _ => {}
    }
    match &raw.url {
        Some(url) => http(setting, raw, url, check),
        None => stdio(setting, raw, check),
    }
}

fn http(setting: &str, raw: &raw::Server, url: &Url, check: &mut Check<'_>) -> Upstream {
    for (name, given) in [
        ("env", !raw.env.is_empty()),
        ("inherit_env", !raw.inherit_env.is_empty()),
        ("working_dir", raw.working_dir.is_some()),
    ] {
        if given && raw.command.is_none() {
            check.fault(&format!("{setting}.{name}"), "goes with a command, not with a url", "remove it");
        }
    }
    let url_setting = format!("{setting}.url");
    let uri = read_url(url.as_str()).unwrap_or_else(|(problem, cure)| {
        check.fault(&url_setting, problem, cure);
        Uri::default()
    });
    let ca_file = ca_file(setting, raw.ca_file.as_deref(), check);
    let headers: Vec<_> = raw.headers.iter().filter_map(|(name, value)| header(setting, name, value, check)).collect();
    for (place, (name, _)) in headers.iter().enumerate() {
        if headers.iter().take(place).any(|(before, _)| before == name) {
            let problem = "stands twice: names of headers do not tell capitals from small letters";
            check.fault(&join(&format!("{setting}.headers"), name.as_str()), problem, "keep one of them");
        }
    }
    let sign = raw.sign.as_ref().and_then(|sign| signing(&format!("{setting}.sign"), sign, check));
    Upstream::Http { url: uri, headers, ca_file, sign }
}

fn signing(at: &str, raw: &raw::Sign, check: &mut Check<'_>) -> Option<Sign> {
    let secret = resolve(&format!("{at}.secret"), &raw.secret, check)?;
    match Signer::new(Scheme::Headers, &raw.key_id, secret.reveal().as_bytes()) {
        Ok(_) => Some(Sign { key_id: raw.key_id.clone(), secret }),
        Err(Unfit::KeyId) => {
            let cure = "write 1 to 64 ASCII letters, digits, \".\", \"_\" or \"-\"";
            check.fault(&format!("{at}.key_id"), format!("{:?} is not a key id", raw.key_id), cure);
            None
        }
        Err(_) => {
            check.fault(&format!("{at}.secret"), "has fewer than 32 bytes", "make one with `palisade keys generate`");
            None
        }
    }
}

/// Certificates to believe instead of the system's.
pub(super) fn ca_file(setting: &str, path: Option<&str>, check: &mut Check<'_>) -> Option<PathBuf> {
    let at = format!("{setting}.ca_file");
    let path = check.path(&at, path?);
    check.files.push(Seen::now(&path));
    if !path.is_file() {
        check.fault(&at, format!("{} is not a file", path.display()), "name a file of PEM certificates");
    }
    Some(path)
}

/// The address without userinfo and fragment. Its text is never repeated: it may hold a token.
pub(super) fn read_url(text: &str) -> Result<Uri, (&'static str, &'static str)> {
    const CURE: &str = "write one like \"https://search.internal/mcp\"";
    if text.contains('#') {
        return Err(("has a fragment (#…), which no request carries", "remove it"));
    }
    let url: Uri = text.parse().map_err(|_| ("is not a URL", CURE))?;
    if !matches!(url.scheme_str(), Some("http" | "https")) {
        return Err(("has neither scheme http nor https", CURE));
    }
    let authority = url.authority().ok_or(("has no host", CURE))?;
    if authority.as_str().contains('@') {
        return Err(("has a user or password in it", "send them as a header, with a secret: reference"));
    }
    if authority.host().is_empty() || authority.port().is_some_and(|port| port.as_str().parse() == Ok(0_u16)) {
        return Err(("has no usable host and port", CURE));
    }
    Ok(url)
}

fn header(setting: &str, name: &str, value: &Secret, check: &mut Check<'_>) -> Option<(HeaderName, Secret)> {
    let at = join(&format!("{setting}.headers"), name);
    let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
        check.fault(&at, "is not a header name", "write one like \"authorization\"");
        return None;
    };
    // Computed for every request: a fixed value would contradict the message, or break its framing.
    if OURS.contains(&header.as_str()) || header.as_str().starts_with("mcp-") {
        check.fault(&at, "is written by the gateway itself", "remove it");
        return None;
    }
    let value = resolve(&at, value, check)?;
    if HeaderValue::from_str(value.reveal()).is_err() {
        check.fault(&at, "has a value that cannot stand in a header", "write visible ASCII on one line");
        return None;
    }
    Some((header, value))
}

fn stdio(setting: &str, raw: &raw::Server, check: &mut Check<'_>) -> Upstream {
    let given = [raw.sign.is_some(), raw.ca_file.is_some(), !raw.headers.is_empty()];
    for (name, given) in ["sign", "ca_file", "headers"].into_iter().zip(given) {
        if given && raw.command.is_some() {
            check.fault(&format!("{setting}.{name}"), "goes with a url, not with a command", "remove it");
        }
    }
    let command = raw.command.clone().unwrap_or_default();
    let words = command.words();
    if raw.command.is_some() && words.first().is_none_or(String::is_empty) {
        check.fault(&format!("{setting}.command"), "names no program", "write [\"program\", \"argument\"]");
    }
    if words.iter().any(|word| word.contains('\0')) {
        check.fault(&format!("{setting}.command"), "has a NUL character in it", "remove it");
    }
    let working_dir = raw.working_dir.as_deref().map(|dir| working_dir(setting, dir, check));
    let env = raw.env.iter().filter_map(|(name, value)| variable(setting, name, value, check)).collect();
    for (index, name) in raw.inherit_env.iter().enumerate() {
        judge_inherited(&format!("{setting}.inherit_env[{index}]"), name, check);
    }
    Upstream::Stdio { command: Command::clone(&command), env, inherit_env: raw.inherit_env.clone(), working_dir }
}

fn working_dir(setting: &str, dir: &str, check: &mut Check<'_>) -> PathBuf {
    let at = format!("{setting}.working_dir");
    let dir = check.path(&at, dir);
    if !dir.is_dir() {
        check.fault(&at, format!("{} is not a folder", dir.display()), "name one that exists");
    }
    dir
}

fn variable(setting: &str, name: &str, value: &Secret, check: &mut Check<'_>) -> Option<(String, Secret)> {
    let at = join(&format!("{setting}.env"), name);
    if name.is_empty() || name.contains(['=', '\0']) {
        check.fault(&at, "is not a name for a variable", "write one like \"LOG_LEVEL\"");
        return None;
    }
    let value = resolve(&at, value, check)?;
    if value.reveal().contains('\0') {
        check.fault(&at, "has a NUL character in it", "remove it");
        return None;
    }
    Some((name.to_owned(), value))
}

/// A server must not read our own secrets: with a key of the gateway it could call every other server.
fn judge_inherited(at: &str, name: &str, check: &mut Check<'_>) {
    if is_ours(name) || check.key_variables.contains(name) {
        check.fault(at, format!("{name} holds a secret of the gateway"), OWN_CURE);
    } else if !check.vars.contains_key(name) {
        check.fault(at, format!("{name:?} is not set"), "set it, or remove it here");
    }
}

fn is_ours(variable: &str) -> bool {
    env::find(variable).is_some_and(|row| row.secret)
}

/// A secret of the gateway's own, or what its reference points to.
pub(super) fn resolve_own(at: &str, value: &Secret, check: &mut Check<'_>) -> Option<Secret> {
    match value.reference() {
        Some(Reference::Env(name)) => keys::from_env(at, name, check),
        _ => resolve(at, value, check),
    }
}

/// The value, or what its reference points to.
fn resolve(at: &str, value: &Secret, check: &mut Check<'_>) -> Option<Secret> {
    let Some(reference) = value.reference() else { return Some(value.clone()) };
    match reference {
        Reference::Env(name) if is_ours(name) => {
            check.fault(at, format!("{name} holds a secret of the gateway"), OWN_CURE);
            None
        }
        Reference::Env(name) => keys::from_env(at, name, check),
        Reference::File(path) => keys::from_file(at, &check.path(at, path), check),
        Reference::Unknown => {
            check.fault(at, "is not a reference this version knows", "write secret:env:NAME or secret:file:PATH");
            None
        }
    }
}

const OWN_CURE: &str = "give the server a variable of its own";
const OURS: [&str; 11] = [
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
    "upgrade",
    "te",
    "trailer",
    "accept",
    "accept-encoding",
    "last-event-id",
];
