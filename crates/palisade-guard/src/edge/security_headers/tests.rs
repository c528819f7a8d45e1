//! Which protective headers an answer ends up with.

use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, STRICT_TRANSPORT_SECURITY, X_FRAME_OPTIONS};
use http::{HeaderMap, HeaderValue};

use super::{Protection, SecurityHeaders, page_policy};

fn applied(headers: &SecurityHeaders, secure: bool) -> HeaderMap {
    let mut answer = HeaderMap::new();
    headers.apply(&mut answer, secure);
    answer
}

/// A7: the defaults, each exactly once.
#[test]
fn defaults_protect() {
    let answer = applied(&SecurityHeaders::default(), true);
    for (name, want) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("x-xss-protection", "0"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cache-control", "no-store"),
        ("strict-transport-security", "max-age=31536000; includeSubDomains"),
    ] {
        assert_eq!(answer.get_all(name).iter().collect::<Vec<_>>(), [want], "{name}");
    }
    let devices = answer["permissions-policy"].to_str().unwrap();
    assert!(devices.split(", ").all(|device| device.ends_with("=()")), "{devices}");
    assert_eq!(answer.len(), Protection::ALL.len());
}

/// A7: over plain HTTP nothing is said about TLS.
#[test]
fn hsts_is_for_tls() {
    assert!(!applied(&SecurityHeaders::default(), false).contains_key(STRICT_TRANSPORT_SECURITY));
    assert!(applied(&SecurityHeaders::default(), true).contains_key(STRICT_TRANSPORT_SECURITY));
}

/// A7: a page keeps its own policy and caching; what an upstream says about framing does not stand.
#[test]
fn a_page_keeps_what_is_its_own() {
    let policy = page_policy(&[]).unwrap();
    let mut answer = HeaderMap::new();
    answer.insert(CONTENT_SECURITY_POLICY, policy.clone());
    answer.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=60"));
    answer.append(X_FRAME_OPTIONS, HeaderValue::from_static("ALLOWALL"));
    answer.append(X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"));
    SecurityHeaders::default().apply(&mut answer, false);
    assert_eq!(answer.get_all(CONTENT_SECURITY_POLICY).iter().collect::<Vec<_>>(), [policy]);
    assert_eq!(answer.get_all(CACHE_CONTROL).iter().collect::<Vec<_>>(), ["max-age=60"]);
    assert_eq!(answer.get_all(X_FRAME_OPTIONS).iter().collect::<Vec<_>>(), ["DENY"]);
}

/// A7: every header can be replaced and left out.
#[test]
fn every_header_is_configurable() {
    for protection in Protection::ALL {
        let name = protection.row().0;
        let mut headers = SecurityHeaders::default();
        headers.set(protection, Some("mine")).unwrap();
        assert_eq!(applied(&headers, true).get_all(&name).iter().collect::<Vec<_>>(), ["mine"], "{name}");
        headers.set(protection, None).unwrap();
        assert!(!applied(&headers, true).contains_key(&name), "{name}");
        headers.set(protection, Some("back")).unwrap();
        assert_eq!(applied(&headers, true)[&name], "back");
        assert!(headers.set(protection, Some("a\r\nset-cookie: b")).unwrap_err().contains(name.as_str()));
    }
}

/// A7: a page's policy has no script and no inline style but the hashed ones.
#[test]
fn page_policy_allows_styles_alone() {
    let hash = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let policy = |hashes: &[&str]| page_policy(hashes).map(|value| value.to_str().unwrap().to_owned());
    assert!(policy(&[]).unwrap().starts_with("default-src 'none'; style-src 'self'; frame-ancestors 'none'"));
    let hashed = policy(&[hash, &format!("sha256-{hash}")]).unwrap();
    assert!(hashed.contains(&format!("style-src 'sha256-{hash}' 'sha256-{hash}';")));
    assert!(!hashed.contains("unsafe") && !hashed.contains("script"));
    assert!(policy(&["'unsafe-inline'"]).is_err());
    assert!(policy(&[&hash.replace('D', ";")]).is_err());
}
