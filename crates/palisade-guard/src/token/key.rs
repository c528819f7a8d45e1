//! One key: what it is called, what it is for, and whether a signature is its own.

use std::fmt;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ParsedPublicKey, RsaPublicKeyComponents};

use super::algorithm::Family;
use super::{Algorithm, Compact, Fault, roca};

/// A key that verifies, for one algorithm.
pub struct Key {
    kid: Option<Box<str>>,
    algorithm: Algorithm,
    material: Material,
}

enum Material {
    Secret(Box<hmac::Key>),
    Public(ParsedPublicKey),
}

impl Key {
    /// A shared secret, at least as long as the digest of its algorithm (RFC 7518 section 3.2).
    pub fn secret(kid: Option<&str>, algorithm: Algorithm, secret: &[u8]) -> Option<Self> {
        let Family::Hmac(hmac) = algorithm.family() else { return None };
        let long_enough = secret.len() >= hmac.digest_algorithm().output_len();
        let material = Material::Secret(Box::new(hmac::Key::new(hmac, secret)));
        long_enough.then_some(Self { kid: kid.map(Into::into), algorithm, material })
    }

    /// A point on a curve: the bytes of Ed25519's public key, or both coordinates of another curve's.
    pub fn point(kid: Option<&str>, algorithm: Algorithm, point: &[u8]) -> Option<Self> {
        let Family::Curve(verification, ..) = algorithm.family() else { return None };
        let parsed = ParsedPublicKey::new(verification, point).ok()?;
        Some(Self { kid: kid.map(Into::into), algorithm, material: Material::Public(parsed) })
    }

    /// An RSA key of 2048 to 8192 bits, whose exponent is at least 65537 and whose modulus is not of the kind that ROCA
    /// factors.
    pub fn rsa(kid: Option<&str>, algorithm: Algorithm, modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        let Family::Rsa(parameters) = algorithm.family() else { return None };
        let bits = modulus.len() * 8 - usize::try_from(modulus.first()?.leading_zeros()).ok()?;
        let odd = exponent.last().is_some_and(|last| last % 2 == 1);
        let sound = (2048..=8192).contains(&bits) && odd && (3..=4).contains(&exponent.len());
        if !sound || exponent.first() == Some(&0) || roca::is_weak(modulus) {
            return None;
        }
        let parsed = RsaPublicKeyComponents { n: modulus, e: exponent }.to_parsed_public_key(parameters).ok()?;
        Some(Self { kid: kid.map(Into::into), algorithm, material: Material::Public(parsed) })
    }

    /// What it is called.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// What it is for.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether the token is signed with this key. Its payload is believed from here on, and no earlier.
    pub fn verify<'c>(&self, token: &'c Compact<'_>) -> Result<&'c [u8], Fault> {
        if token.algorithm != self.algorithm {
            return Err(Fault::Algorithm);
        }
        let good = match &self.material {
            Material::Secret(secret) => hmac::verify(secret, token.signed, &token.signature).is_ok(),
            Material::Public(public) => public.verify_sig(token.signed, &token.signature).is_ok(),
        };
        if good { Ok(&token.payload) } else { Err(Fault::Signature) }
    }
}

/// Without the key itself.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("kid", &self.kid).field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}
