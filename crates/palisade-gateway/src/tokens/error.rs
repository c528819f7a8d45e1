//! Why an operation on tokens was not done.

use std::fmt;

use crate::store;

/// Why an operation was not done.
#[derive(Debug)]
pub enum Error {
    /// This field cannot be as it is.
    Wrong(&'static str, String),
    /// There is no such family, or its time is over.
    Unknown,
    /// The refresh token was used before: its family has ended.
    Reused,
    /// What was shown is no refresh token of ours.
    NotGood,
    /// This part of the token goes beyond what who asks holds.
    Beyond(&'static str),
    /// There are as many as there may be.
    Full,
    /// No key is in force.
    NoKey,
    /// Tokens are signed with a secret of the settings, which the settings change.
    Secret,
    /// The store.
    Store(store::Error),
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

impl Error {
    /// What the store said; every other error cannot come of reading.
    pub(crate) fn into_store(self) -> store::Error {
        match self {
            Self::Store(error) => error,
            other => store::Error::Down(other.to_string()),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wrong(field, problem) => return write!(f, "{field}: {problem}"),
            Self::Unknown => "this family of tokens has ended",
            Self::Reused => "this refresh token was used before: all tokens of its family have ended",
            Self::NotGood => "this is no refresh token that is good here",
            Self::Beyond(part) => return write!(f, "nobody can make a token beyond what they hold: its {part}"),
            Self::Full => "there are as many as there may be: wait until some have expired",
            Self::NoKey => "no key is in force",
            Self::Secret => {
                "tokens are signed with auth.tokens.secret: change it there, and write the old one to previous_secret"
            }
            Self::Store(error) => return error.fmt(f),
        })
    }
}

impl std::error::Error for Error {}
