//! Keys, static and managed: a known one and an unknown one among ten thousand.

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method, Uri};
use palisade_guard::authenticate::key_text::{self, PublicId};
use palisade_guard::authenticate::managed_key::{ManagedKey, ManagedKeys, Usage};
use palisade_guard::authenticate::{Config, Key, Keys, Methods, Presented, Verdict, caller};
use palisade_guard::clock::Moment;
use palisade_guard::refusal::Refusal;

/// All keys, and the headers of a call.
pub(crate) struct Input {
    config: Config,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

/// A key in the middle.
pub(crate) fn known() -> Input {
    let input = input("Bearer bench-key-05000");
    assert!(find(&input).is_ok());
    input
}

/// A key that nobody has.
pub(crate) fn unknown() -> Input {
    let input = input("Bearer bench-key-99999");
    assert!(find(&input).is_err());
    input
}

/// A managed key among so many.
pub(crate) fn managed(keys: u32) -> Input {
    let input = managed_among(keys, keys / 2);
    assert!(find(&input).is_ok());
    input
}

/// A managed key that is none of so many.
pub(crate) fn managed_unknown(keys: u32) -> Input {
    let input = managed_among(keys, keys + 1);
    assert!(find(&input).is_err());
    input
}

/// The caller behind the headers.
pub(crate) fn find(input: &Input) -> Result<Verdict, Refusal> {
    let Input { config, method, uri, headers } = input;
    let now = Moment { monotonic_ms: 0, unix_ms: 0 };
    caller(config, &Presented { method, uri, headers, secure: false, certificate: None, now })
}

fn input(credential: &'static str) -> Input {
    let key = |number: u32| Key {
        id: format!("key:{number}").into(),
        digest: Keys::digest(format!("bench-key-{number:05}").as_bytes()),
        grant: Arc::default(),
    };
    let keys = Keys::new((0..10_000).map(key));
    presented(Methods { keys, ..Methods::default() }, HeaderValue::from_static(credential))
}

#[expect(clippy::expect_used, reason = "a benchmark that cannot be set up ends")]
fn managed_among(keys: u32, number: u32) -> Input {
    let text = |number: u32| {
        // Spread as random ids are.
        let id = format!("{:012x}", u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16);
        let id = PublicId::read(id.as_bytes()).expect("an id");
        (id, key_text::write("mcp_", id, &format!("{number:032}")))
    };
    let managed = ManagedKeys::new(b"a pepper", None);
    let table = (0..keys).map(|number| {
        let (id, text) = text(number);
        let key = ManagedKey {
            principal: format!("managed:{}", id.as_str()).into(),
            grant: Arc::default(),
            digest: managed.digest(text.as_bytes()),
            older: None,
            expires_ms: Some(u64::MAX),
            usage: Arc::new(Usage::default()),
        };
        (id, Arc::new(key))
    });
    managed.replace(table.collect());
    let bearer = HeaderValue::from_str(&format!("Bearer {}", text(number).1)).expect("a header");
    presented(Methods { managed: Some(Arc::new(managed)), ..Methods::default() }, bearer)
}

fn presented(methods: Methods, credential: HeaderValue) -> Input {
    let headers = HeaderMap::from_iter([(AUTHORIZATION, credential)]);
    Input { config: Config::Credentials(methods), method: Method::POST, uri: Uri::from_static("/mcp"), headers }
}
