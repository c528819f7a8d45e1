//! Managed keys: many, each its own holder's, made and withdrawn while the gateway runs.
//!
//! 1. A key is found by its public id, and known by its HMAC-SHA256 under a secret that is not where the keys are kept:
//!    whoever reads the store learns no key, and whoever writes it makes none.
//! 2. A known id with a wrong secret, and an id that nobody has, cost the same work and hear the same words.
//! 3. After a rotation the secret before works on for the time that was given to it; after its end no secret does.
//! 4. The secret that is not with the keys can be exchanged: a text is known under the one before too, and whoever keeps the
//!    store hears what to keep of it instead ([`Renewal`]).
//! 5. The table is exchanged whole. A call that begins after that is judged by the new one.
//! 6. What a key was used for is counted here, and collected by whoever keeps the store: no call waits for a disk.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use aws_lc_rs::hmac;
use subtle::{Choice, ConstantTimeEq};

use super::key_text::{self, PublicId};
use crate::grant::Grant;

/// What is known of one key.
#[derive(Debug)]
pub struct ManagedKey {
    /// The principal.
    pub principal: Arc<str>,
    /// What its holder may do.
    pub grant: Arc<Grant>,
    /// The digest of its text.
    pub digest: [u8; 32],
    /// The digest of its text before the last rotation, and until when that works.
    pub older: Option<([u8; 32], u64)>,
    /// When it ends.
    pub expires_ms: Option<u64>,
    /// How it was used, over all tables.
    pub usage: Arc<Usage>,
}

/// What a key was used for since it was last asked.
#[derive(Debug, Default)]
pub struct Usage {
    uses: AtomicU64,
    last_ms: AtomicU64,
}

impl Usage {
    fn count(&self, now_ms: u64) {
        self.uses.fetch_add(1, Relaxed);
        self.last_ms.store(now_ms, Relaxed);
    }

    /// Takes the count, and the time of the last use; `None` if there was none.
    pub fn take(&self) -> Option<(u64, u64)> {
        let uses = self.uses.swap(0, Relaxed);
        (uses > 0).then(|| (uses, self.last_ms.load(Relaxed)))
    }

    /// Gives a count back that could not be written down.
    pub fn give_back(&self, uses: u64) {
        self.uses.fetch_add(uses, Relaxed);
    }
}

/// Every key that works or worked until its end, by public id.
pub type Table = HashMap<PublicId, Arc<ManagedKey>, BuildHasherDefault<IdHasher>>;

/// All managed keys of a gateway.
pub struct ManagedKeys {
    mac: hmac::Key,
    before: Option<hmac::Key>,
    table: RwLock<Arc<Table>>,
    renewals: Mutex<HashMap<PublicId, Renewal>>,
}

/// The digests of a text: under the pepper, and under the one before it; twice the same where there is none.
pub type Digests = [[u8; 32]; 2];

/// A key that was used and is kept by its digest under the pepper before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Renewal {
    /// What is kept of it.
    pub from: [u8; 32],
    /// What is to be kept of it.
    pub to: [u8; 32],
}

/// Keys that wait to be kept anew; of more, some are heard of when they are used again.
const RENEWALS: usize = 1000;

/// Without the pepper.
impl std::fmt::Debug for ManagedKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ManagedKeys").field("keys", &self.table().len()).finish_non_exhaustive()
    }
}

/// What a text turned out to be.
#[derive(Debug)]
pub enum Found {
    /// No managed key by its form.
    NotMine,
    /// A key that works now.
    Works(Arc<ManagedKey>, PublicId, Digests),
    /// The right key, after its end.
    Expired(PublicId),
    /// Nobody's, and why the log thinks so.
    Unknown(PublicId, &'static str),
}

impl ManagedKeys {
    /// No keys yet, under this pepper, and under the one that was in force before it.
    pub fn new(pepper: &[u8], before: Option<&[u8]>) -> Self {
        let (table, renewals) = (RwLock::default(), Mutex::default());
        Self { mac: mac(pepper), before: before.map(mac), table, renewals }
    }

    /// What is kept of a key's text.
    pub fn digest(&self, text: &[u8]) -> [u8; 32] {
        digest(&self.mac, text)
    }

    fn digests(&self, text: &[u8]) -> Digests {
        let now = self.digest(text);
        [now, self.before.as_ref().map_or(now, |before| digest(before, text))]
    }

    /// Takes the keys that were used and are to be kept anew.
    pub fn renewals(&self) -> Vec<(PublicId, Renewal)> {
        self.renewals.lock().unwrap_or_else(PoisonError::into_inner).drain().collect()
    }

    fn renew(&self, key: &ManagedKey, id: PublicId, [to, from]: Digests) {
        if from == to || key.digest == to || key.older.is_some_and(|(older, _)| older == to) {
            return;
        }
        let mut renewals = self.renewals.lock().unwrap_or_else(PoisonError::into_inner);
        if renewals.len() < RENEWALS {
            renewals.insert(id, Renewal { from, to });
        }
    }

