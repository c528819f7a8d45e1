//! Rate limits as callers see them.

use crate::edge::config;
use crate::gate::Gate;
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

/// D1: the coarse ceiling stops a flood before anything is looked at.
#[test]
fn a_flood_meets_the_ceiling() {
    let upstream = Upstream::echo();
    let gate = Gate::configured(&config(
        &upstream.url(),
        "[limits]\naddress_ceiling_per_minute = 200\nper_address_per_minute = 100\n",
    ));
    let statuses: Vec<u16> = (0..205).map(|_| gate.post(&[], PING).status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 200);
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 5);
}
