//! Tokens as credentials: whose, for what, until when, and what a client hears.

use std::sync::Arc;

use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, HeaderValue, Method, Uri};
use serde_json::{Value, json};

use super::super::{Config, Methods, Verdict, again, caller};
use super::{Audience, Issuer, Need, Tokens};
use crate::authenticate::{Presented, Principal};
use crate::clock::Moment;
use crate::grant::Grant;
use crate::refusal::{Reason, Refusal};
use crate::token::revoked::{Kind, Revoked};
use crate::token::{Algorithm, Cache, KeySet, Keyring, Signer, Type};

const NOW: u64 = 1_785_231_000;
const OURS: &str = "palisade:test";
const LOGIN: &str = "https://login.example";
const MCP: &str = "https://gate.example/mcp";

fn key(kid: &str) -> Signer {
    Signer::ed25519(kid, &[kid.as_bytes()[0]; 32]).unwrap()
}

fn issuer(url: &str, prefix: &str, audience: Audience, kid: &str) -> Issuer {
    let keyring = Keyring::default();
    keyring.replace(KeySet::new(vec![key(kid).verifier().unwrap()]).unwrap());
    Issuer {
        url: url.into(),
        prefix: prefix.into(),
        audience,
        algorithms: vec![Algorithm::EdDsa],
        principal_claim: "sub".into(),
        groups_claim: Some("groups".into()),
        words: None,
        grant: Grant::default(),
        leeway: 30,
        keyring: Arc::new(keyring),
        introspects: None,
    }
}

fn own() -> Issuer {
    let own = |what: &str| format!("{OURS}/{what}").into();
    let audience = Audience::Own { mcp: own("mcp"), api: own("api"), refresh: own("refresh") };
    issuer(OURS, "token:", audience, "own")
}

fn config(issuers: Vec<Issuer>) -> Config {
    let tokens = Tokens {
        issuers: issuers.into_iter().map(Arc::new).collect(),
        base: None,
        offered: vec!["mcp:tools".into()],
        revoked: Arc::new(Revoked::default()),
        cache: Cache::new(1000),
    };
    Config::Credentials(Methods { tokens: Some(tokens), ..Methods::default() })
}

fn both() -> Config {
    config(vec![own(), issuer(LOGIN, "oauth:corp:", Audience::Resource, "login")])
}

fn tokens(config: &Config) -> &Tokens {
    let Config::Credentials(Methods { tokens: Some(tokens), .. }) = config else { panic!("no tokens") };
    tokens
}

fn claims(issuer: &str, audience: &str) -> Value {
    json!({
        "iss": issuer, "sub": "ada", "aud": audience, "exp": NOW + 60, "nbf": NOW, "iat": NOW, "jti": "t1", "fam": "f1",
        "scope": "mcp:tools openid",
    })
}

fn judged(config: &Config, method: &Method, path: &str, token: &str, now: u64) -> Result<Verdict, Refusal> {
    let mut headers = HeaderMap::new();
    headers.insert(HOST, HeaderValue::from_static("Gate.example:443"));
    headers.insert(AUTHORIZATION, HeaderValue::try_from(format!("Bearer {token}")).unwrap());
    let now = Moment { monotonic_ms: 0, unix_ms: now * 1000 };
    let uri: Uri = path.parse().unwrap();
    caller(config, &Presented { method, uri: &uri, headers: &headers, secure: true, certificate: None, now })
}

fn call(config: &Config, path: &str, token: &str) -> Result<Principal, Reason> {
    match judged(config, &Method::POST, path, token, NOW).map_err(|refusal| refusal.reason())? {
        Verdict::Accept(principal) => Ok(principal),
        verdict => panic!("{verdict:?}"),
    }
}

fn check(path: &str, kid: &str, claims: &Value, want: Result<&str, Reason>) {
    let config = both();
    let token = key(kid).sign(Type::Access, claims);
    // The second time what was found is remembered.
    for turn in ["first", "second"] {
        let got = call(&config, path, &token);
        let got = got.as_ref().map(|principal| &**principal.id()).map_err(|reason| *reason);
        assert_eq!(got, want, "{turn}: {path} {claims}");
    }
}

/// B5, B6: a token is good for what it names: an endpoint, all endpoints, the administration, and nothing beside
/// (GHSA-xwmw-prc4-v3cr, CVE-2024-47616).
#[test]
fn a_token_is_for_what_it_names() {
    let no = Err(Reason::Unauthenticated);
    let of_login = |audience: &str| claims(LOGIN, audience);
    check("/mcp", "login", &of_login(MCP), Ok("oauth:corp:ada"));
    check("/mcp", "login", &of_login("HTTPS://GATE.example:443/mcp/"), Ok("oauth:corp:ada"));
    check("/mcp/files", "login", &of_login("https://gate.example/mcp/files"), Ok("oauth:corp:ada"));
    check("/mcp/files", "login", &of_login(MCP), no);
    check("/mcp", "login", &of_login("https://gate.example/mcp/files"), no);
    check("/mcp", "login", &of_login("https://gate.example/MCP"), no);
    check("/mcp", "login", &of_login("http://gate.example/mcp"), no);
    check("/mcp", "login", &of_login("https://gate.example.evil/mcp"), no);
    check("/api/keys", "login", &of_login(MCP), no);
    check("/api/keys", "login", &of_login("https://gate.example/api"), Ok("oauth:corp:ada"));
    check("/mcp", "login", &of_login("https://gate.example/api"), no);
    let ours = |audience: &str| claims(OURS, &format!("{OURS}/{audience}"));
    check("/mcp", "own", &ours("mcp"), Ok("token:ada"));
    check("/mcp/files", "own", &ours("mcp"), Ok("token:ada"));
    check("/api/tokens", "own", &ours("mcp"), no);
    check("/api/tokens", "own", &ours("api"), Ok("token:ada"));
    check("/mcp", "own", &ours("api"), no);
    check("/mcp", "own", &claims("palisade:production", "palisade:production/mcp"), no);
}

