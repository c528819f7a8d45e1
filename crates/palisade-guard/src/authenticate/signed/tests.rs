//! Clients that sign, and everybody else who claims to be one.

use super::{Client, Clients, first};
use crate::authenticate::{self, Config, Key, Keys, Methods, Presented, Principal, Verdict};
use crate::clock::Moment;
use crate::grant::Grant;
use crate::refusal::{Reason, Refusal};
use crate::sign::nonces::{Down, Seen, Use};
use crate::sign::{Occasion, Request, Scheme, Secrets, Signer};
use http::{HeaderMap, HeaderValue, Method, Uri};
use std::sync::Arc;

const SECRET: &[u8] = b"0123456789abcdef0123456789ABCDEF";
const OTHER: &[u8] = b"another secret of thirty-two byte";
const NOW_S: u64 = 1_785_231_000;
const BODY: &[u8] = b"{}";

fn config(secrets: Secrets, demanded: bool, compat: bool) -> Config {
    let client = Client {
        id: Arc::from("client:desk"),
        key_id: Arc::from("desk-1"),
        secrets,
        grant: Arc::new(Grant::default()),
    };
    let key = Key { id: Arc::from("key:ci"), digest: Keys::digest(b"k"), grant: Arc::new(Grant::default()) };
    let clients = Clients::new([client], demanded, compat);
    Config::Credentials(Methods { keys: Keys::new([key]), clients, ..Methods::default() })
}

fn ours() -> Secrets {
    Secrets::new(SECRET, None).unwrap()
}

fn signed(scheme: Scheme, key_id: &str, secret: &[u8], now_s: u64) -> HeaderMap {
    let mut headers = HeaderMap::from_iter([(http::header::HOST, HeaderValue::from_static("h"))]);
    let request = Request { method: "POST", authority: "h", target: "/mcp", headers: &headers };
    let occasion = Occasion { now_s, nonce: "nonce-0123456789" };
    let added = Signer::new(scheme, key_id, secret).unwrap().sign(&request, BODY, occasion).unwrap();
    headers.extend(added);
    headers
}

fn judged(config: &Config, headers: &HeaderMap, body: &[u8]) -> Result<(Principal, Option<Use>), Refusal> {
    let (uri, now) = (Uri::from_static("/mcp"), Moment { monotonic_ms: 0, unix_ms: NOW_S * 1000 + 999 });
    match authenticate::caller(
        config,
        &Presented { method: &Method::POST, uri: &uri, headers, secure: true, certificate: None, now },
    )? {
        Verdict::Accept(principal) => Ok((principal, None)),
        Verdict::Signed(pending) => pending.holds(body).map(|(principal, used)| (principal, Some(used))),
        verdict @ Verdict::Unsettled(_) => panic!("{verdict:?}"),
    }
}

fn reason(config: &Config, headers: &HeaderMap, body: &[u8]) -> Reason {
    judged(config, headers, body).unwrap_err().reason()
}

/// B4: who signs is known by its name, and what must be new is said.
#[test]
fn who_signs_is_known() {
    let config = config(ours(), true, false);
    for scheme in [Scheme::Headers, Scheme::Messages] {
        let (principal, used) = judged(&config, &signed(scheme, "desk-1", SECRET, NOW_S), BODY).unwrap();
        assert_eq!((&**principal.id(), principal.method(), principal.signs()), ("client:desk", "signature", true));
        assert_eq!(used.unwrap().timestamp, NOW_S);
    }
}

/// B4, E9: each fault has a reason of its own in the record, and to the caller all are one.
#[test]
fn faults_differ_in_the_record_alone() {
    let strict = config(ours(), true, false);
    let good = signed(Scheme::Headers, "desk-1", SECRET, NOW_S);
    let mut malformed = good.clone();
    malformed.remove("x-nonce");
    let cases = [
        (malformed, BODY, Reason::SignatureMalformed),
        (signed(Scheme::Compat, "desk-1", SECRET, NOW_S), BODY, Reason::SignatureScheme),
        (signed(Scheme::Headers, "nobody", SECRET, NOW_S), BODY, Reason::SignatureKeyUnknown),
        (signed(Scheme::Headers, "desk-1", SECRET, NOW_S - 301), BODY, Reason::SignatureTooOld),
        (signed(Scheme::Headers, "desk-1", SECRET, NOW_S + 31), BODY, Reason::SignatureTooEarly),
        (signed(Scheme::Headers, "desk-1", OTHER, NOW_S), BODY, Reason::SignatureWrong),
        (good, b"{ }", Reason::SignatureWrong),
    ];
    let replayed = first(&Ok(Seen::Again)).unwrap_err();
    let heard = |refusal: &Refusal| {
        let row = refusal.reason().row();
        let http = (row.http.modern, row.http.legacy, row.http.rest);
        let challenge = refusal.challenge_value().map(str::to_owned);
        (refusal.words().to_owned(), row.code, row.json_rpc, http, challenge, refusal.pointer().map(str::to_owned))
    };
    for (headers, body, expected) in cases {
        let refusal = judged(&strict, &headers, body).unwrap_err();
        assert_eq!(refusal.reason(), expected);
        assert_eq!(heard(&refusal), heard(&replayed), "{expected:?}");
    }
    assert!(judged(&config(ours(), true, true), &signed(Scheme::Compat, "desk-1", SECRET, NOW_S), BODY).is_ok());
}

/// B4, P-A22, P-A21: where signatures are demanded a key does not do, and a key beside a signature never does.
#[test]
fn there_is_no_way_around() {
    let key = || (http::HeaderName::from_static("x-api-key"), HeaderValue::from_static("k"));
    let keyed = HeaderMap::from_iter([key()]);
    assert_eq!(reason(&config(ours(), true, false), &keyed, BODY), Reason::SignatureMissing);
    assert_eq!(&**judged(&config(ours(), false, false), &keyed, BODY).unwrap().0.id(), "key:ci");
    let mut both = signed(Scheme::Headers, "desk-1", SECRET, NOW_S);
    both.extend([key()]);
    assert_eq!(reason(&config(ours(), false, false), &both, BODY), Reason::CredentialMalformed);
    let mut wrong = signed(Scheme::Headers, "desk-1", OTHER, NOW_S);
    wrong.extend([key()]);
    let refused = reason(&config(ours(), false, false), &wrong, BODY);
    assert_eq!(refused, Reason::CredentialMalformed, "it is not tried with the key");
}

/// B4, B9: a stream goes on while its client has the secret that it was signed with, and not longer.
#[test]
fn a_withdrawn_secret_ends_streams() {
    let headers = signed(Scheme::Headers, "desk-1", SECRET, NOW_S);
    let (caller, _) = judged(&config(ours(), true, false), &headers, BODY).unwrap();
    let now = Moment { monotonic_ms: 0, unix_ms: 0 };
    let again = |first: &[u8], second: Option<&[u8]>| {
        let secrets = Secrets::new(first, second).unwrap();
        authenticate::again(&config(secrets, true, false), &caller, now).is_ok()
    };
    assert!(again(SECRET, None) && again(OTHER, Some(SECRET)));
    assert!(!again(OTHER, None));
}

/// B4, P-B14: a store that cannot tell is a 503, not a way in.
#[test]
fn a_store_that_is_down_lets_nobody_in() {
    assert!(first(&Ok(Seen::First)).is_ok());
    for unknown in [Ok(Seen::Forgotten), Err(Down("gone"))] {
        assert_eq!(first(&unknown).unwrap_err().reason(), Reason::StoreUnavailable);
    }
}
