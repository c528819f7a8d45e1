//! Properties of signatures: one canonical form is one request, and only what was signed holds.

#![expect(clippy::unwrap_used, reason = "a test ends at the first thing that is not there")]

use http::{HeaderMap, HeaderName, HeaderValue};
use palisade_guard::digest::sha256;
use palisade_guard::sign::{Occasion, Request, Scheme, Secrets, Signer, fields, headers, statement};
use proptest::prelude::*;

/// What two requests can differ in.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    method: String,
    authority: String,
    target: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Asked {
    fn headers(&self) -> HeaderMap {
        self.headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    fn request<'r>(&'r self, headers: &'r HeaderMap) -> Request<'r> {
        Request { method: &self.method, authority: &self.authority, target: &self.target, headers }
    }

    fn canonical(&self) -> Vec<u8> {
        let headers = self.headers();
        headers::whole(&headers::base(&self.request(&headers)).unwrap(), &sha256(&self.body))
    }
}

const NAMES: [&str; 8] =
    ["content-type", "idempotency-key", "x-nonce", "x-key-id", "last-event-id", "mcp-a", "mcp-ab", "mcp-session-id"];

/// Few letters, and those that separate in other forms: what collides at all collides soon.
fn asked() -> impl Strategy<Value = Asked> {
    let headers = prop::sample::subsequence(NAMES.to_vec(), 0..=4)
        .prop_flat_map(|names| (Just(names.clone()), prop::collection::vec("[a|:-]{1,4}", names.len())));
    ("[AB|]{1,3}", "[ab.:|]{1,4}", "/[a|?:]{0,4}", headers, prop::collection::vec(any::<u8>(), 0..3)).prop_map(
        |(method, authority, target, (names, values), body)| Asked {
            method,
            authority,
            target,
            headers: names.into_iter().zip(values).collect(),
            body,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// B4, P-B3: two requests have one canonical form only if they are the same.
    #[test]
    fn the_canonical_form_is_injective(one in asked(), other in asked()) {
        prop_assert_eq!(one.canonical() == other.canonical(), one == other);
    }

    /// B4, P-B3: no byte moves from one field to its neighbour unseen.
    #[test]
    fn fields_do_not_flow_into_one_another(one in asked(), at in 0_usize..4) {
        let mut other = one.clone();
        let cut = at.min(other.target.len().saturating_sub(1)) + 1;
        let moved = other.target.split_off(cut);
        other.authority.push_str(&moved);
        prop_assert_eq!(one.canonical() == other.canonical(), moved.is_empty());
    }

    /// B4: what a client signs holds, in each scheme that covers it, and with one byte of the body changed it does not.
    #[test]
    fn what_is_signed_holds(one in asked(), at in any::<usize>()) {
        let secret = [7; 32];
        let mut signed = one.headers();
        for name in ["x-nonce", "x-key-id"] {
            signed.remove(name);
        }
        for scheme in [Scheme::Headers, Scheme::Messages] {
            let signer = Signer::new(scheme, "k", &secret).unwrap();
            let occasion = Occasion { now_s: 1_785_231_000, nonce: "0123456789abcdef" };
            let added = signer.sign(&one.request(&signed), &one.body, occasion).unwrap();
            let mut headers = signed.clone();
            headers.extend(added);
            let statement = statement(&one.request(&headers)).unwrap().unwrap();
            let secrets = Secrets::new(&secret, None).unwrap();
            prop_assert!(statement.holds(&secrets, &one.body).is_ok_and(|secret| secrets.has(&secret)));
            let mut body = one.body.clone();
            body.push(0);
            let at = at % body.len();
            body[at] ^= 1;
            prop_assert!(statement.holds(&secrets, &body).is_err());
        }
    }

    /// B4: no text makes the reader of dictionaries stumble, and what it reads it reads inside the text.
    #[test]
    fn any_text_is_read_or_refused(text in "[ -~\t]{0,40}|[a-c=(); :\"?,]{0,24}") {
        for member in fields::dictionary(&text).unwrap_or_default() {
            prop_assert!(text.contains(member.raw) && text.contains(&member.key));
        }
    }
}
