//! Decisions that need not be made twice. Bounded by its form: each has one place, and a later one takes it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Action, Deed, Thing, Verdict, Who};

/// Places. Each holds some hundred bytes.
const PLACES: u64 = 4096;
/// Names and groups beyond this are decided anew each time.
const NAME_BYTES: usize = 512;
const GROUPS: usize = 64;

/// What a decision rests on, where nothing of the circumstances counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key<'a> {
    caller: Option<&'a str>,
    groups: &'a [Arc<str>],
    action: Action,
    thing: Thing,
    server: &'a str,
    name: &'a str,
    listed: bool,
}

/// Decisions by what they rest on.
pub(super) struct Memory {
    places: Box<[Mutex<Option<Known>>]>,
}

struct Known {
    caller: Option<Box<str>>,
    groups: Box<[Arc<str>]>,
    action: Action,
    thing: Thing,
    server: Box<str>,
    name: Box<str>,
    listed: bool,
    verdict: Verdict,
}

impl<'a> Key<'a> {
    /// That of a deed; `by_name` where the caller's name counts, and not the groups alone.
    pub(super) fn of(who: &Who<'a>, by_name: bool, deed: &Deed<'a>, listed: bool) -> Self {
        let Deed { action, thing, server, name, .. } = *deed;
        Self { caller: by_name.then_some(who.id), groups: who.groups, action, thing, server, name, listed }
    }

    fn is_kept(&self) -> bool {
        self.name.len() <= NAME_BYTES && self.groups.len() <= GROUPS
    }
}

impl Known {
    fn is(&self, key: &Key<'_>) -> bool {
        *self.name == *key.name
            && self.listed == key.listed
            && self.action == key.action
            && self.thing == key.thing
            && *self.server == *key.server
            && self.caller.as_deref() == key.caller
            && *self.groups == *key.groups
    }
}

impl Memory {
    pub(super) fn new() -> Self {
        Self { places: (0..PLACES).map(|_| Mutex::default()).collect() }
    }

    pub(super) fn get(&self, key: &Key<'_>) -> Option<Verdict> {
        let place = self.place(key)?.lock().unwrap_or_else(PoisonError::into_inner);
        place.as_ref().filter(|known| known.is(key)).map(|known| known.verdict.clone())
    }

    pub(super) fn put(&self, key: &Key<'_>, verdict: &Verdict) {
        let Some(place) = self.place(key).filter(|_| key.is_kept()) else { return };
        let known = Known {
            caller: key.caller.map(Into::into),
            groups: key.groups.into(),
            action: key.action,
            thing: key.thing,
            server: key.server.into(),
            name: key.name.into(),
            listed: key.listed,
            verdict: verdict.clone(),
        };
        *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
    }

    fn place(&self, key: &Key<'_>) -> Option<&Mutex<Option<Known>>> {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        self.places.get(usize::try_from(hasher.finish() % PLACES).ok()?)
    }
}
