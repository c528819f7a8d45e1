//! Own vectors: headers that try to choose, claims at their edges, and the cache at its cap.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::token::revoked::{ENTRIES, Kind, Names, Revoked};
use crate::token::{Algorithm, Cache, Claims, Compact, Document, Fault, Key, KeySet, Rules, Signer, Type};

const NOW: u64 = 1_785_231_000;
const RULES: Rules<'static> =
    Rules { issuer: "https://login.example", typ: Type::AccessOrPlain, complete: false, leeway: 30 };

fn signer() -> Signer {
    Signer::ed25519("k1", &[7; 32]).unwrap()
}

fn claims() -> Value {
    json!({
        "iss": "https://login.example", "sub": "ada", "aud": ["https://gate.example/mcp"], "exp": NOW + 60,
        "nbf": NOW, "iat": NOW, "jti": "t1", "scope": "mcp:tools:list mcp:tools:call:files/*",
    })
}

fn verified(token: &str, rules: &Rules<'_>) -> Result<Claims, Fault> {
    let keys = KeySet::new(vec![signer().verifier().unwrap()]).unwrap();
    let token = Compact::read(token.as_bytes())?;
    Claims::verified(&token, keys.find(&token)?, rules, NOW)
}

fn check(change: (&str, Value), want: Result<(), Fault>) {
    let mut claims = claims();
    let (name, value) = change;
    if value.is_null() {
        claims.as_object_mut().unwrap().remove(name);
    } else {
        claims[name] = value;
    }
    let got = verified(&signer().sign(Type::Access, &claims), &RULES);
    assert_eq!(got.map(drop), want, "{claims}");
}

