//! Keys: a known one and an unknown one among ten thousand.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use palisade_guard::authenticate::{Config, Key, Keys, Principal, caller};
use palisade_guard::identify::IpLists;
use palisade_guard::refusal::Refusal;

/// All keys, and the headers of a call.
pub(crate) struct Input {
    config: Config,
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
pub(crate) fn find(input: &Input) -> Result<Principal, Refusal> {
    caller(&input.config, &input.headers)
}

fn input(credential: &'static str) -> Input {
    let key = |number: u32| Key {
        id: format!("key:{number}").into(),
        digest: Keys::digest(format!("bench-key-{number:05}").as_bytes()),
        servers: None,
        lists: IpLists::default(),
        limit: None,
    };
    let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(credential))]);
    Input { config: Config::Keys(Keys::new((0..10_000).map(key))), headers }
}
