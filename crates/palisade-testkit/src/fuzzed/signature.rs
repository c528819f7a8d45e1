//! Signed requests: only what was signed holds, and in one spelling.
//!
//! The input is a request: method, authority and target on the first line with a blank between, headers on lines of their
//! own, an empty line, and the body. The secret is that of docs/reference/signature-vectors.json.

use http::{HeaderMap, HeaderName, HeaderValue};
use palisade_guard::sign::{Occasion, Request, Scheme, Secrets, Signer, X_NONCE, X_SIGNATURE, statement};

const SECRET: &[u8] = b"an example secret with 38 bytes in it.";
/// What our signer adds.
const ADDED: [&str; 5] = ["x-key-id", "x-timestamp", "x-nonce", "x-api-version", "x-signature"];

/// Panics where something does not hold.
pub fn hold(input: &[u8]) {
    let Some((line, headers, body)) = parts(input) else { return };
    let mut words = line.splitn(3, ' ');
    let [method, authority, target] = [words.next(), words.next(), words.next()].map(Option::unwrap_or_default);
    let request = Request { method, authority, target, headers: &headers };
    let Ok(Some(statement)) = statement(&request) else { return };
    assert!((1_000_000_000..10_000_000_000).contains(&statement.timestamp()) || statement.scheme() != Scheme::Messages);
    assert!(statement.timestamp() < 10_000_000_000 && (1..=64).contains(&statement.key_id().len()));
    let secrets = Secrets::new(SECRET, None).expect("it is long enough");
    if statement.holds(&secrets, body).is_err() {
        return;
    }
    assert!(statement.holds(&secrets, &[body, b"x"].concat()).is_err(), "another body holds too");
    if statement.scheme() == Scheme::Messages {
        return;
    }
    // Signed again, it is the same to the letter.
    let nonce = headers.get(&X_NONCE).and_then(|nonce| nonce.to_str().ok()).unwrap_or("0123456789abcdef");
    let nonce = if statement.scheme() == Scheme::Compat { "0123456789abcdef" } else { nonce };
    let signer = Signer::new(statement.scheme(), statement.key_id(), SECRET).expect("it was signed with it");
    let mut bare = headers.clone();
    if statement.scheme() == Scheme::Headers {
        for name in ADDED {
            drop(bare.remove(name));
        }
    }
    let again = Request { headers: &bare, ..request };
    let occasion = Occasion { now_s: statement.timestamp(), nonce };
    let added = signer.sign(&again, body, occasion).expect("what was signed can be signed");
    assert_eq!(added.get(&X_SIGNATURE), headers.get(&X_SIGNATURE), "one request, two signatures");
}

fn parts(input: &[u8]) -> Option<(&str, HeaderMap, &[u8])> {
    let end = input.windows(2).position(|pair| pair == b"\n\n")?;
    let (head, body) = (std::str::from_utf8(&input[..end]).ok()?, &input[end + 2..]);
    let mut lines = head.split('\n');
    let line = lines.next()?;
    let mut headers = HeaderMap::new();
    for (name, value) in lines.take(40).filter_map(|line| line.split_once(": ")) {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        headers.append(name, HeaderValue::from_str(value).ok()?);
    }
    Some((line, headers, body))
}
