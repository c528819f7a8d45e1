//! The keys of an issuer as they are known now. Whoever fetches them puts them in; who judges takes what is there.

use std::sync::{Arc, PoisonError, RwLock};

use super::KeySet;

/// Keys that can be exchanged while tokens are judged by them.
#[derive(Debug, Default)]
pub struct Keyring(RwLock<Arc<KeySet>>);

impl Keyring {
    /// The keys in force.
    pub fn now(&self) -> Arc<KeySet> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts others in force.
    pub fn replace(&self, keys: KeySet) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }
}