/// A token with this header and these claims, as text, signed with the right key.
fn signed_raw(header: &str, claims: &str) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let pair = aws_lc_rs::signature::Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let signature = URL_SAFE_NO_PAD.encode(pair.sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

/// B5, B6: a right token says what it says.
#[test]
fn a_right_token_is_read() {
    let got = verified(&signer().sign(Type::Access, &claims()), &RULES).unwrap();
    assert_eq!((got.text("sub").as_deref(), &*got.audiences[0]), (Some("ada"), "https://gate.example/mcp"));
    assert_eq!(got.scopes, ["mcp:tools:list".into(), "mcp:tools:call:files/*".into()]);
    assert_eq!((got.text("jti").as_deref(), got.text("nobody")), (Some("t1"), None));
}

/// B5, B6, P-A17: issuer, times, audience, subject: missing, of another kind, at their edges.
#[test]
fn claims_are_judged() {
    check(("iss", json!("https://login.example/")), Err(Fault::Issuer));
    check(("iss", json!("HTTPS://login.example")), Err(Fault::Issuer));
    check(("iss", Value::Null), Err(Fault::Issuer));
    check(("exp", Value::Null), Err(Fault::Claim("exp")));
    check(("exp", json!("1785231060")), Err(Fault::Claim("exp")));
    check(("exp", json!(-1)), Err(Fault::Claim("exp")));
    check(("exp", json!(1e300)), Err(Fault::Claim("exp")));
    check(("exp", json!(NOW - 29)), Ok(()));
    check(("exp", json!(NOW - 30)), Err(Fault::Expired));
    check(("nbf", json!(NOW + 30)), Ok(()));
    check(("nbf", json!(NOW + 31)), Err(Fault::NotYet));
    check(("iat", json!(NOW + 31)), Err(Fault::NotYet));
    check(("nbf", json!(1_785_231_000.5)), Ok(()));
    check(("nbf", Value::Null), Ok(()));
    check(("aud", Value::Null), Err(Fault::Claim("aud")));
    check(("aud", json!([1])), Err(Fault::Claim("aud")));
    check(("aud", json!("one")), Ok(()));
    check(("scope", json!(7)), Err(Fault::Claim("scope")));
}

/// B5, B6: a name that cannot stand in a record is no name.
#[test]
fn names_are_short_and_visible() {
    for (sub, want) in [("ada", true), ("", false), ("a\nb", false), (&*"s".repeat(513), false)] {
        let mut claims = claims();
        claims["sub"] = json!(sub);
        let got = verified(&signer().sign(Type::Access, &claims), &RULES).unwrap();
        assert_eq!(got.text("sub").is_some(), want, "{sub:?}");
    }
}

/// B6: what an issuer answers about an opaque token is read as strictly.
#[test]
fn introspection_is_read() {
    let read = |answer: Value| Claims::introspected(answer.to_string().as_bytes(), RULES.issuer, 30, NOW);
    let mut answer = claims();
    answer["active"] = json!(true);
    assert_eq!(read(answer.clone()).unwrap().unwrap().text("sub").as_deref(), Some("ada"));
    assert_eq!(read(json!({"active": false})), Ok(None));
    assert_eq!(read(json!({"active": "true"})), Err(Fault::Claim("active")));
    assert_eq!(read(json!({})), Err(Fault::Claim("active")));
    assert_eq!(read(json!({"active": true})), Err(Fault::Claim("aud")), "for nobody in particular");
    answer["iss"] = json!("https://other.example");
    assert_eq!(read(answer.clone()), Err(Fault::Issuer));
    answer["iss"] = json!(RULES.issuer);
    answer["exp"] = json!(NOW - 30);
    assert_eq!(read(answer), Err(Fault::Expired));
}

/// B5: what was taken back stays so for as long as it matters, and the table is bounded.
#[test]
fn what_is_taken_back_is_bounded() {
    let revoked = Revoked::default();
    let names = |token, issued| Names { token: Some(token), family: Some("f1"), holder: "token:ada", issued };
    assert!(!revoked.means(names("t1", Some(5))));
    assert!(revoked.add(Kind::Token, "t1", 0, 100));
    assert!(revoked.means(names("t1", Some(5))) && !revoked.means(names("t2", Some(5))));
    assert!(revoked.add(Kind::Holder, "token:ada", 5, 100));
    assert!(revoked.means(names("t2", Some(5))) && revoked.means(names("t2", None)));
    assert!(!revoked.means(names("t2", Some(6))), "made afterwards");
    assert!(revoked.add(Kind::Family, "f1", 0, 200) && revoked.means(names("t2", Some(6))));
    revoked.forget(100);
    assert!(revoked.means(names("t1", Some(6))), "its family is not forgotten");
    revoked.forget(200);
    assert!(!revoked.means(names("t1", Some(5))));
    for n in 0..ENTRIES {
        assert!(revoked.add(Kind::Token, &n.to_string(), 0, 9));
    }
    assert!(!revoked.add(Kind::Token, "one more", 0, 9) && revoked.add(Kind::Token, "7", 0, 9));
}

/// B5: our own tokens must name themselves and their time.
#[test]
fn own_tokens_are_complete() {
    let rules = Rules { complete: true, typ: Type::Access, ..RULES };
    assert!(verified(&signer().sign(Type::Access, &claims()), &rules).is_ok());
    for name in ["jti", "nbf", "iat"] {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(name);
        let got = verified(&signer().sign(Type::Access, &claims), &rules);
        assert_eq!(got.unwrap_err(), Fault::Claim("jti, nbf, iat"), "{name}");
    }
    let refresh = signer().sign(Type::Refresh, &claims());
    assert_eq!(verified(&refresh, &rules).unwrap_err(), Fault::Type, "a refresh token opens nothing");
    let access = signer().sign(Type::Access, &claims());
    assert_eq!(verified(&access, &Rules { typ: Type::Refresh, ..rules }).unwrap_err(), Fault::Type);
}

/// B5, P-A17: what a header may say; a right signature does not help a wrong one.
#[test]
fn a_header_chooses_nothing() {
    let claims = claims().to_string();
    let good = r#"{"alg":"EdDSA","kid":"k1","typ":"at+jwt""#;
    let cases = [
        (format!("{good}}}"), Ok(())),
        (
            format!(r#"{good},"jwk":{{"kty":"OKP"}},"jku":"http://169.254.169.254/","x5u":"file:///etc/passwd"}}"#),
            Ok(()),
        ),
        (r#"{"alg":"EdDSA","typ":"JWT"}"#.into(), Ok(())),
        (r#"{"alg":"EdDSA","kid":"k1","typ":"APPLICATION/AT+JWT"}"#.into(), Ok(())),
        (format!(r#"{good},"crit":["exp"]}}"#), Err(Fault::Critical)),
        (format!(r#"{good},"b64":false}}"#), Err(Fault::Critical)),
        (format!(r#"{good},"zip":"DEF"}}"#), Err(Fault::Critical)),
        (format!(r#"{good},"alg":"EdDSA"}}"#), Err(Fault::Malformed)),
        (format!(r#"{good},"\u0061lg":"none"}}"#), Err(Fault::Malformed)),
        (r#"{"alg":"none","kid":"k1"}"#.into(), Err(Fault::Algorithm)),
        (r#"{"alg":"HS256","kid":"k1"}"#.into(), Err(Fault::Algorithm)),
        (r#"{"alg":"eddsa","kid":"k1"}"#.into(), Err(Fault::Algorithm)),
        (r#"{"kid":"k1"}"#.into(), Err(Fault::Malformed)),
        (r#"{"alg":["EdDSA"],"kid":"k1"}"#.into(), Err(Fault::Malformed)),
        (r#"{"alg":"EdDSA","kid":"../../etc/passwd"}"#.into(), Err(Fault::UnknownKey)),
        (r#"{"alg":"EdDSA","kid":"' OR 1=1 --"}"#.into(), Err(Fault::UnknownKey)),
        (r#"{"alg":"EdDSA","kid":7}"#.into(), Err(Fault::Malformed)),
        (r#"{"alg":"EdDSA","kid":"k1","typ":"logout+jwt"}"#.into(), Err(Fault::Type)),
        (r#"{"alg":"EdDSA","kid":"k1","typ":"oauth-id-jag+jwt"}"#.into(), Err(Fault::Type)),
        (r#"["alg"]"#.into(), Err(Fault::Malformed)),
        (String::new(), Err(Fault::Malformed)),
    ];
    for (header, want) in cases {
        assert_eq!(verified(&signed_raw(&header, &claims), &RULES).map(drop), want, "{header}");
    }
}

/// B5, P-A17: a claim that stands twice, which parsers read differently, and bytes that are no JSON.
#[test]
fn claims_are_strict_json() {
    let header = r#"{"alg":"EdDSA","kid":"k1"}"#;
    let twice = claims().to_string().replacen('{', r#"{"sub":"eve","#, 1);
    for claims in [twice.as_str(), "", "[]", "null", "{", "{\"a\":\"\\ud800\"}"] {
        assert_eq!(verified(&signed_raw(header, claims), &RULES).unwrap_err(), Fault::Malformed, "{claims}");
    }
}

/// B5, P-A17: one token has one spelling, and 8 KiB.
#[test]
fn the_form_is_canonical() {
    let token = signer().sign(Type::Access, &claims());
    assert!(Compact::is_form(token.as_bytes()) && !Compact::is_form(b"a-key-of-32-bytes"));
    for other in [
        format!("{token}="),
        format!("{token}."),
        format!(".{token}"),
        token.replacen('.', "..", 1),
        format!(" {token}"),
    ] {
        assert_eq!(verified(&other, &RULES).unwrap_err(), Fault::Malformed, "{other}");
    }
    let mut at_cap = claims();
    at_cap["pad"] = json!("x".repeat(5800));
    assert!(verified(&signer().sign(Type::Access, &at_cap), &RULES).is_ok());
    at_cap["pad"] = json!("x".repeat(6200));
    assert_eq!(verified(&signer().sign(Type::Access, &at_cap), &RULES).unwrap_err(), Fault::Malformed);
}

/// B5: a shared secret signs and verifies too, is never published, and a public key is never taken for one.
#[test]
fn secrets_and_public_keys_do_not_mix() {
    let secret = Signer::hs256("s1", &[9; 32]).unwrap();
    assert!(Signer::hs256("s1", &[9; 31]).is_none() && secret.published().is_none());
    let token = secret.sign(Type::Access, &claims());
    let token = Compact::read(token.as_bytes()).unwrap();
    assert!(Claims::verified(&token, &secret.verifier().unwrap(), &RULES, NOW).is_ok());
    let public = signer().published().unwrap();
    let x = URL_SAFE_NO_PAD.decode(public["x"].as_str().unwrap()).unwrap();
    // The confusion of CVE-2015-9235: the public key's bytes as a secret.
    let confused = Signer::hs256("k1", &x).unwrap().sign(Type::Access, &claims());
    assert_eq!(verified(&confused, &RULES).unwrap_err(), Fault::Algorithm);
    let keys = |keys: Value| KeySet::read_public(json!({"keys": keys}).to_string().as_bytes());
    assert_eq!(keys(json!([public])).unwrap().len(), 1);
    let oct = json!({"kty": "oct", "alg": "HS256", "k": URL_SAFE_NO_PAD.encode([9; 32])});
    assert!(keys(json!([oct])).is_none(), "a set that everybody reads holds no secret");
    assert!(
        KeySet::new(vec![Key::secret(None, Algorithm::Hs256, &[9; 32]).unwrap(), signer().verifier().unwrap()])
            .is_none()
    );
}

/// B6: sets are bounded.
#[test]
fn key_sets_are_bounded() {
    let named = |n: usize| json!({"kty": "OKP", "crv": "Ed25519", "kid": n.to_string(), "x": signer().published().unwrap()["x"]});
    let set = |n| KeySet::read(json!({"keys": (0..n).map(named).collect::<Vec<_>>()}).to_string().as_bytes());
    assert_eq!(set(64).unwrap().len(), 64);
    assert!(set(65).is_none());
    let mut large = json!({"keys": [named(1)]});
    large["pad"] = json!("x".repeat(128 * 1024));
    assert!(KeySet::read(large.to_string().as_bytes()).is_none());
    assert!(Document::read(b"{\"a\":[1,2,3]}", 4).is_none(), "nodes are counted");
}

/// B5: the cache is bounded, keeps what is used, and knows no token itself.
#[test]
fn the_cache_is_bounded() {
    let cache = Cache::new(320);
    let name = |n: u32| Cache::<u32>::name(&n.to_be_bytes());
    cache.put(name(0), Arc::new(0));
    for n in 1..10_000 {
        cache.put(name(n), Arc::new(n));
        assert!(cache.len() <= 320 && cache.get(&name(0)).is_some(), "at {n}");
    }
    assert!(cache.get(&name(1)).is_none());
    assert_eq!(cache.get(&name(9_999)).as_deref(), Some(&9_999));
}
