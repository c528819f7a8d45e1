//! One limit for all gateways, with Redis and without.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use palisade_testkit::redis::Redis;

use super::{shared, status_for};
use crate::edge::config;
use crate::gate::{Answer, Gate, OTHER, until};
use crate::upstream::Upstream;

const PING: &[u8] = br#"{"jsonrpc":"2.0","id":"p1","method":"ping"}"#;

/// Gateways with one limit for the usual caller.
fn gates(count: usize, limit: u32, settings: &str, upstream: &Upstream) -> Vec<Gate> {
    let watch = format!("[[auth.keys]]\nname = \"watch\"\nkey = \"{OTHER}\"\nlimit_per_minute = 100000\n");
    let settings = format!("{settings}{watch}[limits]\nper_caller_per_minute = {limit}\n");
    (0..count).map(|_| Gate::configured(&config(&upstream.url(), &settings))).collect()
}

/// What the status page says to another caller.
fn status(gate: &Gate) -> serde_json::Value {
    status_for(gate, OTHER)
}

fn ping(gate: &Gate) -> Answer {
    gate.post(&[], PING)
}

/// D1, D4, P-H11: a storm of clients over three gateways meets one limit, exactly; the headers tell what is left of it.
#[test]
fn a_limit_holds_over_all_gateways() {
    let (server, upstream) = (Redis::start(), Upstream::echo());
    let gates = gates(3, 100, &shared(&server), &upstream);
    let first = ping(&gates[0]);
    assert_eq!((first.status, first.header("x-ratelimit-remaining")), (200, Some("99")));
    assert_eq!(ping(&gates[1]).header("x-ratelimit-remaining"), Some("98"), "what one counts all know");
    let statuses = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for client in 0..50 {
            let (gates, statuses) = (&gates, &statuses);
            scope.spawn(move || {
                for turn in 0..6 {
                    let status = ping(&gates[(client + turn) % 3]).status;
                    statuses.lock().unwrap().push(status);
                }
            });
        }
    });
    let statuses = statuses.into_inner().unwrap();
    let count = |status: u16| statuses.iter().filter(|seen| **seen == status).count();
    assert_eq!((count(200), count(429)), (98, 202));
    let refused = ping(&gates[2]);
    assert_eq!((refused.status, refused.code().as_str()), (429, "MCP-006"));
    let header = |name| refused.header(name).unwrap().parse::<u64>().unwrap();
    assert!((1..=60).contains(&header("retry-after")));
    assert_eq!((header("x-ratelimit-limit"), header("x-ratelimit-remaining")), (100, 0));
    until("all to be seen", || (status(&gates[0])["gateways"] == 3).then_some(()));
}

/// D4: over more than a minute, with calls all the time, no 60 seconds ever hold more than the limit, and the limit is used.
#[test]
fn no_minute_holds_more() {
    const LIMIT: u32 = 40;
    let (server, upstream) = (Redis::start(), Upstream::echo());
    let gates = gates(2, LIMIT, &shared(&server), &upstream);
    let (began, admitted) = (Instant::now(), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for gate in &gates {
            let admitted = &admitted;
            scope.spawn(move || {
                while began.elapsed() < Duration::from_secs(75) {
                    if ping(gate).status == 200 {
                        admitted.lock().unwrap().push(Instant::now());
                    }
                    std::thread::sleep(Duration::from_millis(150));
                }
            });
        }
    });
    let mut admitted = admitted.into_inner().unwrap();
    admitted.sort_unstable();
    // Seen from here a call may be a moment late.
    let span = Duration::from_millis(59_500);
    let mut window = VecDeque::new();
    for at in &admitted {
        window.push_back(*at);
        while window.front().is_some_and(|first| *at - *first >= span) {
            window.pop_front();
        }
        assert!(window.len() <= LIMIT.try_into().unwrap(), "{} in a minute", window.len());
    }
    assert!(admitted.len() > usize::try_from(LIMIT).unwrap() * 3 / 2, "{}", admitted.len());
}

/// D4, R8: while Redis is gone each gateway lets pass its share and no more, at once; its headers say so; when it is back, so is
/// the limit of all, and what was let pass meanwhile counts.
#[test]
fn without_redis_each_has_its_share() {
    let (mut server, upstream) = (Redis::start(), Upstream::echo());
    let gates = gates(3, 30, &shared(&server), &upstream);
    assert_eq!(ping(&gates[0]).header("x-ratelimit-limit"), Some("30"));
    until("all to be seen", || gates.iter().all(|gate| status(gate)["gateways"] == 3).then_some(()));
    server.kill();
    for gate in &gates {
        let mut counts = (0, 0);
        for _ in 0..20 {
            let began = Instant::now();
            let answer = ping(gate);
            assert!(began.elapsed() < Duration::from_millis(1200), "{:?}", began.elapsed());
            match answer.status {
                200 => counts.0 += 1,
                429 => counts.1 += 1,
                other => panic!("{other}: {}", answer.text()),
            }
            assert_eq!(answer.header("x-ratelimit-limit"), Some("10"), "what holds is what is told");
        }
        assert!((9..=10).contains(&counts.0), "{counts:?}");
        let status = status(gate);
        assert_eq!((&status["reachable"], status["degraded_since"].is_string()), (&false.into(), true), "{status}");
    }
    server.resume();
    let began = Instant::now();
    for gate in &gates {
        until("Redis to be found", || (status(gate)["reachable"] == true).then_some(()));
        assert_eq!(ping(gate).status, 429, "what was let pass without Redis counts");
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

/// D4, R8: where the operator wants no call that is not counted, there is none; and without Redis from the start, nobody
/// knows a share.
#[test]
fn a_limit_may_refuse_instead() {
    let (mut server, upstream) = (Redis::start(), Upstream::echo());
    let settings = shared(&server);
    let strict = gates(1, 30, &format!("{settings}limits_on_failure = \"refuse\"\n"), &upstream);
    assert_eq!(ping(&strict[0]).status, 200);
    server.kill();
    let answer = until("the gateway to notice", || {
        let answer = ping(&strict[0]);
        (answer.status == 503).then_some(answer)
    });
    assert_eq!(answer.code(), "MCP-003", "{}", answer.text());
    let blind = gates(1, 30, &settings, &upstream);
    assert_eq!(ping(&blind[0]).status, 503, "nobody said how many there are");
    let told = gates(1, 30, &format!("{settings}replicas = 3\n"), &upstream);
    assert_eq!(ping(&told[0]).header("x-ratelimit-limit"), Some("10"));
    server.resume();
    for gate in strict.iter().chain(&blind).chain(&told) {
        until("the gateway to be back", || (ping(gate).status == 200).then_some(()));
    }
}
