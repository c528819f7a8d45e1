//! Handles that only we can make and only their owner can use.
//!
//! A handle (a session id) is a name that a caller carries for us. Sealed with AES-256-GCM-SIV (RFC 8452) it holds what we
//! need to know, and it is bound to the principal and the route it was made for: presented by anybody else, or anywhere
//! else, it does not open, and its owner never notices (GHSA-hqg7-qjgg-q779, GHSA-mvgg-jvj2-4frq).

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A handle longer than this is not looked at.
const HANDLE_BYTES: usize = 4096;

/// Seals and opens handles under one key.
pub struct Sealer {
    key: LessSafeKey,
}

impl Sealer {
    /// A sealer from 32 random bytes; `None` only if the algorithm refuses the key.
    pub fn new(key: &[u8; 32]) -> Option<Self> {
        UnboundKey::new(&AES_256_GCM_SIV, key).ok().map(|key| Self { key: LessSafeKey::new(key) })
    }

    /// A handle of visible ASCII that holds `plain` and opens only with the same `bound_to`.
    ///
    /// The nonce must be random; should one ever repeat, GCM-SIV reveals no more than that two contents are equal.
    pub fn seal(&self, nonce: [u8; 12], plain: &[u8], bound_to: &[&str]) -> Option<String> {
        let mut sealed = plain.to_vec();
        let aad = Aad::from(binding(bound_to));
        self.key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed).ok()?;
        let mut handle = nonce.to_vec();
        handle.extend_from_slice(&sealed);
        Some(URL_SAFE_NO_PAD.encode(handle))
    }

    /// What a handle holds; `None` for one that was changed, made elsewhere, or belongs to somebody else.
    pub fn open(&self, handle: &[u8], bound_to: &[&str]) -> Option<Vec<u8>> {
        if handle.len() > HANDLE_BYTES {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(handle).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<12>()?;
        let mut buffer = sealed.to_vec();
        let aad = Aad::from(binding(bound_to));
        let plain = self.key.open_in_place(Nonce::assume_unique_for_key(*nonce), aad, &mut buffer).ok()?.len();
        buffer.truncate(plain);
        Some(buffer)
    }
}

/// Length before each part, so that `("ab", "c")` and `("a", "bc")` bind differently.
fn binding(parts: &[&str]) -> Vec<u8> {
    let mut out = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        out.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        out.extend_from_slice(part.as_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::Sealer;

    /// A1: a session opens for its owner on its route, and for nobody else.
    #[test]
    fn a_handle_is_bound() {
        let sealer = Sealer::new(&[7; 32]).unwrap();
        let handle = sealer.seal([1; 12], b"upstream-session", &["alice", "files"]).unwrap();
        assert_eq!(
            sealer.open(handle.as_bytes(), &["alice", "files"]).as_deref(),
            Some(b"upstream-session".as_slice())
        );
        for stranger in [["bob", "files"], ["alice", "search"], ["alicef", "iles"]] {
            assert_eq!(sealer.open(handle.as_bytes(), &stranger), None);
        }
        assert_eq!(Sealer::new(&[8; 32]).unwrap().open(handle.as_bytes(), &["alice", "files"]), None);
    }

    /// A1: a handle changed in any place does not open.
    #[test]
    fn any_edit_breaks_a_handle() {
        let sealer = Sealer::new(&[7; 32]).unwrap();
        let handle = sealer.seal([1; 12], b"s", &["alice"]).unwrap();
        for at in 0..handle.len() {
            let mut edited = handle.clone().into_bytes();
            edited[at] = if edited[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(sealer.open(&edited, &["alice"]), None, "position {at}");
        }
    }
}
