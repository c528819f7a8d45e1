//! `WWW-Authenticate`: where a server says how to log in, and what for (RFC 6750, RFC 9728 section 5.1).

use std::collections::BTreeSet;

/// What a server demands.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Where its metadata is.
    pub metadata: Option<String>,
    /// The scopes that are needed.
    pub scopes: BTreeSet<String>,
    /// The code of an error.
    pub error: Option<String>,
}

/// The longest header that is read, and the most scopes.
const LONGEST: usize = 8 * 1024;
const SCOPES: usize = 64;

/// The challenge for a bearer token; an empty one where none can be read.
pub fn challenge(text: &str) -> Challenge {
    Some(text).filter(|text| text.len() <= LONGEST).and_then(bearer).unwrap_or_default()
}

/// The parameters of `Bearer` in a list of challenges; none if one of them stands twice.
fn bearer(text: &str) -> Option<Challenge> {
    let (mut challenge, mut ours, mut rest) = (Challenge::default(), false, text);
    let mut seen = false;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return seen.then_some(challenge);
        }
        let (name, after) = token(rest)?;
        match after.trim_start_matches([' ', '\t']).strip_prefix('=') {
            Some(after) => {
                let (value, after) = value(after.trim_start_matches([' ', '\t']))?;
                if ours {
                    challenge.take(&name.to_ascii_lowercase(), value)?;
                }
                rest = after;
            }
            None if seen => return Some(challenge),
            None => {
                ours = name.eq_ignore_ascii_case("bearer");
                seen = ours;
                rest = after;
            }
        }
    }
}

impl Challenge {
    fn take(&mut self, name: &str, value: String) -> Option<()> {
        match name {
            "resource_metadata" if self.metadata.is_none() => self.metadata = Some(value),
            "error" if self.error.is_none() => self.error = Some(value),
            "scope" if self.scopes.is_empty() => self.scopes = scopes(&value)?,
            "resource_metadata" | "error" | "scope" => return None,
            _ => {}
        }
        Some(())
    }
}

/// The words of a list of scopes (RFC 6749 section 3.3).
pub(super) fn scopes(text: &str) -> Option<BTreeSet<String>> {
    let is_word = |word: &&str| word.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E));
    let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
    (words.len() <= SCOPES && words.iter().all(is_word)).then(|| words.into_iter().map(str::to_owned).collect())
}

fn token(text: &str) -> Option<(&str, &str)> {
    let is_token = |ch: char| ch.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(ch);
    let end = text.find(|ch| !is_token(ch)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// A token or a quoted text, and what follows.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        // What follows a name of a scheme may be base64 with "=" at its end, which is no value.
        let end = text.find([' ', ',', '\t']).unwrap_or(text.len());
        return text.split_at_checked(end).map(|(value, rest)| (value.to_owned(), rest));
    };
    let (mut value, mut escaped) = (String::new(), false);
    for (at, ch) in quoted.char_indices() {
        match ch {
            _ if escaped => {
                value.push(ch);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return Some((value, quoted.get(at + 1..).unwrap_or_default())),
            _ => value.push(ch),
        }
    }
    None
}
