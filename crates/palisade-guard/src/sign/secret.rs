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
pub struct Secrets([hmac::Key; 2]);

impl Secrets {
    /// The secrets of a client: `second` while they are rotated.
    pub fn new(first: &[u8], second: Option<&[u8]>) -> Result<Self, Weak> {
        let key = |secret: &[u8]| match secret.len() {
            LEAST_BYTES.. => Ok(hmac::Key::new(hmac::HMAC_SHA256, secret)),
            _ => Err(Weak),
        };
        // One secret is tried twice, so that it cannot be seen how many a client has.
        Ok(Self([key(first)?, key(second.unwrap_or(first))?]))
    }

    /// Whether this is the MAC under one of them.
    pub(super) fn verify(&self, base: &[u8], mac: &[u8; 32]) -> bool {
        let [first, second] = &self.0;
        let (first, second) = (hmac::verify(first, base, mac), hmac::verify(second, base, mac));
        first.is_ok() | second.is_ok()
    }

    /// The MAC under the first.
    pub(super) fn mac(&self, base: &[u8]) -> [u8; 32] {
        let [first, _] = &self.0;
        let mut mac = [0; 32];
        mac.copy_from_slice(hmac::sign(first, base).as_ref());
        mac
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secrets>")
    }
}
