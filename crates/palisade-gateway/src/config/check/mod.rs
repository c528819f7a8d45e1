//! From texts to values: every setting read into its type, every fault found.
//!
//! A setting that cannot be read gets a harmless stand-in, so that the rest is still judged; with a single fault the
//! whole is thrown away, so no stand-in is ever used.

mod certificates;
mod clients;
mod grant;
pub(super) mod keys;
pub(super) mod listen;
mod policy;
mod postgres;
pub(super) mod quantity;
mod redis;
mod server;
mod store;
mod strength;
mod tls;
mod tokens;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::checked::{
    Aggregate, Audit, Auth, AuthMode, Config, KeyForm, Log, MessageLimits, SigningClient, StaticKey, StorePlace,
    Timeouts,
};
use super::env::Vars;
use super::fault::{Faults, Place};
use super::flags::Flags;
use super::merge::Layered;
use super::raw;
use super::seen::Seen;
use super::shape::join;
use palisade_guard::authenticate::CertificateRule;
use palisade_guard::authenticate::key_text::is_prefix;
use palisade_guard::limit;
use quantity::{MIB, SECOND};

/// What a check needs beside the setting itself.
pub(super) struct Check<'a> {
    pub(super) layered: &'a Layered,
    pub(super) vars: &'a Vars,
    pub(super) flags: &'a Flags,
    /// The folder of the file: relative paths in it start there, wherever the gateway was started.
    pub(super) base: &'a Path,
    pub(super) strict: bool,
    /// Variables that hold keys and upstream credentials.
    pub(super) key_variables: BTreeSet<&'a str>,
    /// Every file read so far.
    pub(super) files: Vec<Seen>,
    pub(super) faults: &'a mut Faults,
}

impl Check<'_> {
    /// Reports a setting that was given.
    fn fault(&mut self, setting: &str, problem: impl Into<String>, cure: impl Into<String>) {
        self.faults.add(setting, self.layered.place(setting), problem, cure);
    }

    /// Reports a setting that nobody gave, unless somebody tried.
    fn missing(&mut self, setting: &str, place: Place, problem: impl Into<String>, cure: impl Into<String>) {
        if !self.faults.was_tried(setting) {
            self.faults.add(setting, place, problem, cure);
        }
    }

    /// A path of the file's, from the file's folder on; one of a flag's, from where the gateway was started.
    fn path(&self, setting: &str, path: &str) -> PathBuf {
        match self.layered.place(setting) {
            Place::File { .. } => self.base.join(path),
            _ => PathBuf::from(path),
        }
    }
}

/// Reads everything.
pub(super) fn config(raw: &raw::File, mut notes: Vec<String>, check: &mut Check<'_>) -> Config {
    let listen = listen::socket(&raw.listen, check);
    let identify = listen::identify(&raw.listen, check);
    let edge = listen::edge(&raw.listen, check);
    let names: Vec<Arc<str>> = raw.servers.keys().map(|name| Arc::from(name.as_str())).collect();
    let keys = keys::all(&raw.auth, &names, check);
    let clients = clients::all(&raw.auth, &names, check);
    let loopback = listen.address.ip().is_loopback();
    let audit = audit(&raw.audit, check);
    let store = store::store(&raw.store, &audit, check);
    let may_be_without = loopback || check.strict || store.place != StorePlace::Memory || check.flags.tends_keys;
    let certificates = certificates::all(raw, &names, check);
    let tls = tls::read(&raw.listen, &mut notes, check);
    let auth = auth(raw, (keys, clients, certificates), &names, may_be_without, check);
    if auth.mode == AuthMode::None && !check.flags.stdio {
        refuse_open_door(loopback, &raw.listen, check);
        for (name, _) in raw.servers.iter().filter(|(_, server)| server.signed) {
            let setting = format!("{}.signed", join("servers", name));
            check.fault(
                &setting,
                "is true, and auth.mode = \"none\" asks nobody to sign",
                "use \"hmac\" or \"bearer\"",
            );
        }
        notes.push("authentication is off (auth.mode = \"none\"): everybody on this machine may call".to_owned());
        if !auth.keys.is_empty() {
            notes.push("keys are configured, but auth.mode = \"none\" asks for none of them".to_owned());
        }
    }
    if auth.mode == AuthMode::Signatures && !auth.keys.is_empty() {
        notes.push("keys are configured, but auth.mode = \"hmac\" takes signatures alone".to_owned());
    }
    if !loopback && edge.hosts.is_empty() && !check.strict {
        notes.push("listen.hosts is empty: only calls to localhost are served, whatever the address".to_owned());
    }
    if check.flags.api_key.is_some() {
        notes.push("--api-key shows the key to every process on this machine: use --api-key-file".to_owned());
    }
    let servers = server::all(&raw.servers, check);
    let policy = raw.policy.as_ref().and_then(|policy| policy::read(policy, &names, check));
    Config {
        environment: raw.environment,
        monitoring: raw.monitoring,
        log: Log { level: raw.log.level, format: raw.log.format },
        listen,
        tls,
        edge,
        identify,
        auth,
        limits: limits(&raw.limits, check),
        penalty: match raw.limits.penalty.as_str() {
            "off" => Duration::ZERO,
            penalty => check.duration("limits.penalty", penalty, 60 * SECOND),
        },
        message: message(&raw.limits, check),
        timeouts: timeouts(&raw.timeouts, check),
        servers,
        policy,
        aggregate: Aggregate {
            prefix: raw.aggregate.prefix,
            timeout: check.duration("aggregate.timeout", &raw.aggregate.timeout, 3600 * SECOND),
            max_sessions: count(raw.aggregate.max_sessions),
        },
        store,
        redis: redis::redis(&raw.redis, check),
        audit,
        notes,
    }
}

