//! The secrets of one client: the present one, and while it is replaced the one before.

use std::fmt;

use aws_lc_rs::hmac;

/// The least length of a secret: the strength of the MAC itself.
pub const LEAST_BYTES: usize = 32;

/// A secret is shorter than [`LEAST_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weak;

/// One secret or two, both good.
#[derive(Clone)]
pub struct Secrets([Secret; 2]);

#[derive(Clone)]
struct Secret {
    key: hmac::Key,
    /// By which it is known, without being known.
    digest: [u8; 32],
}

impl Secrets {
    /// The secrets of a client: `second` while they are rotated.
    pub fn new(first: &[u8], second: Option<&[u8]>) -> Result<Self, Weak> {
        let key = |secret: &[u8]| match secret.len() {
            LEAST_BYTES.. => Ok(Secret::new(hmac::Key::new(hmac::HMAC_SHA256, secret))),
            _ => Err(Weak),
        };
        // One secret is tried twice, so that it cannot be seen how many a client has.
        Ok(Self([key(first)?, key(second.unwrap_or(first))?]))
    }

    /// Whether one of them is known by this.
    pub fn has(&self, digest: &[u8; 32]) -> bool {
        self.0.iter().any(|secret| secret.digest == *digest)
    }

    /// By what the secret is known whose MAC this is.
    pub(super) fn verify(&self, base: &[u8], mac: &[u8; 32]) -> Option<[u8; 32]> {
        let [first, second] = &self.0;
        let fits = |secret: &Secret| hmac::verify(&secret.key, base, mac).is_ok();
        match (fits(first), fits(second)) {
            (true, _) => Some(first.digest),
            (false, true) => Some(second.digest),
            (false, false) => None,
        }
    }

    /// The MAC under the first.
    pub(super) fn mac(&self, base: &[u8]) -> [u8; 32] {
        let [first, _] = &self.0;
        first.mac(base)
    }
}

impl Secret {
    fn new(key: hmac::Key) -> Self {
        let mut secret = Self { key, digest: [0; 32] };
        secret.digest = secret.mac(b"palisade: by what a secret is known");
        secret
    }

    fn mac(&self, base: &[u8]) -> [u8; 32] {
        let mut mac = [0; 32];
        mac.copy_from_slice(hmac::sign(&self.key, base).as_ref());
        mac
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secrets>")
    }
}

#[cfg(test)]
mod tests;
