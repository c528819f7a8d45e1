//! A token, or a set of keys, that a stranger sent: no token passes but the one that was signed, in its one spelling.

use std::sync::LazyLock;

use palisade_guard::token::{Claims, Compact, KeySet, Rules, Signer, TOKEN_BYTES, Type};
use serde_json::json;

const NOW: u64 = 1_785_231_000;

static KEYS: LazyLock<KeySet> = LazyLock::new(|| {
    let key = signer().verifier().expect("a key");
    KeySet::new(vec![key]).expect("one key")
});

static SIGNED: LazyLock<String> = LazyLock::new(|| {
    // In the order of the alphabet, as the seed has them: a map may keep the order in which it was filled, or may not.
    let claims = json!({"aud": "a", "exp": NOW + 60, "iss": "https://login.example", "sub": "ada"});
    signer().sign(Type::Access, &claims)
});

fn signer() -> Signer {
    Signer::ed25519("k1", &[7; 32]).expect("a seed")
}

/// Panics where something does not hold.
pub fn hold(input: &[u8]) {
    if let Some(set) = KeySet::read_public(input) {
        assert!(set.len() <= 64);
    }
    let Ok(token) = Compact::read(input) else { return };
    assert!(Compact::is_form(input) && input.len() <= TOKEN_BYTES);
    let issuer = token.claimed_issuer();
    let rules = Rules { issuer: "https://login.example", typ: Type::AccessOrPlain, complete: false, leeway: 30 };
    let verified = KEYS.find(&token).and_then(|key| Claims::verified(&token, key, &rules, NOW));
    match verified {
        Ok(claims) => {
            assert_eq!(input, SIGNED.as_bytes(), "only what was signed passes");
            assert_eq!(
                (claims.text("sub").as_deref(), issuer.as_deref()),
                (Some("ada"), Some("https://login.example"))
            );
        }
        Err(fault) => assert_ne!(input, SIGNED.as_bytes(), "{fault}"),
    }
}