fn auth(
    raw: &raw::File,
    (keys, clients, certificates): (Vec<StaticKey>, Vec<SigningClient>, Vec<CertificateRule>),
    servers: &[Arc<str>],
    may_be_without: bool,
    check: &mut Check<'_>,
) -> Auth {
    let public_url = tokens::public_url(raw, check);
    let issuers = tokens::issuers(&raw.auth, servers, check);
    let own = tokens::own(raw, public_url.as_deref(), check);
    let raw = &raw.auth;
    let mode = match raw.mode {
        raw::Mode::None => AuthMode::None,
        raw::Mode::Bearer => AuthMode::Keys,
        raw::Mode::Hmac => AuthMode::Signatures,
    };
    if mode == AuthMode::Signatures && clients.is_empty() {
        let place = check.layered.place("auth.mode");
        check.missing("auth.clients", place, "signatures are asked for, and nobody can make one", clients::CURE);
    }
    if !is_prefix(&raw.key_prefix) {
        let cure = "write 2 to 16 of a-z, 0-9 and \"_\", with \"_\" at the end, like \"mcp_\"";
        check.fault("auth.key_prefix", format!("{:?} cannot stand in front of keys", raw.key_prefix), cure);
    }
    let form = KeyForm { prefix: raw.key_prefix.clone(), length: count(raw.key_length) };
    let compat_signatures = raw.danger_allow_compat_signatures || !check.strict;
    let offered = raw.offered_scopes.clone();
    let auth =
        Auth { mode, keys, certificates, form, public_url, offered, tokens: own, issuers, clients, compat_signatures };
    // On loopback in development one is made and shown; production has a rule of its own; a store may hold some.
    if auth.wants_a_key() && !may_be_without {
        check.missing("auth.keys", Place::Default, "there is no key, and the listener is not on loopback", keys::CURE);
    }
    auth
}

/// Mode `none` trusts everybody who reaches the socket, so nobody but this machine may.
fn refuse_open_door(loopback: bool, raw: &raw::Listen, check: &mut Check<'_>) {
    if !loopback {
        let problem = format!("is \"none\", and {} is not a loopback address", raw.address);
        check.fault("auth.mode", problem, "use \"bearer\", or listen on 127.0.0.1");
    }
    if !raw.trusted_proxies.is_empty() {
        let problem = "is \"none\", and listen.trusted_proxies lets a proxy bring everybody in";
        check.fault("auth.mode", problem, "use \"bearer\", or trust no proxy");
    }
}

