//! Texts that may be or hold a secret, in types that cannot print it.
//!
//! A [`Secret`] shows as `<secret>` and is wiped when dropped. A [`Url`] shows without query and userinfo, a
//! [`Command`] without the arguments that look like credentials. What a type cannot print, no log, dump or
//! panic message can leak.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// A text nobody may see.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself, for the one place that uses it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The reference that stands here instead of a value, if one does.
    pub(super) fn reference(&self) -> Option<Reference<'_>> {
        let rest = self.0.strip_prefix("secret:")?;
        match rest.split_once(':') {
            Some(("env", name)) => Some(Reference::Env(name)),
            Some(("file", path)) => Some(Reference::File(path)),
            _ => Some(Reference::Unknown),
        }
    }
}

/// Where a secret is kept, instead of the secret.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reference<'a> {
    /// `secret:env:NAME`
    Env(&'a str),
    /// `secret:file:PATH`
    File(&'a str),
    /// `secret:` and something else.
    Unknown,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// As `config show` prints it: `<set>`, or the reference, which is no secret.
impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.reference() {
            Some(Reference::Env(_) | Reference::File(_)) => serializer.serialize_str(&self.0),
            _ => serializer.serialize_str(SET),
        }
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "writeOnly": true })
    }
}

/// An address that may carry a token in its query.
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct Url(String);

impl Url {
    /// The text as it was written.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes the text over.
    pub(super) const fn new(text: String) -> Self {
        Self(text)
    }
}

impl Serialize for Url {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&without_credentials(&self.0))
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", without_credentials(&self.0))
    }
}

/// A program and its arguments, some of which may be credentials.
#[derive(Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Command(Vec<String>);

impl Command {
    /// Program first.
    pub const fn new(words: Vec<String>) -> Self {
        Self(words)
    }

    /// Program first, as it will be run.
    pub fn words(&self) -> &[String] {
        &self.0
    }

    /// The words with what looks like a credential masked: `--token X`, `--api-key=X`,
    /// `Authorization: X`, `scheme://user:X@host`.
    fn masked(&self) -> Vec<Cow<'_, str>> {
        let mut follows_name = false;
        let mut words = Vec::with_capacity(self.0.len());
        for word in &self.0 {
            let named = std::mem::take(&mut follows_name);
            words.push(match word.split_once(['=', ':']) {
                Some((name, _)) if is_telling(name) => format!("{name}={SET}").into(),
                _ if named && !word.starts_with('-') => SET.into(),
                _ => {
                    follows_name = word.starts_with('-') && is_telling(word);
                    without_credentials(word)
                }
            });
        }
        words
    }
}

impl Serialize for Command {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.masked())
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.masked()).finish()
    }
}

/// Whether a name says that what it holds is a credential.
pub(super) fn is_telling(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let mut words = name.split(|letter: char| !letter.is_ascii_alphanumeric());
    // Whole words where a part would take `author` and `keyboard` along.
    words.any(|word| matches!(word, "auth" | "keys" | "pwd") || word.ends_with("key"))
        || TELLING.iter().any(|part| name.contains(part))
}

/// The text without what may be a credential in a URL: userinfo, query, and parts of the path that look random.
pub(super) fn without_credentials(text: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = text.split_once("://") else { return text.into() };
    let (rest, query) = rest.split_once(['?', '#']).map_or((rest, ""), |(before, _)| (before, "?<set>"));
    let (authority, path) = rest.find('/').map_or((rest, ""), |cut| rest.split_at(cut));
    let userinfo = authority.rsplit_once('@');
    let host = userinfo.map_or(authority, |(_, host)| host);
    let parts: Vec<&str> = path.split('/').map(|part| if looks_random(part) { SET } else { part }).collect();
    let user = if userinfo.is_some() { "<set>@" } else { "" };
    format!("{scheme}://{user}{host}{}{query}", parts.join("/")).into()
}

/// Some services hand out addresses with a token as a part of the path.
fn looks_random(part: &str) -> bool {
    part.len() >= 20
        && part.bytes().any(|byte| byte.is_ascii_digit())
        && part.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// What stands where a secret is.
pub(super) const SET: &str = "<set>";

const TELLING: [&str; 8] = ["token", "secret", "passw", "credential", "cookie", "bearer", "authoriz", "authentic"];
