//! Signatures that were published with their keys: RFC 7515 (appendix A.1) and RFC 8037 (appendix A.4).

use serde_json::{Value, json};

use crate::token::{Compact, Fault, KeySet};

fn hs256() -> Value {
    json!({"kty": "oct", "alg": "HS256",
        "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"})
}

fn ed25519() -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
}

/// By RFC 7515, over the claims of "joe".
const HS256: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
    eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
    dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// By RFC 8037, over "Example of Ed25519 signing".
const ED25519: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.\
    hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

fn verify(key: &Value, token: &str) -> Result<(), Fault> {
    let keys = KeySet::read(json!({"keys": [key]}).to_string().as_bytes()).ok_or(Fault::UnknownKey)?;
    let token = Compact::read(token.as_bytes())?;
    keys.find(&token)?.verify(&token).map(drop)
}

/// B5, P-A17: what was published as right is right, and no character of it can be another.
#[test]
fn published_signatures_are_right() {
    for (key, token) in [(hs256(), HS256), (ed25519(), ED25519)] {
        assert_eq!(verify(&key, token), Ok(()), "{token}");
        for at in 0..token.len() {
            let mut wrong = token.as_bytes().to_vec();
            wrong[at] = if wrong[at] == b'A' { b'B' } else { b'A' };
            assert!(verify(&key, std::str::from_utf8(&wrong).unwrap()).is_err(), "character {at} of {token}");
        }
        for cut in 0..token.len() {
            assert!(verify(&key, &token[..cut]).is_err(), "cut at {cut}");
        }
        for more in ["=", ".", "A", " ", "\n"] {
            assert!(verify(&key, &format!("{token}{more}")).is_err(), "{more:?} behind it");
        }
    }
}

/// B5, P-A17: the key says what it is for: with another algorithm's key, or a key that is for another one, it is wrong.
#[test]
fn a_key_is_for_its_own_algorithm() {
    assert!(verify(&hs256(), ED25519).is_err() && verify(&ed25519(), HS256).is_err());
    let with = |mut key: Value, name: &str, value: &str| {
        key[name] = value.into();
        key
    };
    for (name, value) in [("alg", "HS512"), ("alg", "none"), ("use", "enc")] {
        assert!(verify(&with(hs256(), name, value), HS256).is_err(), "{name} {value}");
    }
    for (name, value) in [("alg", "ES256"), ("crv", "Ed448"), ("use", "enc")] {
        assert!(verify(&with(ed25519(), name, value), ED25519).is_err(), "{name} {value}");
    }
}
