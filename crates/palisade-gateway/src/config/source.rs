//! Where a configuration came from, so that it can be read again, and what of it cannot change while the gateway runs.

use std::path::PathBuf;

use super::env::Vars;
use super::fault::{Fault, Place};
use super::flags::{Flags, Start};
use super::seen::Seen;
use super::show::Line;
use super::{Loaded, StaticKey, load};

/// Everything that a configuration is read from.
#[derive(Debug)]
pub struct Source {
    /// The command line.
    pub flags: Flags,
    /// The file.
    pub file: PathBuf,
    /// The environment, which stays as it was at the start.
    pub vars: Vars,
    /// The key that was made at the start, where there was none.
    pub made: Option<StaticKey>,
}

impl Source {
    /// Reads all of it again, as it was read at the start.
    pub fn load(&self) -> Result<Loaded, Vec<Fault>> {
        let mut loaded = load(&self.flags, Some(&self.file), &self.vars, Start::File)?;
        let auth = &mut loaded.config.auth;
        if auth.wants_a_key() && !loaded.config.environment.is_strict() {
            auth.keys.extend(self.made.clone());
        }
        Ok(loaded)
    }

    /// The fault of a configuration without a key, where the store has none that works either.
    pub(crate) fn no_key(&self) -> Fault {
        Fault {
            setting: "auth.keys".to_owned(),
            place: Place::File { path: self.file.display().to_string().into(), line: 0 },
            problem: "there is no key any more, and none that works in the store".to_owned(),
            cure: "add one, or make one with `palisade keys create`".to_owned(),
        }
    }
}

/// What is known of a configuration beside its values.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// How the SHA-256 of the file begins, in hexadecimal digits.
    pub digest: Option<String>,
    /// Every file that was read for it: the file itself, and those of keys, secrets and certificates.
    pub files: Vec<Seen>,
    fixed: Vec<Line>,
}

impl Origin {
    pub(super) fn new(digest: Option<String>, files: Vec<Seen>, lines: &[Line]) -> Self {
        let fixed = lines.iter().filter(|line| FIXED.contains(&line.setting.as_str())).cloned().collect();
        Self { digest, files, fixed }
    }

    /// A fault for each setting that differs from what is `running` and cannot follow without a restart.
    pub(crate) fn cannot_follow(&self, running: &Self) -> Vec<Fault> {
        let differs =
            |line: &&Line| !running.fixed.iter().any(|now| now.setting == line.setting && now.value == line.value);
        let fault = |line: &Line| {
            let now = running.fixed.iter().find(|now| now.setting == line.setting);
            let now = now.map_or("another value", |now| &now.value);
            Fault {
                setting: line.setting.clone(),
                place: line.place.clone(),
                problem: format!("cannot change from {now} to {} while the gateway runs", line.value),
                cure: "restart the gateway, or put it back".to_owned(),
            }
        };
        self.fixed.iter().filter(differs).map(fault).collect()
    }
}

/// Settings that are taken once, at the start: the socket, the journal, the store, Redis, the log, the size of the tables that count.
const FIXED: [&str; 44] = [
    "audit.dir",
    "audit.durability",
    "audit.node",
    "audit.segment",
    "auth.key_length",
    "auth.key_prefix",
    "auth.tokens.access_minutes",
    "auth.tokens.algorithm",
    "auth.tokens.enabled",
    "auth.tokens.issuer",
    "auth.tokens.refresh_days",
    "auth.tokens.secret",
    "limits.counted",
    "listen.address",
    "log.format",
    "log.level",
    "redis.ca_file",
    "redis.cluster",
    "redis.command_timeout",
    "redis.connect_timeout",
    "redis.danger_plain_redis",
    "redis.keeps",
    "redis.limits_on_failure",
    "redis.master",
    "redis.password",
    "redis.prefix",
    "redis.replicas",
    "redis.sentinel_password",
    "redis.tls",
    "redis.url",
    "store.acquire_timeout",
    "store.ca_file",
    "store.connect_timeout",
    "store.connections",
    "store.danger_plain_postgres",
    "store.idle_timeout",
    "store.log_statements",
    "store.max_lifetime",
    "store.overflow",
    "store.password",
    "store.pepper",
    "store.previous_pepper",
    "store.statement_timeout",
    "store.url",
];
