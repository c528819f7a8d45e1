//! What was found of tokens that were verified, so that a signature is not verified at every call.
//!
//! It remembers and judges nothing: whoever asks must look whether what was found still holds (its time, its audience,
//! revocations). Bounded in two halves: when the younger is full it becomes the older, whose tokens are forgotten unless
//! they are asked for again.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use crate::digest::sha256;

/// Tokens and what was found of each.
pub struct Cache<V> {
    shards: Box<[Mutex<Halves<V>>]>,
    half: usize,
}

struct Halves<V> {
    young: HashMap<[u8; 32], Arc<V>>,
    old: HashMap<[u8; 32], Arc<V>>,
}

/// Locks, so that calls seldom wait for one another.
const SHARDS: usize = 16;

impl<V> Cache<V> {
    /// Room for about `most` tokens.
    pub fn new(most: usize) -> Self {
        let empty = || Mutex::new(Halves { young: HashMap::new(), old: HashMap::new() });
        Self { shards: (0..SHARDS).map(|_| empty()).collect(), half: (most / SHARDS / 2).max(1) }
    }

    /// The name of a token in here: its SHA-256, so that no token is kept.
    pub fn name(token: &[u8]) -> [u8; 32] {
        sha256(token)
    }

    /// What was found of a token.
    pub fn get(&self, name: &[u8; 32]) -> Option<Arc<V>> {
        self.with(name, |halves, half| {
            if let Some(found) = halves.young.get(name) {
                return Some(Arc::clone(found));
            }
            let found = halves.old.remove(name)?;
            halves.keep(*name, Arc::clone(&found), half);
            Some(found)
        })
    }

    /// Remembers what was found of a token.
    pub fn put(&self, name: [u8; 32], found: Arc<V>) {
        self.with(&name, |halves, half| {
            halves.keep(name, found, half);
            Some(())
        });
    }

    /// Forgets what was found of a token.
    pub fn forget(&self, name: &[u8; 32]) {
        self.with(name, |halves, _| halves.young.remove(name).or_else(|| halves.old.remove(name)));
    }

    /// How many tokens are known.
    pub fn len(&self) -> usize {
        let count = |shard: &Mutex<Halves<V>>| {
            let halves = shard.lock().unwrap_or_else(PoisonError::into_inner);
            halves.young.len() + halves.old.len()
        };
        self.shards.iter().map(count).sum()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn with<T>(&self, name: &[u8; 32], work: impl FnOnce(&mut Halves<V>, usize) -> Option<T>) -> Option<T> {
        let shard = self.shards.get(usize::from(name.last()?.to_owned()) % SHARDS)?;
        work(&mut shard.lock().unwrap_or_else(PoisonError::into_inner), self.half)
    }
}

impl<V> Halves<V> {
    fn keep(&mut self, name: [u8; 32], found: Arc<V>, half: usize) {
        if self.young.len() >= half && !self.young.contains_key(&name) {
            self.old = mem::take(&mut self.young);
        }
        self.old.remove(&name);
        self.young.insert(name, found);
    }
}

impl<V> std::fmt::Debug for Cache<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("tokens", &self.len()).finish_non_exhaustive()
    }
}