fn limits(raw: &raw::Limits, check: &mut Check<'_>) -> limit::Config {
    if raw.per_address_per_minute > raw.address_ceiling_per_minute {
        let problem = format!(
            "{} is more than limits.address_ceiling_per_minute ({})",
            raw.per_address_per_minute, raw.address_ceiling_per_minute
        );
        check.fault("limits.per_address_per_minute", problem, "lower the one or raise the other");
    }
    limit::Config {
        per_address: raw.per_address_per_minute,
        ceiling: raw.address_ceiling_per_minute,
        per_caller: raw.per_caller_per_minute,
        capacity: count(raw.counted),
    }
}

fn message(raw: &raw::Limits, check: &mut Check<'_>) -> MessageLimits {
    let body = check.size("limits.body", &raw.body, 1024..=1024 * MIB);
    let arguments = check.size("limits.arguments", &raw.arguments, 1024..=1024 * MIB);
    let both = !check.faults.was_tried("limits.body") && !check.faults.was_tried("limits.arguments");
    if both && arguments > body {
        check.fault(
            "limits.arguments",
            format!("{} is more than limits.body ({})", raw.arguments, raw.body),
            "lower it",
        );
    }
    MessageLimits {
        signed_body: bytes(check.size("limits.signed_body", &raw.signed_body, 1024..=1024 * MIB)),
        body: bytes(body),
        arguments: bytes(arguments),
        answer: bytes(check.size("limits.answer", &raw.answer, 1024..=1024 * MIB)),
        header: bytes(check.size("limits.header", &raw.header, 8 * 1024..=MIB)),
        depth: count(raw.depth),
        batch: count(raw.batch),
        tool_names: raw.tool_names,
    }
}

fn timeouts(raw: &raw::Timeouts, check: &mut Check<'_>) -> Timeouts {
    let mut read = |name: &str, text: &str, most: u64| check.duration(&format!("timeouts.{name}"), text, most);
    let shutdown = read("shutdown", &raw.shutdown, 3600 * SECOND);
    let notice = raw.notice.as_ref().map(|notice| read("notice", notice, 3600 * SECOND));
    let timeouts = Timeouts {
        header: read("header", &raw.header, 60 * SECOND),
        connection_idle: read("connection_idle", &raw.connection_idle, 3600 * SECOND),
        body: read("body", &raw.body, 3600 * SECOND),
        connect: read("connect", &raw.connect, 60 * SECOND),
        keep_alive: read("keep_alive", &raw.keep_alive, 3600 * SECOND),
        write: read("write", &raw.write, 3600 * SECOND),
        stream: read("stream", &raw.stream, 7 * 24 * 3600 * SECOND),
        stream_idle: read("stream_idle", &raw.stream_idle, 7 * 24 * 3600 * SECOND),
        session: read("session", &raw.session, 24 * 3600 * SECOND),
        shutdown,
        notice,
    };
    // A quarter of the time belongs to children and the journal.
    if notice.is_some_and(|notice| notice > shutdown / 2) {
        check.fault("timeouts.notice", "leaves less than half of timeouts.shutdown to calls", "shorten it");
    }
    timeouts
}

fn audit(raw: &raw::Audit, check: &mut Check<'_>) -> Audit {
    let dir = raw.dir.as_deref().map(|dir| check.path("audit.dir", dir));
    if let Some(dir) = dir.as_ref().filter(|dir| !can_be_folder(dir)) {
        let problem = format!("{} is not a folder and cannot become one", dir.display());
        check.fault("audit.dir", problem, "name one whose parent exists");
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if raw.node.is_empty() || raw.node.len() > 64 || !raw.node.bytes().all(plain) {
        let cure = "write 1 to 64 ASCII letters, digits, \".\", \"_\" or \"-\"";
        check.fault("audit.node", format!("{:?} is not a name", raw.node), cure);
    }
    Audit {
        dir,
        durability: raw.durability,
        segment_bytes: check.size("audit.segment", &raw.segment, MIB..=4096 * MIB),
        node: raw.node.clone(),
    }
}

/// Whether this is a folder, or the journal can make it one.
fn can_be_folder(path: &Path) -> bool {
    let parent = path.parent().map(|parent| if parent == Path::new("") { Path::new(".") } else { parent });
    path.is_dir() || !path.exists() && parent.is_some_and(Path::is_dir)
}

fn bytes(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
