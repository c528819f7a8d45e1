//! Tokens: one that was verified before, and one that was not.
#![allow(clippy::expect_used, reason = "the input is our own")]

use std::sync::Arc;

use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, HeaderValue, Method, Uri};
use palisade_guard::authenticate::token::{Audience, Issuer, Tokens};
use palisade_guard::authenticate::{Config, Methods, Presented, Verdict, caller};
use palisade_guard::clock::Moment;
use palisade_guard::grant::Grant;
use palisade_guard::refusal::Refusal;
use palisade_guard::token::{Algorithm, Cache, Claims, Compact, Fault, KeySet, Keyring, Rules, Signer, Type};
use serde_json::json;

const NOW: u64 = 1_785_231_000;
const ISSUER: &str = "https://login.example.com";

/// A configuration that takes tokens, and the headers of a call.
pub(crate) struct Input {
    config: Config,
    uri: Uri,
    headers: HeaderMap,
    token: String,
    keys: Arc<KeySet>,
}

/// A token that was verified before.
pub(crate) fn remembered() -> Input {
    let signer = Signer::ed25519("k1", &[7; 32]).expect("a key");
    let claims = json!({
        "iss": ISSUER, "sub": "ada@example.com", "aud": "https://mcp.example.com/mcp", "exp": NOW + 60, "nbf": NOW,
        "iat": NOW, "jti": "7c2d5a4e-2f0b-4d1c-9a55-6d0f6b1c1e11", "scope": "mcp:tools mcp:resources",
        "client_id": "desktop", "groups": ["staff", "engineering"],
    });
    let token = signer.sign(Type::Access, &claims);
    let keyring = Keyring::default();
    keyring.replace(KeySet::new(vec![signer.verifier().expect("a key")]).expect("one key"));
    let keys = keyring.now();
    let issuer = Issuer {
        url: ISSUER.into(),
        prefix: "oauth:corp:".into(),
        audience: Audience::Resource,
        algorithms: vec![Algorithm::EdDsa],
        principal_claim: "sub".into(),
        groups_claim: Some("groups".into()),
        words: None,
        grant: Grant::default(),
        leeway: 30,
        keyring: Arc::new(keyring),
        introspects: None,
    };
    let tokens = Tokens {
        issuers: vec![Arc::new(issuer)],
        base: Some("https://mcp.example.com".into()),
        offered: Vec::new(),
        revoked: Arc::default(),
        cache: Cache::new(1024),
    };
    let headers = HeaderMap::from_iter([
        (HOST, HeaderValue::from_static("mcp.example.com")),
        (AUTHORIZATION, HeaderValue::try_from(format!("Bearer {token}")).expect("a header")),
    ]);
    let config = Config::Credentials(Methods { tokens: Some(tokens), ..Methods::default() });
    let input = Input { config, uri: Uri::from_static("/mcp"), headers, token, keys };
    assert!(matches!(find(&input), Ok(Verdict::Accept(_))) && verify(&input).is_ok());
    input
}

/// The caller behind the headers.
pub(crate) fn find(input: &Input) -> Result<Verdict, Refusal> {
    let Input { config, uri, headers, .. } = input;
    let now = Moment { monotonic_ms: 0, unix_ms: NOW * 1000 };
    caller(config, &Presented { method: &Method::POST, uri, headers, secure: true, certificate: None, now })
}

/// What a token that was not seen before says.
pub(crate) fn verify(input: &Input) -> Result<Claims, Fault> {
    let compact = Compact::read(input.token.as_bytes())?;
    let rules = Rules { issuer: ISSUER, typ: Type::AccessOrPlain, complete: false, leeway: 30 };
    Claims::verified(&compact, input.keys.find(&compact)?, &rules, NOW)
}