/// B6: one issuer's key proves nothing about another's tokens.
#[test]
fn issuers_do_not_speak_for_one_another() {
    let no = Err(Reason::Unauthenticated);
    let forged = Signer::ed25519("login", &[b'x'; 32]).unwrap().sign(Type::Access, &claims(LOGIN, MCP));
    assert_eq!(call(&both(), "/mcp", &forged).map(drop), Err(Reason::Unauthenticated));
    let as_ours = Signer::ed25519("own", &[b'l'; 32]).unwrap();
    assert_eq!(
        call(&both(), "/mcp", &as_ours.sign(Type::Access, &claims(OURS, "palisade:test/mcp"))).map(drop),
        Err(Reason::Unauthenticated)
    );
    check("/mcp", "own", &claims("https://nobody.example", MCP), no);
    let mut other = issuer(LOGIN, "oauth:corp:", Audience::Resource, "login");
    other.algorithms = vec![Algorithm::Es256];
    let token = key("login").sign(Type::Access, &claims(LOGIN, MCP));
    assert_eq!(
        call(&config(vec![other]), "/mcp", &token).map(drop),
        Err(Reason::Unauthenticated),
        "not an algorithm of its own"
    );
}

/// B5: what was remembered of a token ends with it, with its key, and with its revocation.
#[test]
fn nothing_is_remembered_for_too_long() {
    let ours = claims(OURS, "palisade:test/mcp");
    let token = key("own").sign(Type::Access, &ours);
    let at =
        |config: &Config, now| judged(config, &Method::POST, "/mcp", &token, now).map(drop).map_err(|no| no.reason());
    let config = both();
    assert_eq!(
        (at(&config, NOW), at(&config, NOW + 89), at(&config, NOW + 90)),
        (Ok(()), Ok(()), Err(Reason::Unauthenticated))
    );
    for (kind, name) in [(Kind::Token, "t1"), (Kind::Family, "f1"), (Kind::Holder, "token:ada")] {
        let config = both();
        assert_eq!(at(&config, NOW), Ok(()));
        assert!(tokens(&config).revoked.add(kind, name, NOW, NOW + 100));
        assert_eq!(at(&config, NOW), Err(Reason::Unauthenticated), "{name}");
    }
    // Its issuer's clock may be ahead by as much as is allowed for.
    for (behind, refused) in [(29, true), (30, true), (31, false)] {
        let config = both();
        assert!(tokens(&config).revoked.add(Kind::Holder, "token:ada", NOW - behind, NOW + 100));
        assert_eq!(at(&config, NOW).is_err(), refused, "{behind} s");
    }
    let config = both();
    let caller = call(&config, "/mcp", &token).unwrap();
    let still = |now| again(&config, &caller, Moment { monotonic_ms: 0, unix_ms: now * 1000 }).is_ok();
    assert_eq!((still(NOW), still(NOW + 90), caller.expires()), (true, false, Some(NOW + 90)));
    let [own, _] = &*tokens(&config).issuers else { panic!() };
    own.keyring.replace(KeySet::new(vec![key("own").verifier().unwrap(), key("next").verifier().unwrap()]).unwrap());
    assert!(still(NOW) && at(&config, NOW) == Ok(()), "keys with an overlap");
    own.keyring.replace(KeySet::new(vec![key("next").verifier().unwrap()]).unwrap());
    assert!(!still(NOW), "its key was withdrawn");
    assert!(matches!(judged(&config, &Method::POST, "/mcp", &token, NOW), Ok(Verdict::Unsettled(Need::Keys(_)))));
}

/// B5: a refresh token is taken at one address with one method, and lets nothing else be done.
#[test]
fn a_refresh_token_opens_one_door() {
    let mut refresh = claims(OURS, "palisade:test/refresh");
    refresh["gen"] = json!(3);
    let token = key("own").sign(Type::Refresh, &refresh);
    let caller = call(&both(), super::REFRESH, &token).unwrap();
    assert_eq!(caller.refresh(), Some(("f1", 3)));
    assert_eq!(caller.grant().scopes.as_ref().unwrap().words().count(), 0);
    for path in ["/mcp", "/api/tokens", "/api/tokens/refresh/"] {
        assert_eq!(call(&both(), path, &token).map(drop), Err(Reason::Unauthenticated), "{path}");
    }
    assert!(judged(&both(), &Method::GET, super::REFRESH, &token, NOW).is_err());
    let access = key("own").sign(Type::Access, &claims(OURS, "palisade:test/api"));
    assert_eq!(call(&both(), super::REFRESH, &access).map(drop), Err(Reason::Unauthenticated));
}

