//! HMAC-SHA256 as it is used here: the vectors of RFC 4231, and those of Wycheproof where they are at hand
//! (`PALISADE_CORPORA` names the folder).

use std::path::Path;

use serde_json::Value;

use super::{LEAST_BYTES, Secrets};

fn bytes(hex: &str) -> Vec<u8> {
    let nibble = |digit: u8| u8::try_from(char::from(digit).to_digit(16).unwrap()).unwrap();
    hex.as_bytes().chunks(2).map(|pair| nibble(pair[0]) << 4 | nibble(pair[1])).collect()
}

/// Whether a MAC is taken under a secret, first or second; a secret that is too short is taken nowhere.
fn is_taken(key: &[u8], message: &[u8], mac: &[u8]) -> bool {
    let mac = <&[u8; 32]>::try_from(mac);
    let other = [7; LEAST_BYTES];
    let both = [Secrets::new(key, None), Secrets::new(&other, Some(key))].map(|secrets| {
        let (Ok(secrets), Ok(mac)) = (secrets, mac) else { return false };
        secrets.verify(message, mac).is_some()
    });
    assert_eq!(both[0], both[1], "a secret is as good in the second place");
    both[0]
}

/// B4: the test cases of RFC 4231 whose keys are long enough to be ours, and no byte of them changed.
#[test]
fn published_macs_are_ours() {
    let key = [0xaa; 131];
    let cases: [(&[u8], &str); 2] = [
        (
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
        (
            b"This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before being used by the HMAC algorithm.",
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
        ),
    ];
    for (message, mac) in cases {
        let mac = bytes(mac);
        assert_eq!(Secrets::new(&key, None).unwrap().mac(message)[..], mac);
        assert!(is_taken(&key, message, &mac));
        for at in 0..mac.len() {
            let mut wrong = mac.clone();
            wrong[at] ^= 1;
            assert!(!is_taken(&key, message, &wrong), "byte {at}");
        }
        assert!(!is_taken(&key, &message[1..], &mac) && !is_taken(&key[1..], message, &mac));
        assert!(!is_taken(&key, message, &mac[..31]) && !is_taken(&key, message, &[]), "a MAC is whole");
    }
    // Case 1 of the RFC: right, and of a secret that is too short to be one.
    let short = bytes("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    assert!(!is_taken(&[0x0b; 20], b"Hi There", &short));
}

/// B4: every vector of Wycheproof: what is right is taken where its key is long enough and its MAC whole, nothing else is.
#[test]
fn vectors_of_wycheproof() {
    let Some(corpora) = std::env::var_os("PALISADE_CORPORA") else { return };
    let text = std::fs::read(Path::new(&corpora).join("wycheproof/hmac_sha256_test.json")).unwrap();
    let vectors: Value = serde_json::from_slice(&text).unwrap();
    let (mut taken, mut refused) = (0, 0);
    for group in vectors["testGroups"].as_array().unwrap() {
        let whole = group["tagSize"] == 256;
        for test in group["tests"].as_array().unwrap() {
            let [key, message, mac] = ["key", "msg", "tag"].map(|name| bytes(test[name].as_str().unwrap()));
            let wanted = test["result"] == "valid" && whole && key.len() >= LEAST_BYTES;
            assert_eq!(is_taken(&key, &message, &mac), wanted, "{}: {}", test["tcId"], test["comment"]);
            if wanted { taken += 1 } else { refused += 1 }
        }
    }
    assert!(taken > 15 && refused > 100, "{taken} taken, {refused} refused");
}