    /// Puts another table in force.
    pub fn replace(&self, table: Table) {
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
    }

    /// The table in force.
    pub fn table(&self) -> Arc<Table> {
        Arc::clone(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whose key this is, counted as a use of it.
    pub fn find(&self, text: &[u8], now_ms: u64) -> Found {
        let found = self.judge(text, now_ms);
        if let Found::Works(key, id, digests) = &found {
            key.usage.count(now_ms);
            self.renew(key, *id, *digests);
        }
        found
    }

    /// Whose key this is. Only a text that has the form of a managed key, checksum and all, is judged.
    pub fn judge(&self, text: &[u8], now_ms: u64) -> Found {
        let Some(id) = key_text::read(text) else { return Found::NotMine };
        let digests = self.digests(text);
        let key = self.get(&id);
        let (is_current, is_older) = key.as_ref().map_or_else(
            || compare(&NOBODY, None, &digests),
            |key| compare(&key.digest, key.older.as_ref().map(|(older, _)| older), &digests),
        );
        match key {
            None => Found::Unknown(id, "no managed key has this id"),
            Some(key) if bool::from(is_current | is_older) => {
                let until = key.older.filter(|_| bool::from(is_older)).map(|(_, until)| until);
                if until.is_some_and(|until| now_ms >= until) {
                    return Found::Unknown(id, "this secret was rotated out");
                }
                if key.expires_ms.is_some_and(|end| now_ms >= end) {
                    return Found::Expired(id);
                }
                Found::Works(key, id, digests)
            }
            Some(_) => Found::Unknown(id, "the secret is wrong"),
        }
    }

    /// The key as it is now, if what was presented once would still be let in.
    pub fn again(&self, id: &PublicId, digests: &Digests, now_ms: u64) -> Option<Arc<ManagedKey>> {
        let key = self.get(id).filter(|key| key.expires_ms.is_none_or(|end| now_ms < end))?;
        let older = key.older.is_some_and(|(older, until)| digests.contains(&older) && now_ms < until);
        (digests.contains(&key.digest) || older).then_some(key)
    }

    fn get(&self, id: &PublicId) -> Option<Arc<ManagedKey>> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).get(id).map(Arc::clone)
    }
}

/// All comparisons, whatever the first one says.
fn compare(current: &[u8; 32], older: Option<&[u8; 32]>, [now, before]: &Digests) -> (Choice, Choice) {
    let is = |kept: &[u8; 32]| kept.ct_eq(now) | kept.ct_eq(before);
    (is(current), is(older.unwrap_or(&NOBODY)))
}

fn mac(pepper: &[u8]) -> hmac::Key {
    // A key of its own, so that the pepper may have other uses.
    let pepper = hmac::Key::new(hmac::HMAC_SHA256, pepper);
    hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&pepper, b"palisade managed keys 1").as_ref())
}

fn digest(mac: &hmac::Key, text: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(hmac::sign(mac, text).as_ref());
    digest
}

/// The digest of nothing.
const NOBODY: [u8; 32] = [0; 32];

impl Hash for PublicId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.place());
    }
}

