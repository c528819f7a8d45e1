//! Tokens: compact JSON Web Signatures (RFC 7515), JSON Web Tokens (RFC 7519) and JSON Web Keys (RFC 7517), read
//! strictly.
//!
//! 1. A token is 8 KiB at most: three parts of canonical base64url, whose header and claims are JSON that every parser
//!    reads alike (`message::json`).
//! 2. The key says which algorithm it is for. What the token's header says must agree, and never chooses.
//! 3. No key comes from a token: `jwk`, `jku`, `x5c` and `x5u` are not looked at. `crit` and `b64` are refused, for nothing
//!    that they could ask for is understood here; a JSON Web Encryption has five parts and is none of this.
//! 4. Nothing is believed of a token before its signature is found good. [`Compact::claimed_issuer`] reads where to look
//!    for a key, and nothing else.

mod algorithm;
mod cache;
mod claims;
mod compact;
mod document;
mod jwk;
mod key;
mod keyring;
pub mod revoked;
mod roca;
mod sign;

pub use algorithm::Algorithm;
pub use cache::Cache;
pub use claims::{Claims, Rules, Type};
pub use compact::Compact;
pub use document::Document;
pub use jwk::{KeySet, SET_BYTES};
pub use key::Key;
pub use keyring::Keyring;
pub use sign::Signer;

/// Why a token is not good, for the log: its holder hears nothing but that it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Not three parts of base64url, too long, or not the JSON it should be.
    Malformed,
    /// A header that must be understood and is not.
    Critical,
    /// Another type of token.
    Type,
    /// Its algorithm is not that of the key.
    Algorithm,
    /// No key of this name.
    UnknownKey,
    /// The signature is not that of the key.
    Signature,
    /// Not of the issuer that the key belongs to.
    Issuer,
    /// For somebody else.
    Audience,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYet,
    /// A claim that must be there is not, or is not what it should be.
    Claim(&'static str),
    /// Taken back.
    Revoked,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the token is malformed",
            Self::Critical => "the token's header has an extension that is not understood",
            Self::Type => "a token of another type",
            Self::Algorithm => "the token's algorithm is not that of the key",
            Self::UnknownKey => "no key of the token's issuer has the token's key id",
            Self::Signature => "the token's signature is wrong",
            Self::Issuer => "a token of another issuer",
            Self::Audience => "a token for another audience",
            Self::Expired => "the token has expired",
            Self::NotYet => "the token is not valid yet",
            Self::Claim(name) => return write!(f, "the token's claim {name} is missing or wrong"),
            Self::Revoked => "the token was revoked",
        })
    }
}

/// Bytes of a token.
pub const TOKEN_BYTES: usize = 8 * 1024;

#[cfg(test)]
mod tests;
