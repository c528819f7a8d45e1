//! Making tokens of our own. Both algorithms are deterministic, so that no randomness is needed here.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{Algorithm, Key, Type};

/// A key that signs.
pub struct Signer {
    kid: Box<str>,
    material: Material,
}

enum Material {
    Ed25519(Box<Ed25519KeyPair>),
    Secret(Box<hmac::Key>, Zeroizing<Vec<u8>>),
}

impl Signer {
    /// An Ed25519 key from its 32 secret bytes.
    pub fn ed25519(kid: &str, seed: &[u8; 32]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
        Some(Self { kid: kid.into(), material: Material::Ed25519(Box::new(pair)) })
    }

    /// A secret of at least 32 bytes, for HS256.
    pub fn hs256(kid: &str, secret: &[u8]) -> Option<Self> {
        let key = Box::new(hmac::Key::new(hmac::HMAC_SHA256, secret));
        let material = Material::Secret(key, Zeroizing::new(secret.to_vec()));
        (secret.len() >= 32).then_some(Self { kid: kid.into(), material })
    }

    /// What it is called.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// A token of these claims.
    pub fn sign(&self, typ: Type, claims: &Value) -> String {
        let header = json!({"alg": self.algorithm().name(), "kid": self.kid, "typ": typ.name()});
        let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let signed = format!("{}.{}", part(&header), part(claims));
        let signature = match &self.material {
            Material::Ed25519(pair) => URL_SAFE_NO_PAD.encode(pair.sign(signed.as_bytes())),
            Material::Secret(key, _) => URL_SAFE_NO_PAD.encode(hmac::sign(key, signed.as_bytes())),
        };
        signed + "." + &signature
    }

    /// The key that verifies what this one signs.
    pub fn verifier(&self) -> Option<Key> {
        match &self.material {
            Material::Ed25519(pair) => Key::point(Some(&self.kid), Algorithm::EdDsa, pair.public_key().as_ref()),
            Material::Secret(_, secret) => Key::secret(Some(&self.kid), Algorithm::Hs256, secret),
        }
    }

    /// The same for everybody to read; `None` for a secret, which nobody may.
    pub fn published(&self) -> Option<Value> {
        let Material::Ed25519(pair) = &self.material else { return None };
        let x = URL_SAFE_NO_PAD.encode(pair.public_key());
        Some(json!({"kty": "OKP", "crv": "Ed25519", "x": x, "use": "sig", "alg": "EdDSA", "kid": self.kid}))
    }

    const fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::Ed25519(_) => Algorithm::EdDsa,
            Material::Secret(..) => Algorithm::Hs256,
        }
    }
}

/// Without the key itself.
impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("kid", &self.kid).finish_non_exhaustive()
    }
}
