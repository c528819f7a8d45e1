//! The vectors of Wycheproof, where they are at hand: `PALISADE_CORPORA` names the folder.

use std::path::Path;

use serde_json::Value;

use crate::token::{Compact, Fault, KeySet};

/// Vectors whose verdict is not ours, and why.
const OTHERWISE: [(&str, &[u64], &str); 4] = [
    ("Signature", &[346, 350], "the key says PS256 and the token PS384: the key decides"),
    ("Signature", &[347, 351], "the key says ES521, which is no algorithm"),
    ("Signature", &[367, 370], "the same bytes as vector 357, which is valid"),
    ("Signature", &[372, 373], "base64url has no question mark"),
];

fn vectors(file: &str) -> Option<Value> {
    let corpora = std::env::var_os("PALISADE_CORPORA")?;
    let text = std::fs::read(Path::new(&corpora).join("wycheproof").join(file)).unwrap();
    Some(serde_json::from_slice(&text).unwrap())
}

/// The keys of a group: its public ones, or where there is none, its secret.
fn keys(group: &Value) -> Option<KeySet> {
    let key = if group["public"].is_object() { &group["public"] } else { &group["private"] };
    let set = if key["keys"].is_array() { key.clone() } else { serde_json::json!({"keys": [key]}) };
    KeySet::read(set.to_string().as_bytes())
}

fn verify(keys: Option<&KeySet>, token: &str) -> Result<(), Fault> {
    let token = Compact::read(token.as_bytes())?;
    keys.ok_or(Fault::UnknownKey)?.find(&token)?.verify(&token).map(drop)
}

fn judge(file: &str, kind: &str) {
    let Some(vectors) = vectors(file) else { return };
    let (mut seen, mut otherwise) = (0, 0);
    for group in vectors["testGroups"].as_array().unwrap() {
        let keys = keys(group);
        for test in group["tests"].as_array().unwrap() {
            let (id, comment) = (test["tcId"].as_u64().unwrap(), &test["comment"]);
            let token = test["jws"].as_str().or(test["jwe"].as_str());
            let Some(token) = token else { continue };
            let is_encrypted = test["jwe"].is_string();
            let got = verify(keys.as_ref(), token);
            let wanted = test["result"] == "valid" && !is_encrypted;
            seen += 1;
            if OTHERWISE.iter().any(|(of, ids, _)| *of == kind && ids.contains(&id)) {
                otherwise += 1;
                assert_ne!(got.is_ok(), wanted, "{file} {id} {comment} is right now");
                continue;
            }
            assert_eq!(got.is_ok(), wanted, "{file} {id} {comment}: {got:?}");
        }
    }
    assert!(seen > 10 && otherwise <= 8, "{seen} vectors of {file}");
}

/// B5, P-A17: the vectors for signatures.
#[test]
fn signatures() {
    judge("json_web_signature_test.json", "Signature");
}

/// B5, P-A17: the vectors for keys: too short, too weak, of the wrong curve, for another use, twice, mixed.
#[test]
fn web_keys() {
    judge("json_web_key_test.json", "Key");
}

/// B5, P-A17: signatures, key sets and encryption: what is encrypted is never a token.
#[test]
fn web_crypto() {
    judge("json_web_crypto_test.json", "Crypto");
    judge("json_web_encryption_test.json", "Encryption");
}
