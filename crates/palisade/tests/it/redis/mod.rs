//! Gateways that share a Redis: what counts once and what has a limit, over all of them, and what they do while it fails.

mod limits;
mod outage;
mod places;

use palisade_testkit::redis::Redis;

use crate::gate::{Gate, KEY};
use crate::once::{NO_LIMITS, one_wins};
use crate::upstream::Upstream;

/// The settings of this server.
fn shared(server: &Redis) -> String {
    let file = server.password_file().display().to_string();
    format!("[redis]\nurl = \"redis://gate@127.0.0.1:{}/0\"\npassword = \"secret:file:{file}\"\n", server.port())
}

/// What the status page says of Redis.
fn status(gate: &Gate) -> serde_json::Value {
    status_for(gate, KEY)
}

fn status_for(gate: &Gate, key: &str) -> serde_json::Value {
    let asked = gate.request("GET", "/api/status", &[("x-api-key", key), ("Authorization", "")], b"");
    let answer = gate.raw(&asked);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["redis"].clone()
}

/// B4, D4, D5, R24, P-B13: of two equal requests at the same instant to two gateways one wins, a thousand times: the same bytes,
/// and the same idempotency key.
#[test]
fn one_of_two_wins() {
    let server = Redis::start();
    one_wins(&shared(&server), 1000);
    // Names of callers and what they sent are in no key.
    let keys = server.ask(&["KEYS", "*"]);
    assert!(keys.lines().count() > 2000, "they are there: {}", keys.lines().count());
    assert!(!keys.contains("desk") && keys.lines().all(|key| key.starts_with("palisade:")), "{keys}");
}

/// A gateway without limits that takes signatures and the key `ci`, on this server.
fn signed_gate(settings: &str, upstream: &Upstream) -> Gate {
    let key = format!("[[auth.keys]]\nname = \"ci\"\nkey = \"{KEY}\"\n");
    crate::signed::signed_gate(&upstream.url(), "bearer", &format!("{key}{settings}\n{NO_LIMITS}"))
}
