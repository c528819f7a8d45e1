//! JSON Web Keys and sets of them (RFC 7517).
//!
//! A set is what an issuer publishes, so it may hold keys that mean nothing here, for encryption or of other kinds:
//! those are passed over. Two keys of one name, or secrets among public keys, make the whole set ambiguous.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::document::{Document, Wrong};
use super::{Algorithm, Compact, Fault, Key};

/// The keys of one issuer.
#[derive(Debug, Default)]
pub struct KeySet(Vec<Key>);

/// Keys in one set.
const KEYS: usize = 64;
/// Bytes of a set.
pub const SET_BYTES: usize = 128 * 1024;
/// Values and keys of its JSON.
const NODES: usize = 8 * 1024;

impl KeySet {
    /// These keys.
    pub fn new(keys: Vec<Key>) -> Option<Self> {
        if names_repeat(keys.iter().filter_map(Key::kid).collect()) {
            return None;
        }
        let secrets = keys.iter().filter(|key| key.algorithm().is_symmetric()).count();
        (secrets == 0 || secrets == keys.len()).then_some(Self(keys))
    }

    /// The keys of a set's text that can be used here.
    pub fn read(text: &[u8]) -> Option<Self> {
        if text.len() > SET_BYTES {
            return None;
        }
        let keys = Document::read(text, NODES)?.objects("keys").ok()?;
        // Also of keys that are passed over: which of two was meant is anybody's guess.
        let names = keys.iter().filter_map(|key| Document::read(key, NODES)?.text("kid").ok()?);
        if keys.len() > KEYS || names_repeat(names.collect()) {
            return None;
        }
        Self::new(keys.into_iter().filter_map(key).collect())
    }

    /// The keys of a set that anybody may read.
    pub fn read_public(text: &[u8]) -> Option<Self> {
        Self::read(text).filter(|set| set.0.iter().all(|key| !key.algorithm().is_symmetric()))
    }

    /// The key that a token is signed with by what it says: the one of its name, or where it names none, the only one
    /// of its algorithm.
    pub fn find(&self, token: &Compact<'_>) -> Result<&Key, Fault> {
        let Some(kid) = token.kid() else {
            let mut fits = self.0.iter().filter(|key| key.algorithm() == token.algorithm);
            return match (fits.next(), fits.next()) {
                (Some(only), None) => Ok(only),
                _ => Err(Fault::UnknownKey),
            };
        };
        self.0.iter().find(|key| key.kid() == Some(kid)).ok_or(Fault::UnknownKey)
    }

    /// Whether a key of this name is in it.
    pub fn has(&self, kid: &str) -> bool {
        self.0.iter().any(|key| key.kid() == Some(kid))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn names_repeat<T: Ord>(mut names: Vec<T>) -> bool {
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    names.len() < count
}

/// A key that can verify tokens; `None` for every other.
fn key(text: &[u8]) -> Option<Key> {
    let jwk = Document::read(text, NODES)?;
    let text = |name| jwk.text(name).ok();
    let bytes = |name| URL_SAFE_NO_PAD.decode(text(name)??.as_bytes()).ok();
    if text("use")?.is_some_and(|purpose| purpose != "sig") || !may_verify(&jwk).ok()? {
        return None;
    }
    let named = match text("alg")? {
        Some(name) => Some(Algorithm::named(&name)?),
        None => None,
    };
    let kid = text("kid")?;
    let kid = kid.as_deref();
    match text("kty")??.as_ref() {
        "oct" => Key::secret(kid, named?, &bytes("k")?),
        // RFC 7518: where nothing is said, this is what RSA signs with.
        "RSA" => Key::rsa(kid, named.unwrap_or(Algorithm::Rs256), &bytes("n")?, &bytes("e")?),
        kty @ ("EC" | "OKP") => {
            let curve = text("crv")??;
            let algorithm = Algorithm::of_curve(&curve).filter(|of| named.is_none_or(|named| named == *of))?;
            let x = bytes("x")?;
            if (kty == "OKP") != (algorithm == Algorithm::EdDsa) {
                return None;
            }
            if kty == "OKP" {
                return Key::point(kid, algorithm, &x);
            }
            let y = bytes("y")?;
            let uncompressed: Vec<u8> = [4].into_iter().chain(x.iter().copied()).chain(y.iter().copied()).collect();
            (x.len() == y.len()).then(|| Key::point(kid, algorithm, &uncompressed))?
        }
        _ => None,
    }
}

fn may_verify(jwk: &Document<'_>) -> Result<bool, Wrong> {
    Ok(jwk.texts("key_ops")?.is_none_or(|operations| operations.iter().any(|operation| operation == "verify")))
}
