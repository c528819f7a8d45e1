//! What may happen once: a call under an idempotency key, also between two gateways and after a crash.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde_json::Value;

use crate::gate::{Gate, palisade, signal, until, write_private};
use crate::signed::{Draft, settings, signed_gate};
use crate::upstream::{Upstream, result};

/// An upstream that answers a call only when it is let.
fn patient() -> (Upstream, Arc<(Mutex<bool>, Condvar)>) {
    let open = Arc::new((Mutex::new(false), Condvar::new()));
    let gate = Arc::clone(&open);
    let upstream = Upstream::scripted(Box::new(move |request| {
        if request.method() == "tools/call" {
            let (open, changed) = &*gate;
            let waited = changed.wait_timeout_while(open.lock().unwrap(), Duration::from_secs(30), |open| !*open);
            drop(waited);
        }
        result(request)
    }));
    (upstream, open)
}

fn let_go(open: &(Mutex<bool>, Condvar)) {
    *open.0.lock().unwrap() = true;
    open.1.notify_all();
}

/// D5, P-C1: the same call again hears the recorded answer under its own id, another body is a conflict, and the upstream
/// is asked once; for callers with a key as for those who sign, and never across callers.
#[test]
fn the_same_call_is_run_once() {
    let upstream = Upstream::echo();
    let gate = signed_gate(&upstream.url(), "bearer", "[[auth.keys]]\nname = \"ci\"\nkey = \"bench-key-00000\"");
    let keyed = |draft: &Draft| draft.clone().with("x-api-key", "bench-key-00000");
    let draft = Draft::call("order-17");
    let first = keyed(&draft).send(&gate);
    assert_eq!((first.status, first.header("idempotent-replayed")), (200, None), "{}", first.text());
    let mut again = draft.clone();
    again.body = String::from_utf8(again.body).unwrap().replace("\"id\":1", "\"id\":\"two\"").into_bytes();
    let second = keyed(&again).send(&gate);
    assert_eq!((second.status, second.header("idempotent-replayed")), (200, Some("true")), "{}", second.text());
    assert_eq!(second.json()["id"], "two");
    assert_eq!(second.json()["result"], first.json()["result"]);
    let mut other = draft.clone();
    other.body = String::from_utf8(other.body).unwrap().replace("\"n\":1", "\"n\":2").into_bytes();
    let conflict = keyed(&other).send(&gate);
    assert_eq!((conflict.status, conflict.code().as_str()), (409, "MCP-005"));
    assert_eq!(upstream.calls().len(), 1);
    // Another caller's key of the same name is another claim.
    assert_eq!(draft.signed(&gate).send(&gate).header("idempotent-replayed"), None);
    assert_eq!(upstream.calls().len(), 2);
    let without = Draft {
        headers: draft.headers.iter().filter(|(name, _)| *name != "idempotency-key").cloned().collect(),
        ..draft
    };
    assert_eq!(keyed(&without).send(&gate).status, 200);
    assert_eq!(keyed(&without).send(&gate).status, 200);
    assert_eq!(upstream.calls().len(), 4, "without a key each call is its own");
    let unkeyed = without.signed(&gate).send(&gate);
    assert_eq!((unkeyed.status, unkeyed.code().as_str()), (400, "MCP-001"), "who signs needs one");
}

/// D5, P-C1: while the first runs the second hears so, with a time to come back; then it hears the answer.
#[test]
fn a_call_under_way_is_not_begun_again() {
    let (upstream, open) = patient();
    let gate = signed_gate(&upstream.url(), "hmac", "");
    let draft = Draft::call("slow");
    std::thread::scope(|scope| {
        let first = scope.spawn(|| draft.signed(&gate).send(&gate));
        until("the call to arrive", || (upstream.calls().len() == 1).then_some(()));
        let second = draft.signed(&gate).send(&gate);
        assert_eq!((second.status, second.header("retry-after")), (409, Some("1")), "{}", second.text());
        let_go(&open);
        assert_eq!(first.join().unwrap().status, 200);
    });
    assert_eq!(draft.signed(&gate).send(&gate).header("idempotent-replayed"), Some("true"));
    assert_eq!(upstream.calls().len(), 1);
}

