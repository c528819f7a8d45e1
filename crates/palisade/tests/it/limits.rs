//! Rate limits as callers see them.

use palisade_guard::sign::Scheme;

use crate::edge::config;
use crate::gate::{Answer, Gate};
use crate::signed::{Draft, SECRET, now_s};
use crate::upstream::Upstream;

const PING: &[u8] = br#"{"jsonrpc":"2.0","id":"p1","method":"ping"}"#;

/// D1: a caller's limit holds exactly, and the refusal says everything a client needs.
#[test]
fn a_caller_has_its_limit() {
    let upstream = Upstream::echo();
    let gate = Gate::configured(&config(&upstream.url(), "[limits]\nper_caller_per_minute = 5\n"));
    for left in (0..5).rev() {
        let answer = gate.post(&[], PING);
        assert_eq!((answer.status, answer.header("x-ratelimit-remaining")), (200, Some(left.to_string().as_str())));
    }
    let answer = gate.post(&[], PING);
    assert_eq!((answer.status, answer.code().as_str()), (429, "MCP-006"));
    assert_eq!((answer.json()["id"].as_str(), answer.json()["error"]["code"].as_i64()), (Some("p1"), Some(1006)));
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert_eq!((answer.header("x-ratelimit-limit"), answer.header("x-ratelimit-remaining")), (Some("5"), Some("0")));
    for name in ["x-ratelimit-reset", "ratelimit", "ratelimit-policy"] {
        assert!(answer.header(name).is_some(), "{name}");
    }
    assert_eq!(upstream.requests().len(), 5);
}

/// D1: failed calls use up the address's window; calls that authenticate neither use it nor suffer from it.
#[test]
fn guessing_costs_the_guesser_alone() {
    let upstream = Upstream::echo();
    let gate = Gate::configured(&config(&upstream.url(), "[limits]\nper_address_per_minute = 4\n"));
    let guess = || gate.post(&[("Authorization", "Bearer wrong-key-0123456789-0123456789-0123456789")], PING);
    for _ in 0..6 {
        assert_eq!(gate.post(&[], PING).status, 200);
    }
    for _ in 0..4 {
        assert_eq!(guess().status, 401);
    }
    let refused = guess();
    assert_eq!((refused.status, refused.code().as_str()), (429, "MCP-006"));
    assert!(refused.header("retry-after").is_some());
    assert_eq!(gate.post(&[], PING).status, 200, "who is known behind the same address goes on");
    for _ in 0..8 {
        assert_eq!(gate.raw(&gate.request("GET", "/health", &[("Authorization", "")], b"")).status, 200);
        assert_eq!(gate.raw(&gate.request("GET", "/", &[("Authorization", "")], b"")).status, 200);
    }
    for header in ["X-API-Key", "X-Forwarded-For", "X-Client-Id"] {
        assert_eq!(
            gate.post(&[("Authorization", ""), (header, "10.1.2.3")], PING).status,
            429,
            "{header} made a window"
        );
    }
}

/// D1, P-H3: strangers meet a ceiling, whatever they call and whatever they show; who is known behind the same address is
/// served all the while, and takes none of the strangers' places.
#[test]
fn a_flood_meets_the_ceiling_and_the_owner_does_not() {
    let upstream = Upstream::echo();
    let client = format!("[[auth.clients]]\nname = \"desk\"\nkey_id = \"desk-1\"\nsecrets = [\"{SECRET}\"]\n");
    let limits = "[limits]\naddress_ceiling_per_minute = 50\nper_address_per_minute = 20\npenalty = \"off\"\n";
    let gate = Gate::configured(&config(&upstream.url(), &format!("{limits}{client}")));
    let scope = |answer: &Answer| answer.json()["error"]["data"]["details"]["scope"].as_str().map(str::to_owned);
    let page = || gate.raw(&gate.request("GET", "/", &[("Authorization", "")], b""));
    let owner = |turn: &str| {
        assert_eq!(gate.post(&[], PING).status, 200, "{turn}");
        assert_eq!(Draft::call(turn).signed(&gate).send(&gate).status, 200, "{turn}");
    };
    for turn in 0..60 {
        owner(&format!("before {turn}"));
    }
    assert_eq!(page().status, 200, "the owner's calls take no place of a newcomer's");
    let wrong = Draft::call("wrong").signed_so(&gate, Scheme::Headers, "desk-1", &SECRET.replace('k', "l"), now_s());
    let guesses: [&dyn Fn() -> Answer; 3] = [
        &|| gate.post(&[("Authorization", "Bearer wrong-key-0123456789-0123456789-0123456789")], PING),
        &|| gate.post(&[("Authorization", "")], PING),
        &|| wrong.send(&gate),
    ];
    let answers: Vec<Answer> = (0..60).map(|turn| guesses[turn % 3]()).collect();
    assert_eq!(answers.iter().filter(|answer| answer.status == 401).count(), 20, "the small limit");
    assert_eq!(answers.iter().filter(|answer| scope(answer).as_deref() == Some("ceiling")).count(), 11);
    assert_eq!(page().status, 429);
    assert_eq!(gate.raw(&gate.request("GET", "/", &[], b"")).status, 429, "a page costs what it costs");
    let preflight = [("Origin", "https://app.example.com"), ("Access-Control-Request-Method", "POST")];
    assert_eq!(gate.raw(&gate.request("OPTIONS", "/mcp", &preflight, b"")).status, 429);
    let calls = upstream.requests().len();
    for turn in 0..60 {
        owner(&format!("after {turn}"));
        assert_eq!(scope(&guesses[turn % 3]()).as_deref(), Some("ceiling"));
    }
    assert_eq!(upstream.requests().len(), calls + 120);
}