/// B6, C1: an issuer's own words mean scopes of ours; a token without any hears which to ask for.
#[test]
fn scopes_of_others_are_translated() {
    let mut corp = issuer(LOGIN, "oauth:corp:", Audience::Named(vec!["api://gate".into()]), "login");
    corp.words = Some(Arc::from([("tools.read".into(), "mcp:tools:list".into()), ("*".into(), "mcp:prompts".into())]));
    corp.grant.limit = Some(7);
    let config = config(vec![corp]);
    let mut claims = claims(LOGIN, "api://gate");
    claims["scope"] = json!("tools.read mcp:tools:call");
    claims["groups"] = json!(["staff"]);
    let caller = call(&config, "/mcp/files", &key("login").sign(Type::Access, &claims)).unwrap();
    let words: Vec<_> = caller.grant().scopes.as_ref().unwrap().words().collect();
    assert_eq!(words, ["mcp:tools:list:*/*", "mcp:prompts:*:*/*"], "not what the token says of itself");
    assert_eq!((caller.grant().limit, &*caller.grant().groups[0]), (Some(7), "staff"));
    assert_eq!(
        call(&config, "/api/keys", &key("login").sign(Type::Access, &claims)).map(drop),
        Err(Reason::Unauthenticated)
    );

    let mut bare = self::claims(LOGIN, MCP);
    bare["scope"] = json!("openid");
    let refusal = judged(&both(), &Method::POST, "/mcp", &key("login").sign(Type::Access, &bare), NOW).unwrap_err();
    assert_eq!(refusal.reason(), Reason::ScopeMissing);
    assert_eq!(refusal.challenge_value(), Some(r#"Bearer error="insufficient_scope", scope="mcp:tools""#));
}

/// B6: what must be fetched is said, and nothing is guessed meanwhile.
#[test]
fn what_is_not_known_is_asked_for() {
    let unknown = key("other").sign(Type::Access, &claims(LOGIN, MCP));
    assert!(matches!(judged(&both(), &Method::POST, "/mcp", &unknown, NOW), Ok(Verdict::Unsettled(Need::Keys(_)))));
    let mut asked = issuer(LOGIN, "oauth:corp:", Audience::Resource, "login");
    asked.introspects = Some(30);
    let config = config(vec![asked]);
    let Ok(Verdict::Unsettled(Need::Introspection(issuer))) = judged(&config, &Method::POST, "/mcp", "opaque-1", NOW)
    else {
        panic!("an opaque token is asked about");
    };
    let (method, uri, mut headers) = (Method::POST, Uri::from_static("/mcp"), HeaderMap::new());
    headers.insert(HOST, HeaderValue::from_static("gate.example"));
    let now = Moment { monotonic_ms: 0, unix_ms: NOW * 1000 };
    let presented = Presented { method: &method, uri: &uri, headers: &headers, secure: true, certificate: None, now };
    let mut answer = claims(LOGIN, MCP);
    answer["active"] = json!(true);
    let tell =
        |answer: &Value| tokens(&config).introspected(&issuer, b"opaque-1", answer.to_string().as_bytes(), &presented);
    assert_eq!(tell(&json!({"active": false})).unwrap_err().reason(), Reason::Unauthenticated);
    assert_eq!(&**tell(&answer).unwrap().id(), "oauth:corp:ada");
    let later = |now| judged(&config, &Method::POST, "/mcp", "opaque-1", now).unwrap();
    assert!(matches!(later(NOW + 29), Verdict::Accept(_)));
    assert!(matches!(later(NOW + 30), Verdict::Unsettled(_)), "believed for 30 seconds");
}

/// B6: a challenge says where to learn whom to ask, and is what it was where nobody else is trusted.
#[test]
fn a_challenge_leads_on() {
    let (method, uri, mut headers) = (Method::POST, Uri::from_static("/mcp/files"), HeaderMap::new());
    headers.insert(HOST, HeaderValue::from_static("gate.example"));
    let now = Moment { monotonic_ms: 0, unix_ms: 0 };
    let presented = Presented { method: &method, uri: &uri, headers: &headers, secure: true, certificate: None, now };
    let challenge = |config: &Config| {
        let refusal = caller(config, &presented).unwrap_err();
        tokens(config).complete(refusal, &presented).challenge_value().unwrap().to_owned()
    };
    let metadata = "https://gate.example/.well-known/oauth-protected-resource/mcp/files";
    assert_eq!(challenge(&both()), format!(r#"Bearer realm="mcp", resource_metadata="{metadata}", scope="mcp:tools""#));
    assert_eq!(challenge(&config(vec![own()])), r#"Bearer realm="mcp""#);
}
