//! Static keys: known by their SHA-256 alone, found in one step, compared in constant time.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use subtle::ConstantTimeEq;

use crate::digest::sha256;
use crate::grant::Grant;

/// What is known of one key.
#[derive(Debug)]
pub struct Key {
    /// The principal: `key:NAME`.
    pub id: Arc<str>,
    /// SHA-256 of the key.
    pub digest: [u8; 32],
    /// What it lets its holder do.
    pub grant: Arc<Grant>,
}

/// All keys of a gateway.
#[derive(Debug, Default)]
pub struct Keys {
    by_digest: HashMap<[u8; 32], Arc<Key>, BuildHasherDefault<DigestHasher>>,
}

impl Keys {
    /// The table of these keys.
    pub fn new(keys: impl IntoIterator<Item = Key>) -> Self {
        Self { by_digest: keys.into_iter().map(|key| (key.digest, Arc::new(key))).collect() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_digest.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_digest.is_empty()
    }

    /// The key whose text this is. An unknown key costs the same work as a known one.
    pub fn find(&self, text: &[u8]) -> Option<&Arc<Key>> {
        self.find_digest(&Self::digest(text))
    }

    /// The key with this digest.
    pub(super) fn find_digest(&self, digest: &[u8; 32]) -> Option<&Arc<Key>> {
        const NOBODY: [u8; 32] = [0; 32];
        let found = self.by_digest.get(digest);
        let expected = found.map_or(&NOBODY, |key| &key.digest);
        found.filter(|_| bool::from(expected.ct_eq(digest)))
    }

    /// SHA-256 of a key's text.
    pub fn digest(text: &[u8]) -> [u8; 32] {
        sha256(text)
    }
}

/// A digest is already uniform: its first bytes are its hash. Nobody can insert, so chosen collisions gain nothing.
#[derive(Default)]
struct DigestHasher(u64);

impl Hasher for DigestHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk::<8>() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    fn write_usize(&mut self, _length: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}