/// D5: what reached nobody is free again; what may have reached somebody is not.
#[test]
fn a_failure_before_the_upstream_frees_the_key() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let gate = signed_gate(&format!("http://{address}/mcp"), "hmac", "");
    let draft = Draft::call("k");
    for _ in 0..2 {
        let answer = draft.signed(&gate).send(&gate);
        assert_eq!(answer.code(), "MCP-003", "{}", answer.text());
    }
    let upstream = Upstream::scripted(Box::new(|request| {
        if request.method() == "tools/call" {
            b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n".to_vec()
        } else {
            result(request)
        }
    }));
    let gate = signed_gate(&upstream.url(), "hmac", "");
    assert_eq!(draft.signed(&gate).send(&gate).code(), "MCP-003");
    let again = draft.signed(&gate).send(&gate);
    assert_eq!((again.status, again.code().as_str(), again.header("retry-after")), (409, "MCP-005", None));
    assert_eq!(upstream.calls().len(), 1);
}

/// D5, P-C1: a client that left before the answer does not get its call run again: nobody knows what became of it.
#[test]
fn a_client_that_left_runs_nothing_twice() {
    let (upstream, open) = patient();
    let gate = signed_gate(&upstream.url(), "hmac", "");
    let draft = Draft::call("k");
    let mut stream = gate.connect();
    std::io::Write::write_all(&mut stream, &draft.signed(&gate).bytes(&gate)).unwrap();
    until("the call to arrive", || (upstream.calls().len() == 1).then_some(()));
    drop(stream);
    let_go(&open);
    let unknown = until("the gateway to notice", || {
        let again = draft.signed(&gate).send(&gate);
        assert_eq!((again.status, again.code().as_str()), (409, "MCP-005"), "{}", again.text());
        again.header("retry-after").is_none().then_some(again)
    });
    assert!(unknown.text().contains("unknown"), "{}", unknown.text());
    assert_eq!(upstream.calls().len(), 1);
}

/// D5: of a stream the response is kept, and told again as one message.
#[test]
fn a_streams_response_is_kept() {
    let upstream = Upstream::scripted(Box::new(|request| {
        let events = "event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"info\",\"data\":1}}\n\n\
                      event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"content\":[],\"resultType\":\"complete\"}}\n\n";
        match request.method().as_str() {
            "tools/call" => format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\r\n{events}",
                events.len()
            )
            .into_bytes(),
            _ => result(request),
        }
    }));
    let gate = signed_gate(&upstream.url(), "hmac", "");
    let draft = Draft::call("k");
    assert_eq!(draft.signed(&gate).send(&gate).json().as_array().unwrap().len(), 2);
    let again = until("the answer to be kept", || {
        let again = draft.signed(&gate).send(&gate);
        (again.status == 200).then_some(again)
    });
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.json()["result"]["resultType"], "complete");
    assert_eq!(upstream.calls().len(), 1);
}

