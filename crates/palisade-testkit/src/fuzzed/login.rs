//! What strangers say while somebody logs in: a challenge, metadata, an answer in the browser, tokens, a registration. Each
//! reader gets the same input.

use palisade_guard::login::{
    Answer, Expected, Trust, answer, challenge, client_id, granted, issuer, place, problem, resource, same_origin,
};

const ISSUER: &str = "https://login.example";
const SERVER: &str = "https://mcp.example/mcp";
const STATE: &str = "state-of-ours";

/// Panics where something does not hold.
pub fn hold(input: &[u8]) {
    if let Ok(resource) = resource(input, SERVER) {
        assert!(resource.scopes.iter().all(|scope| is_word(scope)) && resource.scopes.len() <= 64);
    }
    documents(input);
    let word = problem(input);
    assert!(word.len() <= 64 && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-. ".contains(&byte)));
    let Ok(text) = std::str::from_utf8(input) else { return };
    let challenge = challenge(text);
    assert!(challenge.scopes.len() <= 64 && challenge.scopes.iter().all(|scope| is_word(scope)));
    assert!(challenge.metadata.is_none_or(|url| url.len() < text.len()));
    if let Ok(url) = place(text, false) {
        assert!(url.scheme_str() == Some("https") && url.host().is_some_and(|host| !host.is_empty()), "{text}");
        assert!(!text.contains(|ch: char| ch.is_whitespace() || "\"'`$;|<>(){}\\^!".contains(ch)), "{text}");
    }
    browser(text);
}

/// An issuer speaks for its own host; what is granted can stand in a header.
fn documents(input: &[u8]) {
    let own = place(ISSUER, false).unwrap();
    let named = issuer(input, ISSUER, Trust { named: true, plain: false });
    if let Ok(found) = issuer(input, ISSUER, Trust { named: false, plain: false }) {
        let places = [Some(&found.authorization), Some(&found.token), found.registration.as_ref()];
        assert!(places.into_iter().flatten().all(|url| same_origin(url, &own)), "{found:?}");
        assert!(named.is_ok(), "who is trusted more may say no less");
    }
    if let Ok(found) = named {
        let places = [Some(&found.authorization), Some(&found.token), found.registration.as_ref()];
        assert!(places.into_iter().flatten().all(|url| url.scheme_str() == Some("https")), "{found:?}");
    }
    if let Ok(found) = granted(input) {
        assert!(is_visible(&found.access) && found.refresh.is_none_or(|refresh| is_visible(&refresh)));
    }
    assert!(client_id(input).is_ok_and(|name| is_visible(&name)) || client_id(input).is_err());
}

/// A code counts for the one who asked, from the one who was asked.
fn browser(query: &str) {
    let expected = Expected { state: STATE, issuer: ISSUER, says_who: true };
    let said = answer(query, expected);
    if said == Answer::Stranger {
        return;
    }
    assert_eq!(answer(query, Expected { state: "another", ..expected }), Answer::Stranger);
    if let Answer::Code(code) = &said {
        assert!(!code.is_empty() && code.len() <= query.len());
        assert_eq!(answer(query, Expected { issuer: "https://evil.example", ..expected }), Answer::Mixed);
        assert_eq!(answer(query, Expected { says_who: false, ..expected }), said);
    }
}

fn is_word(text: &str) -> bool {
    is_visible(text) && !text.contains(['"', '\\'])
}

fn is_visible(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}
