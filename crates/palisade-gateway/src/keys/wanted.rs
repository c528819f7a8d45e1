//! What somebody wants of a key, and whether that can be: the same for the command and for REST.

use std::sync::Arc;
use std::time::Duration;

use palisade_guard::grant::{Grant, Scopes};
use palisade_guard::identify::IpLists;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{duration, is_name, nearest, network};

/// A key to be made.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// What it is called: 1 to 63 of a-z, 0-9, `_` and `-`. No two keys that work have the same name.
    pub name: String,
    /// Whom to ask about it, like `team-search` or an address; at most 128 characters.
    #[serde(default)]
    pub owner: Option<String>,
    /// When it ends, from now on, like `90d`; without it never.
    #[serde(default)]
    pub expires: Option<String>,
    /// Servers it may call; without it all.
    #[serde(default)]
    pub servers: Option<Vec<String>>,
    /// What it may do there, like `mcp:tools:call:files/read_*`; without it everything. The administration needs a
    /// scope of its own, like `palisade:keys:read`.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
    /// Groups its holder is in.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Networks it may be used from; empty means all.
    #[serde(default)]
    pub allow: Vec<String>,
    /// Networks it may not be used from.
    #[serde(default)]
    pub deny: Vec<String>,
    /// Calls in any 60 seconds, instead of `limits.per_caller_per_minute`.
    #[serde(default)]
    pub limit_per_minute: Option<u32>,
}

/// What a key lets its holder do, as it is kept. Without `servers` and `scopes`: all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct Permits {
    /// Servers it may call; `null` means all.
    pub servers: Option<Vec<String>>,
    /// What it may do there; `null` means everything but the administration.
    pub scopes: Option<Vec<String>>,
    /// Groups its holder is in.
    pub groups: Vec<String>,
    /// Networks it may be used from; empty means all.
    pub allow: Vec<String>,
    /// Networks it may not be used from.
    pub deny: Vec<String>,
    /// Calls in any 60 seconds; `null` means `limits.per_caller_per_minute`.
    pub limit_per_minute: Option<u32>,
}

/// A field that cannot be as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// Its name.
    pub field: &'static str,
    /// What is wrong, and how to write it.
    pub problem: String,
}

/// Entries of one list.
const ENTRIES: usize = 64;
const OWNER: usize = 128;
/// Ten years.
const LONGEST: Duration = Duration::from_hours(24 * 3650);
const MOST_CALLS: u32 = 10_000_000;

impl Wanted {
    /// Everything that is wrong with it, or how long the key is to live.
    pub(super) fn check(&self, servers: &[Arc<str>]) -> Result<Option<Duration>, Vec<Wrong>> {
        let mut wrong = Vec::new();
        let mut add = |field, problem: String| wrong.push(Wrong { field, problem });
        if !is_name(&self.name) {
            let problem = format!("{:?} is no name: write 1 to 63 of a-z, 0-9, \"_\" and \"-\"", self.name);
            add("name", problem);
        }
        let owner = self.owner.as_deref().unwrap_or("-");
        if owner.is_empty() || owner.chars().count() > OWNER || owner.chars().any(char::is_control) {
            add("owner", format!("write 1 to {OWNER} characters on one line"));
        }
        let lifetime = self.expires.as_deref().map(lifetime).transpose();
        if let Err(problem) = &lifetime {
            add("expires", problem.clone());
        }
        let known: Vec<&str> = servers.iter().map(|server| &**server).collect();
        for name in self.servers.iter().flatten().filter(|name| !known.contains(&name.as_str())) {
            let near = nearest(name, &known).map(|near| format!(": did you mean {near:?}?")).unwrap_or_default();
            add("servers", format!("{name:?} is not a server{near}"));
        }
        wrong.extend(self.permits().check());
        match lifetime {
            Ok(lifetime) if wrong.is_empty() => Ok(lifetime),
            _ => Err(wrong),
        }
    }

    /// The part that is kept for judgements.
    pub(super) fn permits(&self) -> Permits {
        Permits {
            servers: self.servers.clone(),
            scopes: self.scopes.clone(),
            groups: self.groups.clone(),
            allow: self.allow.clone(),
            deny: self.deny.clone(),
            limit_per_minute: self.limit_per_minute,
        }
    }
}

/// How long from now.
pub(super) fn lifetime(text: &str) -> Result<Duration, String> {
    let read = duration(text).filter(|time| !time.is_zero() && *time <= LONGEST);
    read.ok_or_else(|| format!("{text:?} is not from 1s to 3650d: write a number and s, m, h or d, like \"90d\""))
}

impl Permits {
    fn check(&self) -> Vec<Wrong> {
        let mut wrong = Vec::new();
        let lengths = [
            ("servers", self.servers.as_ref().map_or(0, Vec::len)),
            ("scopes", self.scopes.as_ref().map_or(0, Vec::len)),
            ("groups", self.groups.len()),
            ("allow", self.allow.len()),
            ("deny", self.deny.len()),
        ];
        let long = lengths.into_iter().filter(|(_, length)| *length > ENTRIES);
        wrong.extend(long.map(|(field, _)| Wrong { field, problem: format!("has more than {ENTRIES} entries") }));
        for name in self.groups.iter().filter(|name| !is_name(name)) {
            let problem = format!("{name:?} is no name: write 1 to 63 of a-z, 0-9, \"_\" and \"-\"");
            wrong.push(Wrong { field: "groups", problem });
        }
        for (field, texts) in [("allow", &self.allow), ("deny", &self.deny)] {
            let problems = texts.iter().filter_map(|text| network(text).err());
            wrong.extend(problems.map(|problem| Wrong { field, problem }));
        }
        if self.limit_per_minute.is_some_and(|limit| !(1..=MOST_CALLS).contains(&limit)) {
            wrong.push(Wrong { field: "limit_per_minute", problem: format!("write a number from 1 to {MOST_CALLS}") });
        }
        if let Err((text, why)) = self.scopes() {
            wrong.push(Wrong { field: "scopes", problem: format!("{text:?} is no scope: {why}") });
        }
        wrong
    }

    /// Its scopes, read.
    pub(super) fn scopes(&self) -> Result<Option<Scopes>, (String, String)> {
        let read = self.scopes.as_ref().map(|texts| Scopes::read(texts.iter().map(String::as_str))).transpose();
        read.map_err(|(text, why)| (text, why.to_string()))
    }

    /// What judgements read. `None` if this version does not understand all of it, so that no key can do more than it
    /// was meant to.
    pub(super) fn grant(&self) -> Option<Grant> {
        let shared = |texts: &[String]| texts.iter().map(|text| Arc::from(text.as_str())).collect::<Vec<Arc<str>>>();
        let networks = |texts: &[String]| texts.iter().map(|text| network(text).ok()).collect::<Option<Vec<_>>>();
        Some(Grant {
            words: None,
            servers: self.servers.as_deref().map(shared),
            scopes: self.scopes().ok()?,
            groups: shared(&self.groups),
            lists: IpLists { allow: networks(&self.allow)?, deny: networks(&self.deny)? },
            limit: self.limit_per_minute,
        })
    }
}
