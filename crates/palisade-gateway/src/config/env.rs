//! Every environment variable that is read, in one table; and the only place that reads the environment.
//!
//! 1. A variable that is set is honoured, named in a note, or refused: none is ignored silently.
//! 2. A variable that is set to nothing is a fault, except for lists: an empty secret must never count as one.
//! 3. Names of features this version does not have are checked for form, so that the day they come brings no surprise.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::fault::{Faults, Place};
use super::secret::Secret;

/// The environment, as a value.
pub type Vars = BTreeMap<String, OsString>;

/// One variable.
#[derive(Debug)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// Whether its value is a secret, which no child process inherits and no dump shows.
    pub secret: bool,
    /// What it does.
    pub sets: Sets,
}

/// What a variable does.
#[derive(Debug)]
pub enum Sets {
    /// It is this setting.
    Setting(&'static str),
    /// The port of `listen.address`.
    Port,
    /// A comma list of keys, each with or without `NAME=` in front.
    Keys,
    /// One key, whose holder is called so.
    Key(&'static str),
    /// A comma list of SHA-256 of keys.
    KeyHashes,
    /// The secret of a client that signs, called `default`.
    ClientSecret,
    /// `true` is `auth.mode = "none"`.
    DisableAuth,
    /// `stdio` or `http`.
    ServerMode,
    /// It belongs to a feature that this version does not have.
    Later {
        /// What it must look like.
        form: Form,
        /// Its value without you; empty for none.
        default: &'static str,
        /// What follows from its absence, after "this version ".
        lacks: &'static str,
    },
}

/// What a value must look like.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    /// Anything but nothing.
    Text,
    /// A whole number of at least this.
    Number(u64),
}

/// Every variable that is read.
pub const TABLE: &[Row] = &[
    setting("ENVIRONMENT", "environment"),
    row("MCP_SERVER_MODE", Sets::ServerMode),
    setting("AUTH_MODE", "auth.mode"),
    row("DISABLE_AUTH", Sets::DisableAuth),
    secret("MCP_API_KEYS", Sets::Keys),
    secret("API_KEY", Sets::Key("api-key")),
    secret("AUTH_TOKEN", Sets::Key("auth-token")),
    secret("MCP_API_KEY_HASH", Sets::KeyHashes),
    setting("ALLOWED_ORIGINS", "listen.origins"),
    setting("ALLOWED_HOSTS", "listen.hosts"),
    row("PORT", Sets::Port),
    setting("MCP_LOG_LEVEL", "log.level"),
    setting("MCP_ENABLE_MONITORING", "monitoring"),
    setting("RATE_LIMIT_PER_MINUTE", "limits.per_address_per_minute"),
    setting("CALLER_RATE_LIMIT_PER_MINUTE", "limits.per_caller_per_minute"),
    secret("API_KEY_HMAC_SECRET", Sets::ClientSecret),
    setting("API_KEY_PREFIX", "auth.key_prefix"),
    setting("API_KEY_LENGTH", "auth.key_length"),
    secret("ENCRYPTION_KEY", later(Form::Text, "", NO_SECRETS)),
    secret("ENCRYPTION_SALT", later(Form::Text, "", NO_SECRETS)),
    secret("DATABASE_URL", Sets::Setting("store.url")),
    setting("DB_POOL_SIZE", "store.connections"),
    setting("DB_MAX_OVERFLOW", "store.overflow"),
    setting("SQL_DEBUG", "store.log_statements"),
    secret("REDIS_URL", Sets::Setting("redis.url")),
    secret("REDIS_PASSWORD", Sets::Setting("redis.password")),
    setting("REDIS_SSL", "redis.tls"),
    secret("SECRET_KEY", Sets::Setting("auth.tokens.secret")),
    setting("ACCESS_TOKEN_EXPIRE_MINUTES", "auth.tokens.access_minutes"),
    setting("REFRESH_TOKEN_EXPIRE_DAYS", "auth.tokens.refresh_days"),
    secret("SESSION_SECRET_KEY", later(Form::Text, "", NO_PEOPLE)),
    row("SESSION_MAX_AGE", later(Form::Number(1), "3600", NO_PEOPLE)),
];

const NO_SECRETS: &str = "keeps no secrets at rest";
const NO_PEOPLE: &str = "has no sign-in for people";

const fn row(name: &'static str, sets: Sets) -> Row {
    Row { name, secret: false, sets }
}

const fn secret(name: &'static str, sets: Sets) -> Row {
    Row { name, secret: true, sets }
}

const fn setting(name: &'static str, path: &'static str) -> Row {
    row(name, Sets::Setting(path))
}

const fn later(form: Form, default: &'static str, lacks: &'static str) -> Sets {
    Sets::Later { form, default, lacks }
}

/// The environment of this process. Names that are not Unicode are none of ours.
pub fn system() -> Vars {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect()
}

/// The row of this name.
pub(super) fn find(name: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.name == name)
}

/// The text of a variable of the table; `None` when it is not set, or not to something usable, which is a fault.
pub(super) fn text(row: &Row, vars: &Vars, faults: &mut Faults) -> Option<Secret> {
    let value = vars.get(row.name)?;
    let list = matches!(row.sets, Sets::Setting("listen.origins" | "listen.hosts"));
    match value.to_str() {
        None => faults.add("", Place::Env(row.name), "is not UTF-8", "write plain text"),
        Some(text) if text.trim().is_empty() && !list => {
            faults.add("", Place::Env(row.name), "is set to nothing", "unset it or give it a value");
        }
        Some(text) => return Some(Secret::new(text.to_owned())),
    }
    None
}

/// Checks the variables of features to come, and names what follows from their absence.
pub(super) fn notes(vars: &Vars, faults: &mut Faults) -> Vec<String> {
    let mut notes = Vec::new();
    for row in TABLE {
        let Sets::Later { form, lacks, .. } = row.sets else { continue };
        let Some(text) = text(row, vars, faults) else { continue };
        if let Err(want) = form.check(text.reveal()) {
            faults.add("", Place::Env(row.name), format!("does not hold {want}"), "correct it or unset it");
            continue;
        }
        notes.push(format!("{} is set, but this version {lacks}", row.name));
    }
    notes.extend(vars.keys().filter_map(|name| misspelt(name)));
    notes
}

/// A note for a name that is nearly one of ours. Short names are too near to everything.
fn misspelt(name: &str) -> Option<String> {
    if name.len() < 8 || find(name).is_some() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let near = TABLE.iter().find(|row| strsim::damerau_levenshtein(row.name, name) == 1)?;
    Some(format!("{name} is set, but nothing reads it: did you mean {}?", near.name))
}

impl Form {
    /// The error says what is wanted. It never repeats the value, which may be a secret.
    fn check(self, text: &str) -> Result<(), String> {
        match self {
            Self::Text => Ok(()),
            Self::Number(least) => match text.parse::<u64>() {
                Ok(number) if number >= least => Ok(()),
                _ => Err(format!("a whole number of at least {least}")),
            },
        }
    }
}

/// `true`, `false`, `1` or `0`, in no other spelling: a switch nobody understood must not count as off.
pub(super) fn switch(text: &str) -> Option<bool> {
    match text {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}
