//! The algorithms of JSON Web Algorithms (RFC 7518, RFC 8037) that are known here.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{self, RsaParameters, VerificationAlgorithm};

/// What a key signs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the registry")]
pub enum Algorithm {
    Hs256,
    Hs384,
    Hs512,
    EdDsa,
    Es256,
    Es384,
    Es512,
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
}

/// What an algorithm checks signatures with.
pub(super) enum Family {
    Hmac(hmac::Algorithm),
    Rsa(&'static RsaParameters),
    /// Elliptic curves, and the curve's name.
    Curve(&'static dyn VerificationAlgorithm, &'static str),
}

impl Algorithm {
    /// Every algorithm, by its name in a header.
    pub const ALL: [(&'static str, Self); 13] = [
        ("HS256", Self::Hs256),
        ("HS384", Self::Hs384),
        ("HS512", Self::Hs512),
        ("EdDSA", Self::EdDsa),
        ("ES256", Self::Es256),
        ("ES384", Self::Es384),
        ("ES512", Self::Es512),
        ("RS256", Self::Rs256),
        ("RS384", Self::Rs384),
        ("RS512", Self::Rs512),
        ("PS256", Self::Ps256),
        ("PS384", Self::Ps384),
        ("PS512", Self::Ps512),
    ];

    /// The algorithm of a name; RFC 9864 calls `EdDSA` on this curve `Ed25519`.
    pub fn named(name: &str) -> Option<Self> {
        let name = if name == "Ed25519" { "EdDSA" } else { name };
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, algorithm)| *algorithm)
    }

    /// Its name in a header.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, algorithm)| *algorithm == self).map_or("none", |(name, _)| name)
    }

    /// Whether whoever can verify can sign too.
    pub const fn is_symmetric(self) -> bool {
        matches!(self, Self::Hs256 | Self::Hs384 | Self::Hs512)
    }

    pub(super) fn family(self) -> Family {
        match self {
            Self::Hs256 => Family::Hmac(hmac::HMAC_SHA256),
            Self::Hs384 => Family::Hmac(hmac::HMAC_SHA384),
            Self::Hs512 => Family::Hmac(hmac::HMAC_SHA512),
            Self::EdDsa => Family::Curve(&signature::ED25519, "Ed25519"),
            Self::Es256 => Family::Curve(&signature::ECDSA_P256_SHA256_FIXED, "P-256"),
            Self::Es384 => Family::Curve(&signature::ECDSA_P384_SHA384_FIXED, "P-384"),
            Self::Es512 => Family::Curve(&signature::ECDSA_P521_SHA512_FIXED, "P-521"),
            Self::Rs256 => Family::Rsa(&signature::RSA_PKCS1_2048_8192_SHA256),
            Self::Rs384 => Family::Rsa(&signature::RSA_PKCS1_2048_8192_SHA384),
            Self::Rs512 => Family::Rsa(&signature::RSA_PKCS1_2048_8192_SHA512),
            Self::Ps256 => Family::Rsa(&signature::RSA_PSS_2048_8192_SHA256),
            Self::Ps384 => Family::Rsa(&signature::RSA_PSS_2048_8192_SHA384),
            Self::Ps512 => Family::Rsa(&signature::RSA_PSS_2048_8192_SHA512),
        }
    }

    /// The algorithm of a curve, for keys that do not name one.
    pub(super) fn of_curve(curve: &str) -> Option<Self> {
        let of = |algorithm: &Self| matches!(algorithm.family(), Family::Curve(_, name) if name == curve);
        Self::ALL.iter().map(|(_, algorithm)| *algorithm).find(of)
    }
}
