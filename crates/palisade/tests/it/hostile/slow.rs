//! Slow is not dead, dead is not waited for by everybody, and time is counted once.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use super::rogue::{Rogue, hangs, until_left};
use super::{PING, config};
use crate::gate::{Answer, Gate, until};
use crate::upstream::{Upstream, result};

const SLOW: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow","arguments":{}}}"#;

fn ask(gate: &Gate, body: &[u8]) -> Answer {
    gate.raw(&gate.request("POST", "/mcp/rogue0", &[], body))
}

/// Eight calls at once, which are not answered in time.
fn slowly(gate: &Gate, meanwhile: impl FnOnce()) {
    thread::scope(|scope| {
        let calls: Vec<_> = (0..8).map(|_| scope.spawn(|| ask(gate, SLOW))).collect();
        meanwhile();
        for call in calls {
            assert_eq!(call.join().unwrap().code(), "MCP-004");
        }
    });
}

/// A3, R5: one caller's slow calls close a server for nobody, neither while others call it nor when nobody did.
#[test]
fn slow_calls_close_nothing() {
    let upstream = Upstream::scripted(Box::new(|request| {
        if request.method() == "tools/call" {
            thread::sleep(Duration::from_secs(3));
        }
        result(request)
    }));
    let gate = Gate::configured(&config(&upstream.url(), &[upstream.url()], ""));
    slowly(&gate, || {
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(3) {
            let answer = ask(&gate, PING);
            assert_eq!((answer.status, answer.code().as_str()), (200, ""), "{}", answer.text());
            thread::sleep(Duration::from_millis(20));
        }
    });
    slowly(&gate, || {});
    let answer = ask(&gate, PING);
    assert_eq!((answer.status, answer.code().as_str()), (200, ""), "{}", answer.text());
}

/// A3, R5: a server that takes every call and answers none is left alone: while one call tries, the others hear so at once.
#[test]
fn a_hung_server_is_left_alone() {
    let rogue = Rogue::doing(hangs(""));
    let gate = Gate::configured(&config(&rogue.url(), &[rogue.url()], ""));
    slowly(&gate, || {});
    thread::scope(|scope| {
        let trial = scope.spawn(|| ask(&gate, PING));
        until("the trial to be under way", || (rogue.requests() == 9).then_some(()));
        let started = Instant::now();
        let other = ask(&gate, PING);
        assert_eq!(other.code(), "MCP-003", "{}", other.text());
        assert!(other.header("retry-after").is_some() && started.elapsed() < Duration::from_secs(1));
        assert_eq!(trial.join().unwrap().code(), "MCP-004");
    });
}

/// A3, R5: the time of a call is counted from its beginning, not anew for the body of its answer.
#[test]
fn time_is_counted_once() {
    let rogue = Rogue::doing(|_, stream| {
        thread::sleep(Duration::from_millis(1500));
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 40\r\n\r\n{"));
        until_left(stream);
        false
    });
    let gate = Gate::configured(&config(&rogue.url(), &[rogue.url()], ""));
    let started = Instant::now();
    assert_eq!(ask(&gate, PING).code(), "MCP-004");
    let took = started.elapsed();
    assert!((Duration::from_secs(2)..Duration::from_secs(3)).contains(&took), "{took:?} of 2 s");
}
