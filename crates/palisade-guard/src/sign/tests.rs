//! Both sides together: what is signed holds, and nothing else does.

use super::{Fault, IDEMPOTENCY_KEY, Occasion, Request, Scheme, Secrets, Signer, Unfit, X_SIGNATURE, statement};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};

const SECRET: &[u8] = b"0123456789abcdef0123456789ABCDEF";
const OTHER: &[u8] = b"another secret of thirty-two byte";
const NOW: u64 = 1_785_231_000;
const BODY: &[u8] = br#"{"jsonrpc":"2.0"}"#;
const SCHEMES: [Scheme; 3] = [Scheme::Headers, Scheme::Messages, Scheme::Compat];

fn plain() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(&IDEMPOTENCY_KEY, HeaderValue::from_static("order-17"));
    headers.insert("mcp-method", HeaderValue::from_static("tools/call"));
    headers.insert("mcp-name", HeaderValue::from_static("buy"));
    headers
}

fn signed(scheme: Scheme) -> HeaderMap {
    let mut headers = plain();
    let signer = Signer::new(scheme, "partner", SECRET).unwrap();
    let occasion = Occasion { now_s: NOW, nonce: "nonce-0123456789" };
    let added = signer.sign(&request(&headers), BODY, occasion).unwrap();
    headers.extend(added);
    headers
}

fn request(headers: &HeaderMap) -> Request<'_> {
    Request { method: "POST", authority: "mcp.example.com", target: "/mcp/desk", headers }
}

fn judge(request: &Request<'_>, body: &[u8]) -> Result<(), Fault> {
    let statement = statement(request)?.expect("signed");
    statement.timely(NOW)?;
    statement.holds(&Secrets::new(SECRET, None).unwrap(), body).map(drop)
}

/// B4, P-B2, P-B10: what was signed holds; with any covered part changed, each in turn, it does not.
#[test]
fn any_change_is_noticed() {
    for scheme in SCHEMES {
        let headers = signed(scheme);
        assert_eq!(judge(&request(&headers), BODY), Ok(()), "{scheme:?}");
        let other = |request: Request<'_>, body: &[u8], what: &str| {
            assert!(judge(&request, body).is_err(), "{scheme:?}: {what} was changed");
        };
        other(Request { method: "PUT", ..request(&headers) }, BODY, "method");
        other(Request { target: "/mcp%2Fdesk", ..request(&headers) }, BODY, "path");
        other(Request { target: "/mcp/desk?a=1", ..request(&headers) }, BODY, "query");
        other(request(&headers), b"{}", "body");
        other(request(&headers), b"", "body taken away");
        if scheme == Scheme::Compat {
            continue;
        }
        other(Request { authority: "other.example.com", ..request(&headers) }, BODY, "authority");
        for name in headers.keys().filter(|name| **name != X_SIGNATURE) {
            let mut changed = headers.clone();
            let value = changed.get(name).unwrap().to_str().unwrap().to_owned();
            let last = if value.ends_with('1') { "2" } else { "1" };
            let value = format!("{}{last}", &value[..value.len() - 1]);
            changed.insert(name.clone(), HeaderValue::from_str(&value).unwrap());
            other(request(&changed), BODY, name.as_str());
            changed.remove(name);
            let gone = judge(&request(&changed), BODY);
            assert!(gone.is_err(), "{scheme:?}: without {name}");
        }
        for added in ["mcp-param-amount", "mcp-session-id", "last-event-id"] {
            let mut changed = headers.clone();
            changed.insert(added, HeaderValue::from_static("1"));
            other(request(&changed), BODY, added);
        }
    }
}

/// B4, P-B11: either of two secrets signs, no third one does, and short ones are none.
#[test]
fn two_secrets_live() {
    for scheme in SCHEMES {
        let headers = signed(scheme);
        let statement = statement(&request(&headers)).unwrap().unwrap();
        let holds = |first, second| statement.holds(&Secrets::new(first, second).unwrap(), BODY).map(drop);
        assert_eq!(holds(SECRET, Some(OTHER)), Ok(()));
        assert_eq!(holds(OTHER, Some(SECRET)), Ok(()));
        assert_eq!(holds(OTHER, None), Err(Fault::Wrong));
    }
    assert!(Secrets::new(b"", None).is_err() && Secrets::new(&SECRET[1..], None).is_err());
    assert!(Secrets::new(SECRET, Some(b"")).is_err());
    assert_eq!(Signer::new(Scheme::Headers, "a b", SECRET).unwrap_err(), Unfit::KeyId);
}

