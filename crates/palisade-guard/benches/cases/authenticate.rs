//! Keys: a known one and an unknown one among ten thousand.

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method, Uri};
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

/// The caller behind the headers.
pub(crate) fn find(input: &Input) -> Result<Verdict, Refusal> {
    let Input { config, method, uri, headers } = input;
    caller(config, &Presented { method, uri, headers, secure: false, now: Moment { monotonic_ms: 0, unix_ms: 0 } })
}

fn input(credential: &'static str) -> Input {
    let key = |number: u32| Key {
        id: format!("key:{number}").into(),
        digest: Keys::digest(format!("bench-key-{number:05}").as_bytes()),
        grant: Arc::default(),
    };
    let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(credential))]);
    let keys = Keys::new((0..10_000).map(key));
    let config = Config::Credentials(Methods { keys, ..Methods::default() });
    Input { config, method: Method::POST, uri: Uri::from_static("/mcp"), headers }
}
