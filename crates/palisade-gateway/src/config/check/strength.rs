//! Whether a key is worth the name.
//!
//! A key of ours has 256 random bits. One that somebody thought up is refused where it can be told: a word everybody
//! tries, a pattern, a short one. No verdict repeats the key.

/// What is wrong with a key, if anything.
pub(super) fn judge(key: &str, strict: bool) -> Result<(), String> {
    // At a desk a key is typed by hand; it still must not be one that everybody tries.
    let least = if strict { 32 } else { 8 };
    if key.is_empty() {
        return Err("a key is empty".to_owned());
    }
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("a key has characters that are not visible ASCII".to_owned());
    }
    if is_well_known(key) {
        return Err("a key is a well-known word".to_owned());
    }
    if key.len() < least {
        return Err(format!("a key has {} bytes, and {least} is the least", key.len()));
    }
    if key.len() > LONGEST {
        return Err(format!("a key has {} bytes, and {LONGEST} is the most", key.len()));
    }
    if strict && is_pattern(key.as_bytes()) {
        return Err("a key is a simple pattern".to_owned());
    }
    Ok(())
}

/// A word everybody tries, whatever digits and signs stand around it and however often it is repeated.
fn is_well_known(key: &str) -> bool {
    let letters: String =
        key.chars().filter(char::is_ascii_alphabetic).map(|letter| letter.to_ascii_lowercase()).collect();
    let repeats = |word: &str| !letters.is_empty() && letters.split(word).all(str::is_empty);
    // A long random key may have few letters; those of a word must be most of it.
    letters.len() * 2 > key.len() && WELL_KNOWN.iter().any(|word| repeats(&word.replace('-', "")))
        || WELL_KNOWN.contains(&key.to_ascii_lowercase().as_str())
}

/// Few different bytes, or bytes that count up.
fn is_pattern(key: &[u8]) -> bool {
    let mut different = key.to_vec();
    different.sort_unstable();
    different.dedup();
    let steps = key.windows(2).filter(|pair| matches!(pair, [one, next] if one.checked_add(1) == Some(*next))).count();
    different.len() < 6 || steps * 2 > key.len()
}

/// How many bits a text of these bytes holds, if each was drawn by chance as often as it stands there: no text that repeats
/// itself has many.
pub(super) fn bits(text: &[u8]) -> f64 {
    let mut counts = std::collections::BTreeMap::<u8, f64>::new();
    for byte in text {
        *counts.entry(*byte).or_default() += 1.0;
    }
    let length: f64 = counts.values().sum();
    counts.values().map(|count| count * (length / count).log2()).sum()
}

const LONGEST: usize = 1024;
/// Words that stand in every guide and every guesser's list.
pub(super) const WELL_KNOWN: [&str; 26] = [
    "changeme",
    "change-me",
    "password",
    "passwd",
    "test",
    "testkey",
    "test-key",
    "secret",
    "secretkey",
    "secret-key",
    "your-api-key",
    "your-key",
    "yourkey",
    "your-secret-key",
    "api-key",
    "apikey",
    "admin",
    "default",
    "example",
    "token",
    "letmein",
    "qwerty",
    "dev",
    "demo",
    "key",
    "bearer",
];

#[cfg(test)]
mod tests {
    use super::judge;

    /// B2: a weak key is told by form, and a random one is not taken for one.
    #[test]
    fn weak_keys_are_told_from_random_ones() {
        for weak in [
            "",
            "changeme",
            "ChangeMe123",
            "your-api-key",
            "YOUR_API_KEY",
            "secretsecretsecretsecret",
            "password-password-1234567890",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "0123456789abcdefghijklmnopqrstuvwxyz",
            "short",
            "fourteen bytes!! with blanks",
            "schlüsselschlüsselschlüssel",
        ] {
            assert!(judge(weak, true).is_err(), "{weak}");
        }
        for weak in ["", "changeme", "ChangeMe123", "your-api-key", "secretsecretsecretsecret", "short", "has blanks"] {
            assert!(judge(weak, false).is_err(), "{weak}, at a desk too");
        }
        for good in [
            "mcp_Zk3rT9wQx7LmN2vB8yHcD4fGj6KpS1aE",
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "kZ8+/q3vT0==kZ8+/q3vT1",
        ] {
            assert_eq!(judge(good, false), Ok(()), "{good}");
        }
        assert_eq!(judge("bench-key-00000", false), Ok(()), "typed by hand at a desk");
        assert!(judge("kZ8+/q3vT0==kZ8+/q3vT1", true).is_err(), "production wants 32 bytes");
    }
}