/// B4, P-B6: 300 seconds back and 30 ahead, and not one more.
#[test]
fn time_has_two_ends() {
    for scheme in SCHEMES {
        let headers = signed(scheme);
        let statement = statement(&request(&headers)).unwrap().unwrap();
        assert_eq!(statement.timely(NOW + 300), Ok(()));
        assert_eq!(statement.timely(NOW + 301), Err(Fault::TooOld));
        assert_eq!(statement.timely(NOW - 30), Ok(()));
        assert_eq!(statement.timely(NOW - 31), Err(Fault::TooEarly));
    }
}

/// B4, P-B5, P-A2: a time, a nonce and a signature have one form, and bytes that are not ASCII have none.
#[test]
fn every_part_has_one_form() {
    let with = |name: &'static str, value: &[u8]| {
        let mut headers = signed(Scheme::Headers);
        headers.insert(name, HeaderValue::from_bytes(value).unwrap());
        statement(&request(&headers)).map(|_| ())
    };
    for time in ["+178523100", " 1785231000", "1_78523100", "17852310000", "178523100", "", "١٧٨٥٢٣١٠٠٠"] {
        assert!(matches!(with("x-timestamp", time.as_bytes()), Err(Fault::Malformed(_))), "{time}");
    }
    for nonce in ["fifteen-charact", "with blank 123456", "ünicode-0123456789", &"n".repeat(129)] {
        assert!(matches!(with("x-nonce", nonce.as_bytes()), Err(Fault::Malformed(_))), "{nonce}");
    }
    let good = signed(Scheme::Headers).get(&X_SIGNATURE).unwrap().to_str().unwrap().to_owned();
    assert_eq!(with("x-signature", good.as_bytes()), Ok(()));
    for text in [good.to_uppercase(), good.replace("v1=", "V1="), good.replace("v1=", "v2="), format!("{good}=")] {
        assert!(matches!(with("x-signature", text.as_bytes()), Err(Fault::Malformed(_))), "P-B15: {text}");
    }
    assert!(matches!(with("x-signature", b"v1=\xff\xfe"), Err(Fault::Malformed(_))));
    assert!(matches!(with("x-api-version", b"2"), Err(Fault::Malformed(_))));
}

/// B4, P-B15: a signature in RFC 9421 has one base64 text.
#[test]
fn base64_has_one_text() {
    let headers = signed(Scheme::Messages);
    let text = headers.get("signature").unwrap().to_str().unwrap().to_owned();
    let unpadded = text.replace("=:", ":").replacen("palisade:", "palisade=:", 1);
    let (head, last) = text.split_at(text.len() - 3);
    let bits = format!("{head}{}", last.replace(last.chars().next().unwrap(), "B"));
    for other in [unpadded, text.replace(':', ""), format!("{text}, b=:AA==:"), bits] {
        let mut headers = headers.clone();
        headers.insert("signature", HeaderValue::from_str(&other).unwrap());
        assert!(judge(&request(&headers), BODY).is_err(), "{other}");
    }
}

/// B4, P-B3: the old scheme cannot be read in two ways, and never covers a query.
#[test]
fn the_old_scheme_has_one_reading() {
    let signer = Signer::new(Scheme::Compat, "default", SECRET).unwrap();
    let occasion = Occasion { now_s: NOW, nonce: "nonce-0123456789" };
    let headers = HeaderMap::new();
    for target in ["/a|1785231000|x", "/a?b"] {
        let request = Request { target, ..request(&headers) };
        assert!(matches!(signer.sign(&request, b"Y", occasion), Err(Unfit::Request(_))), "{target}");
    }
    let added = signer.sign(&Request { target: "/a", ..request(&headers) }, b"x|1785231000|Y", occasion).unwrap();
    assert!(!added.contains_key("x-key-id"), "the old clients send none");
    let moved = Request { target: "/a|1785231000|x", ..request(&added) };
    assert!(judge(&moved, b"Y").is_err());
}

/// B4: a nonce counts once for its key, whatever the scheme; without one the signature counts itself.
#[test]
fn what_counts_once() {
    let once = |headers: &HeaderMap| statement(&request(headers)).unwrap().unwrap().once();
    assert_eq!(once(&signed(Scheme::Headers)), once(&signed(Scheme::Messages)));
    assert_ne!(once(&signed(Scheme::Headers)), once(&signed(Scheme::Compat)));
    let mut both = signed(Scheme::Headers);
    both.extend(signed(Scheme::Messages));
    assert!(matches!(statement(&request(&both)), Err(Fault::Malformed(_))));
    assert!(matches!(statement(&request(&plain())), Ok(None)));
}