/// Takes the number that an id already is.
#[derive(Debug, Default)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, _bytes: &[u8]) {}

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::{Found, ManagedKey, ManagedKeys, Renewal, Table, Usage};
    use crate::authenticate::key_text::{PublicId, write};
    use std::sync::Arc;

    const SECRETS: [&str; 2] = ["J4bN8sT2vX6zB0dF4hK8mP2rU6wY0aCd", "K5cO9tU3wY7aC1eG5iL9nQ3sV7xZ1bDe"];

    fn text(id: &str, secret: &str) -> String {
        write("mcp_", PublicId::read(id.as_bytes()).unwrap(), secret)
    }

    /// A key that was rotated at 0, whose first secret ends at 100 and which ends at 1000.
    fn keys() -> ManagedKeys {
        let keys = ManagedKeys::new(b"a pepper", None);
        let [first, second] = SECRETS.map(|secret| keys.digest(text("aaaaaaaaaaaa", secret).as_bytes()));
        let key = ManagedKey {
            principal: Arc::from("managed:aaaaaaaaaaaa"),
            grant: Arc::default(),
            digest: second,
            older: Some((first, 100)),
            expires_ms: Some(1000),
            usage: Arc::new(Usage::default()),
        };
        let mut table = Table::default();
        table.insert(PublicId::read(b"aaaaaaaaaaaa").unwrap(), Arc::new(key));
        keys.replace(table);
        keys
    }

    fn check(keys: &ManagedKeys, text: &str, now_ms: u64, expected: &str) {
        let found = match keys.find(text.as_bytes(), now_ms) {
            Found::NotMine => "not mine",
            Found::Works(..) => "works",
            Found::Expired(_) => "expired",
            Found::Unknown(_, why) => why,
        };
        assert_eq!(found, expected, "{text} at {now_ms}");
    }

    /// B3: both secrets work until the older one's time is over; after the key's end none does.
    #[test]
    fn two_secrets_live_side_by_side() {
        let keys = keys();
        let [first, second] = SECRETS.map(|secret| text("aaaaaaaaaaaa", secret));
        check(&keys, &first, 99, "works");
        check(&keys, &second, 99, "works");
        check(&keys, &first, 100, "this secret was rotated out");
        check(&keys, &second, 999, "works");
        check(&keys, &second, 1000, "expired");
        check(&keys, &first, 1000, "this secret was rotated out");
        check(&keys, &text("bbbbbbbbbbbb", SECRETS[0]), 1, "no managed key has this id");
        check(&keys, &text("aaaaaaaaaaaa", &"x".repeat(32)), 1, "the secret is wrong");
        check(&keys, &first.replace("mcp_", "abc_"), 1, "not mine");
        check(&keys, "mcp_Zk3rT9wQx7LmN2vB8yHcD4fGj6KpS1aE", 1, "not mine");
    }

    /// B3, P-A4: under another pepper the same store knows nobody.
    #[test]
    fn the_pepper_makes_the_key() {
        let other = ManagedKeys::new(b"another pepper", None);
        other.replace(keys().table().iter().map(|(id, key)| (*id, Arc::clone(key))).collect());
        check(&other, &text("aaaaaaaaaaaa", SECRETS[1]), 1, "the secret is wrong");
    }

    /// B3: while a pepper gives way to another, both know every key; one that is used is to be kept under the new one, and
    /// is found again on both sides of that.
    #[test]
    fn a_pepper_gives_way() {
        let (old, new) = (keys(), ManagedKeys::new(b"a new pepper", Some(b"a pepper")));
        let copy = old.table().iter().map(|(id, key)| (*id, Arc::clone(key))).collect();
        new.replace(copy);
        let [first, second] = SECRETS.map(|secret| text("aaaaaaaaaaaa", secret));
        check(&new, &first, 100, "this secret was rotated out");
        check(&new, &text("aaaaaaaaaaaa", &"x".repeat(32)), 1, "the secret is wrong");
        assert!(new.renewals().is_empty(), "nobody was let in");
        let Found::Works(_, id, digests) = new.find(second.as_bytes(), 1) else {
            panic!("the old pepper is forgotten")
        };
        let renewal = Renewal { from: old.digest(second.as_bytes()), to: new.digest(second.as_bytes()) };
        assert_eq!((new.renewals(), new.renewals()), (vec![(id, renewal)], vec![]));
        assert!(new.again(&id, &digests, 1).is_some());

        let before = old.table();
        let key = before.values().next().unwrap();
        let kept = ManagedKey {
            principal: Arc::clone(&key.principal),
            grant: Arc::default(),
            digest: renewal.to,
            older: key.older,
            expires_ms: key.expires_ms,
            usage: Arc::default(),
        };
        new.replace([(id, Arc::new(kept))].into_iter().collect());
        assert!(new.again(&id, &digests, 1).is_some(), "a stream goes on");
        check(&new, &second, 1, "works");
        check(&new, &first, 99, "works");
        let renewed = new.renewals();
        assert_eq!(renewed[0].1.to, new.digest(first.as_bytes()), "the older secret alone is left to renew");
    }

    /// B3: a stream's caller is found again as long as its own secret works, and not by another secret of the same key.
    #[test]
    fn a_caller_is_found_again() {
        let keys = keys();
        let id = PublicId::read(b"aaaaaaaaaaaa").unwrap();
        let [first, second] = SECRETS.map(|secret| [keys.digest(text("aaaaaaaaaaaa", secret).as_bytes()); 2]);
        assert!(keys.again(&id, &first, 99).is_some() && keys.again(&id, &first, 100).is_none());
        assert!(keys.again(&id, &second, 999).is_some() && keys.again(&id, &second, 1000).is_none());
        keys.replace(Table::default());
        assert!(keys.again(&id, &second, 1).is_none(), "revoked");
    }

    /// B3: uses are counted, taken once, and given back when they could not be written down; failures are no uses.
    #[test]
    fn uses_are_counted() {
        let keys = keys();
        for now in [1, 2, 3] {
            check(&keys, &text("aaaaaaaaaaaa", SECRETS[1]), now, "works");
            check(&keys, &text("aaaaaaaaaaaa", &"x".repeat(32)), now + 10, "the secret is wrong");
        }
        let table = keys.table();
        let usage = &table.values().next().unwrap().usage;
        assert_eq!(usage.take(), Some((3, 3)));
        assert_eq!(usage.take(), None);
        usage.give_back(3);
        assert_eq!(usage.take(), Some((3, 3)));
    }
}
