//! What was taken back before its time: tokens by their id, families of tokens, everything of one holder.
//!
//! An entry is kept until the last token that it meant has expired. The table is bounded; when it is full, nothing more
//! can be taken back one by one, and whoever asks is told.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

/// What can be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// One token, by its `jti`.
    Token,
    /// A token and all that were made of it by refreshing.
    Family,
    /// All tokens of one principal that were made until then.
    Holder,
}

/// What was taken back.
#[derive(Debug, Default)]
pub struct Revoked(RwLock<HashMap<Kind, HashMap<Box<str>, Entry>>>);

#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Tokens made until this second are meant.
    made_until: u64,
    /// When none of them can be good any more.
    forget: u64,
}

/// What was taken back and still matters.
pub const ENTRIES: usize = 100_000;

/// How a token is called in each of the ways in which it can be taken back.
#[derive(Debug, Clone, Copy)]
pub struct Names<'n> {
    /// Its `jti`.
    pub token: Option<&'n str>,
    /// Its family.
    pub family: Option<&'n str>,
    /// Its principal.
    pub holder: &'n str,
    /// When it was made; where it does not say, every entry of its holder means it.
    pub issued: Option<u64>,
}

impl Revoked {
    /// Takes back; false when there is no room.
    pub fn add(&self, kind: Kind, name: &str, made_until: u64, forget: u64) -> bool {
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let entries = table.entry(kind).or_default();
        if entries.len() >= ENTRIES && !entries.contains_key(name) {
            return false;
        }
        entries.insert(name.into(), Entry { made_until, forget });
        true
    }

    /// Whether a token was taken back.
    pub fn means(&self, names: Names<'_>) -> bool {
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if table.is_empty() {
            return false;
        }
        let entry = |kind, name: Option<&str>| name.and_then(|name| table.get(&kind)?.get(name));
        entry(Kind::Token, names.token).is_some()
            || entry(Kind::Family, names.family).is_some()
            || entry(Kind::Holder, Some(names.holder))
                .is_some_and(|entry| names.issued.is_none_or(|issued| issued <= entry.made_until))
    }

    /// Forgets what cannot matter any more.
    pub fn forget(&self, now: u64) {
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        table.values_mut().for_each(|entries| entries.retain(|_, entry| entry.forget > now));
        table.retain(|_, entries| !entries.is_empty());
    }
}
