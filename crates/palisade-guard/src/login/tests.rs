//! Everything that a hostile server, authorization server or stranger can say.

use http::Uri;

use super::{
    Answer, Attempt, Challenge, Expected, Trust, Wrong, answer, challenge, client_id, encoded, granted, issuer,
    issuer_places, place, problem, resource, resource_places, same_origin,
};

fn scopes(challenge: &Challenge) -> Vec<&str> {
    challenge.scopes.iter().map(String::as_str).collect()
}

/// B6: the challenge for a bearer is found among others, however it is written.
#[test]
fn challenges_are_read() {
    let read = challenge(r#"Basic realm="a, b", Bearer resource_metadata="https://h/about", scope="b a" , error=x"#);
    assert_eq!((read.metadata.as_deref(), read.error.as_deref()), (Some("https://h/about"), Some("x")));
    assert_eq!(scopes(&read), ["a", "b"]);
    assert_eq!(scopes(&challenge(r#"Negotiate abc==, bearer SCOPE = "a\b c", DPoP scope="other""#)), ["ab", "c"]);
    for none in [
        "",
        "Basic realm=\"x\"",
        "Bearer",
        "Bearer scope=\"a",
        "Bearer scope=\"a\", scope=\"b\"",
        "Bearer resource_metadata=\"x\", resource_metadata=\"y\"",
        "Bearer scope=\"a\\\\b\"",
        "DPoP scope=\"a\"",
        "=,=,=",
    ] {
        assert_eq!(challenge(none), Challenge::default(), "{none}");
    }
}

/// B6: an address of somebody else's is `https`, or on this machine where the server is, and text in every shell.
#[test]
fn addresses_are_plain() {
    for good in [
        "https://h/a?b=c&d=%20e",
        "https://[::1]:8443/x",
        "https://h:8443",
        "http://127.0.0.1:1/x",
        "http://localhost/",
    ] {
        assert!(place(good, true).is_ok(), "{good}");
    }
    for bad in [
        "http://h/",
        "http://127.0.0.1.evil.example/",
        "http://localhost.evil.example/",
        "ftp://h/",
        "file:///x",
        "javascript:alert(1)",
        "https://user@h/",
        "https://h/#x",
        "https://h/`id`",
        "https://h/$(id)",
        "https://h/a;b",
        "https://h/a|b",
        "https://h/a b",
        "https://h/\"",
        "https://h/'",
        "https://h/\\",
        "https://h/\n",
        "https://h/é",
        "//h/x",
        "/x",
        "-x",
        "",
    ] {
        assert!(place(bad, true).is_err(), "{bad}");
    }
    assert!(place("http://127.0.0.1/", false).is_err(), "not where the server itself is https");
    assert!(place(&format!("https://h/{}", "x".repeat(2048)), true).is_err());
    let origin = |one: &str, other: &str| same_origin(&one.parse::<Uri>().unwrap(), &other.parse::<Uri>().unwrap());
    assert!(origin("https://H/a", "https://h:443/b"));
    assert!(
        !origin("https://h/", "http://h/")
            && !origin("https://h/", "https://h:8443/")
            && !origin("https://h/", "https://i/")
    );
}

/// B6: metadata is looked for where MCP's clients look for it, in their order.
#[test]
fn metadata_has_its_places() {
    let well_known = "https://h/.well-known";
    assert_eq!(
        issuer_places("https://h/tenant/"),
        [
            format!("{well_known}/oauth-authorization-server/tenant"),
            format!("{well_known}/openid-configuration/tenant"),
            "https://h/tenant/.well-known/openid-configuration".to_owned(),
        ]
    );
    assert_eq!(issuer_places("https://h").len(), 2);
    let places = |url: &str| resource_places(&url.parse::<Uri>().unwrap());
    let root = format!("{well_known}/oauth-protected-resource");
    assert_eq!(places("https://h/mcp/files?x=1"), [format!("{root}/mcp/files"), root.clone()]);
    assert_eq!(places("https://h"), [root]);
}

const ISSUER: &str = r#"{"issuer":"https://login","authorization_endpoint":"https://login/a","token_endpoint":"https://login/t",
    "code_challenge_methods_supported":["plain","S256"],"scopes_supported":["offline_access"]}"#;

/// B6: a server speaks for its own address alone, an authorization server for itself alone and its own host.
#[test]
fn metadata_speaks_for_itself_alone() {
    let about =
        |url: &str| resource(br#"{"resource":"https://H:443/mcp/","authorization_servers":["https://login"]}"#, url);
    assert_eq!(about("https://h/mcp").unwrap().issuers, ["https://login"]);
    for other in ["https://h/mcp/files", "https://h", "http://h/mcp", "https://h.evil/mcp"] {
        assert!(about(other).is_err(), "{other}");
    }
    let read = |from: &str, to: &str, named: bool| {
        let text = ISSUER.replace(from, to);
        issuer(text.as_bytes(), "https://login", Trust { named, plain: false })
    };
    let good = read("", "", false).unwrap();
    assert!(good.offline && !good.says_who && good.registration.is_none());
    let elsewhere = (r#""https://login/t""#, r#""https://tokens.example/t""#);
    assert!(read(elsewhere.0, elsewhere.1, false).is_err() && read(elsewhere.0, elsewhere.1, true).is_ok());
    for (from, to) in [
        (r#""https://login","#, r#""https://login/","#),
        (r#","S256""#, ""),
        ("https://login/a", "http://login/a"),
        (r#""https://login/a""#, "7"),
        ("token_endpoint", "tokens"),
        ("{", r#"{"issuer":"https://login","#),
    ] {
        assert!(read(from, to, true).is_err(), "{from}");
    }
}

/// B6: what is said to an authorization server: PKCE as RFC 7636 (appendix B) has it, and all fields encoded.
#[test]
fn a_login_says_what_it_must() {
    let attempt = Attempt {
        client_id: "a b",
        redirect: "http://127.0.0.1:1/callback",
        resource: "https://h/mcp",
        scope: "x offline_access",
        state: "s",
        verifier: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    };
    let issuer = issuer(
        ISSUER.replace("https://login/a", "https://login/a?tenant=1").as_bytes(),
        "https://login",
        Trust { named: false, plain: false },
    );
    let address = attempt.address(&issuer.unwrap());
    assert!(address.starts_with("https://login/a?tenant=1&response_type=code&client_id=a%20b&"), "{address}");
    for field in [
        "code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "redirect_uri=http%3A%2F%2F127.0.0.1%3A1%2Fcallback",
        "resource=https%3A%2F%2Fh%2Fmcp",
        "scope=x%20offline_access",
        "prompt=consent",
        "state=s",
    ] {
        assert!(address.split('&').any(|given| given == field), "{field}: {address}");
    }
    assert!(place(&address, false).is_ok(), "what goes to a browser is text in every shell");
    assert!(attempt.redemption("c&d").contains("code=c%26d&"));
    assert_eq!(encoded("ü/".as_bytes()), "%C3%BC%2F");
}

/// B6: an answer counts only with the login's own state and the issuer that was asked, each there once.
#[test]
fn answers_are_judged() {
    let asked = |says_who: bool| Expected { state: "st-1", issuer: "https://login", says_who };
    let code = |text: &str| Answer::Code(text.to_owned().into());
    for (query, expected) in [
        ("state=st-1&code=a%2Bb", code("a+b")),
        ("code=a+b&state=st-1&iss=https%3A%2F%2Flogin", code("a b")),
        ("state=st-1&code=a&iss=https%3A%2F%2Flogin%2F", Answer::Mixed),
        ("state=st-1&code=a&iss=https://login&iss=https://login", Answer::Mixed),
        ("state=st-1&code=a&iss=", Answer::Mixed),
        ("state=st-1&error=access_denied%1B%5B2J", Answer::Refused("access_denied2J".to_owned())),
        ("state=st-1&error=x&code=a", Answer::Refused("x".to_owned())),
        ("state=st-1&code=a&code=b", Answer::Refused("no_code".to_owned())),
        ("state=st-1", Answer::Refused("no_code".to_owned())),
        ("state=st-1&state=st-1&code=a", Answer::Stranger),
        ("state=st-2&code=a", Answer::Stranger),
        ("state=st&code=a", Answer::Stranger),
        ("code=a", Answer::Stranger),
        ("state=st-1&code=%zz", Answer::Stranger),
        ("state=st-1&code=%FF", Answer::Stranger),
        ("", Answer::Stranger),
    ] {
        assert_eq!(answer(query, asked(false)), expected, "{query}");
    }
    assert_eq!(answer("state=st-1&code=a", asked(true)), Answer::Mixed, "it said that it would name itself");
    assert_eq!(answer("state=st-1&error=x", asked(true)), Answer::Mixed);
    assert_eq!(answer(&format!("state=st-1&code={}", "a".repeat(8192)), asked(false)), Answer::Stranger);
}

/// B6: tokens and names are used where they can stand in a header and a form; words of strangers are cleansed.
#[test]
fn what_is_given_is_judged() {
    let token = |text: &str| granted(text.as_bytes()).map(|granted| (granted.access.to_string(), granted.seconds));
    let good = r#"{"access_token":"a.b","token_type":"bearer","expires_in":60}"#;
    assert_eq!(token(good).unwrap(), ("a.b".to_owned(), Some(60)));
    assert_eq!(token(&good.replace("60", "-1")).unwrap().1, None);
    for bad in ["a b", "a\\r\\nX: 1", "", "é", &"a".repeat(16 * 1024 + 1)] {
        assert!(token(&good.replace("a.b", bad)).is_err(), "{bad}");
    }
    assert!(token(&good.replace("bearer", "DPoP")).is_err() && token("[]").is_err());
    assert_eq!(client_id(br#"{"client_id":"x","token_endpoint_auth_method":"none"}"#), Ok("x".to_owned()));
    assert_eq!(client_id(br#"{"client_id":"x"}"#), Ok("x".to_owned()));
    let secret = client_id(br#"{"client_id":"x","token_endpoint_auth_method":"client_secret_post"}"#);
    assert!(matches!(secret, Err(Wrong(words)) if words.contains("--client-id")));
    assert_eq!(problem(br#"{"error":"invalid\u001b_grant"}"#), "invalid_grant");
    assert_eq!(problem(b"<html>"), "no reason given");
}