/// B4, D5, P-B14: while the store cannot be written, who signs hears 503 and nothing is done; afterwards all is as before.
#[test]
fn a_store_that_is_held_lets_nobody_in() {
    let upstream = Upstream::echo();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db").display().to_string();
    let gate = signed_gate(&upstream.url(), "hmac", &format!("[store]\nurl = \"sqlite:{path}\""));
    let holding = "import sqlite3, sys\n\
                   db = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
                   db.execute('BEGIN IMMEDIATE')\n\
                   print('held', flush=True)\n\
                   sys.stdin.read()";
    let mut holder = Command::new("python3");
    holder.args(["-c", holding, &path]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut holder = holder.spawn().unwrap();
    let mut said = String::new();
    BufReader::new(holder.stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "held\n");
    let refused = Draft::call("k").signed(&gate).send(&gate);
    assert_eq!((refused.status, refused.code().as_str()), (503, "MCP-003"), "{}", refused.text());
    assert!(upstream.requests().is_empty());
    drop(holder.stdin.take());
    assert!(holder.wait().unwrap().success());
    assert_eq!(Draft::call("k").signed(&gate).send(&gate).status, 200);
}

pub(crate) const NO_LIMITS: &str = "[limits]\npenalty = \"off\"\nper_address_per_minute = 1000000\naddress_ceiling_per_minute = 1000000\nper_caller_per_minute = 1000000";

/// B4, D5, R24, P-B13: two gateways on one store: the same request at the same instant to both, and two requests with one
/// idempotency key, a thousand times each: exactly one wins every time.
#[test]
fn two_gateways_on_one_store() {
    let folder = tempfile::tempdir().unwrap();
    one_wins(&format!("[store]\nurl = \"sqlite:{}\"", folder.path().join("store.db").display()), 1000);
}

/// Two gateways with this store: of two equal requests at the same instant one wins, so many times.
pub(crate) fn one_wins(store: &str, times: usize) {
    // Few enough that the last in the line for a slow disk is still in time.
    const AT_ONCE: usize = 10;
    let upstream = Upstream::echo();
    let store = format!("{store}\n{NO_LIMITS}");
    let gates = [signed_gate(&upstream.url(), "hmac", &store), signed_gate(&upstream.url(), "hmac", &store)];
    for gate in &gates {
        // What was signed before a store began is not taken.
        until("a call to be taken", || {
            let key = palisade_gateway::new_key();
            (Draft::call(&key).signed(gate).send(gate).status == 200).then_some(())
        });
    }
    for same_bytes in [true, false] {
        let before = upstream.calls().len();
        for round in 0..times / AT_ONCE {
            std::thread::scope(|scope| {
                for number in 0..AT_ONCE {
                    let gates = &gates;
                    scope.spawn(move || {
                        let draft = Draft::call(&format!("{same_bytes} {round} {number}")).with("host", "localhost");
                        let one = draft.signed(&gates[0]);
                        let two = if same_bytes { one.clone() } else { draft.signed(&gates[1]) };
                        let (one, two) = std::thread::scope(|scope| {
                            let one = scope.spawn(|| one.send(&gates[0]));
                            let two = two.send(&gates[1]);
                            (one.join().unwrap(), two)
                        });
                        let won = [&one, &two]
                            .into_iter()
                            .filter(|answer| answer.status == 200 && answer.header("idempotent-replayed").is_none());
                        assert_eq!(won.count(), 1, "{} {} / {} {}", one.status, one.text(), two.status, two.text());
                        let lost =
                            if one.status == 200 && one.header("idempotent-replayed").is_none() { two } else { one };
                        let expected: &[u16] = if same_bytes { &[401] } else { &[409, 200] };
                        assert!(expected.contains(&lost.status), "{}", lost.text());
                    });
                }
            });
        }
        assert_eq!(upstream.calls().len() - before, times);
    }
}

/// D5, R11, P-C1: killed between the intent and the answer, the gateway does not know the outcome afterwards: it says so, and
/// never runs the call again.
#[test]
fn killed_in_between() {
    let (upstream, open) = patient();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("palisade.toml");
    let store = format!("[store]\nurl = \"sqlite:DIR/store.db\"\n{NO_LIMITS}");
    write_private(
        &file,
        &settings(&upstream.url(), "hmac", &store).replace("DIR", &folder.path().display().to_string()),
    );
    let start = || {
        let mut line = palisade();
        line.arg("run").arg("--config").arg(&file);
        Gate::start(line, tempfile::tempdir().unwrap())
    };
    let mut gate = start();
    let draft = Draft::call("k");
    let bytes = draft.signed(&gate).bytes(&gate);
    let mut stream = gate.connect();
    std::io::Write::write_all(&mut stream, &bytes).unwrap();
    until("the call to arrive", || (upstream.calls().len() == 1).then_some(()));
    signal(gate.pid(), "KILL");
    assert!(!gate.ended().success());
    let_go(&open);
    let gate = start();
    let unknown = until("the gateway that was killed to be given up", || {
        let again = draft.signed(&gate).send(&gate);
        assert_eq!((again.status, again.code().as_str()), (409, "MCP-005"), "{}", again.text());
        again.header("retry-after").is_none().then_some(again)
    });
    let json: Value = unknown.json();
    assert!(json["error"]["message"].as_str().unwrap().contains("unknown"), "{json}");
    assert_eq!(upstream.calls().len(), 1);
    assert_eq!(Draft::call("another").signed(&gate).send(&gate).status, 200);
}
