//! Upstreams that forget sessions, or cannot be reached at all: what clients notice of it, and what other servers do.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use crate::edge::config;
use crate::gate::{Gate, until};
use crate::upstream::{Request, Upstream, json, result};

/// An upstream with sessions by number, of which it knows the last one alone; `restart` makes it forget that too.
#[derive(Default)]
struct Forgetful {
    sessions: AtomicUsize,
    known: Mutex<Option<String>>,
    ran: AtomicUsize,
}

impl Forgetful {
    fn answer(&self, request: &Request, revision: &str) -> Vec<u8> {
        if request.method() == "initialize" {
            let id = format!("session-{}", self.sessions.fetch_add(1, SeqCst));
            *self.known.lock().unwrap() = Some(id.clone());
            let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
            let result = serde_json::json!({"jsonrpc": "2.0", "id": body["id"], "result": {
                "protocolVersion": revision, "capabilities": {}, "serverInfo": {"name": "stub", "version": "0"}
            }});
            return json("200 OK", &format!("Mcp-Session-Id: {id}\r\n"), &result.to_string());
        }
        let known = self.known.lock().unwrap().clone();
        if known.is_none() || request.header("mcp-session-id") != known.as_deref() {
            return json(
                "404 Not Found",
                "",
                r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found"}}"#,
            );
        }
        if request.method() == "tools/call" {
            self.ran.fetch_add(1, SeqCst);
        }
        result(request)
    }

    fn restart(&self) {
        *self.known.lock().unwrap() = None;
    }
}

const CALL: &[u8] = br#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"x":1}}}"#;

fn of(upstream: &Upstream, method: &str) -> usize {
    upstream.requests().iter().filter(|request| request.method() == method).count()
}

/// A3: a session that the upstream forgot is opened again, with the client's own words, once for many calls; the client's
/// handle stays good, and no call runs twice.
#[test]
fn a_forgotten_session_is_opened_again() {
    let state = Arc::new(Forgetful::default());
    let script = Arc::clone(&state);
    let upstream = Upstream::scripted(Box::new(move |request| script.answer(request, "2025-11-25")));
    let gate = Gate::before(&upstream.url());
    let session = gate.initialize("2025-11-25");
    let call = || gate.post(&[("Mcp-Session-Id", &session)], CALL);
    assert_eq!(call().status, 200);
    for round in 1..=3 {
        state.restart();
        std::thread::scope(|scope| {
            let calls: Vec<_> = (0..8).map(|_| scope.spawn(call)).collect();
            for answer in calls {
                let answer = answer.join().unwrap();
                assert_eq!((answer.status, answer.json()["id"].as_u64()), (200, Some(7)), "{}", answer.text());
            }
        });
        assert_eq!(of(&upstream, "initialize"), 1 + round, "opened once for eight calls");
        assert_eq!(of(&upstream, "notifications/initialized"), 1 + round);
    }
    assert_eq!(state.ran.load(SeqCst), 1 + 3 * 8, "each call ran once");
    let opened: Vec<_> = upstream.requests().into_iter().filter(|request| request.method() == "initialize").collect();
    assert!(opened.iter().all(|request| request.body == opened[0].body), "the client's own words");
    let end = gate.request("DELETE", "/mcp", &[("Mcp-Session-Id", &session)], b"");
    assert_eq!(gate.raw(&end).status, 200);
    state.restart();
    assert_eq!(call().status, 404, "what was ended stays ended");
    assert_eq!(of(&upstream, "initialize"), 4);
    gate.journal();
}

/// A3, R5: an upstream that hangs while it opens one session again holds up the calls in that one alone.
#[test]
fn a_session_that_hangs_holds_up_no_other() {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let (held, restarted, again) = (Mutex::new(held), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (forgot, hung) = (Arc::clone(&restarted), Arc::clone(&again));
    let upstream = Upstream::scripted(Box::new(move |request| {
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let after = forgot.load(SeqCst) == 1;
        if request.method() == "initialize" {
            let client = body["params"]["clientInfo"]["name"].as_str().unwrap().to_owned();
            if after && client == "slow" {
                hung.store(1, SeqCst);
                let _released = held.lock().unwrap().recv();
            }
            let result = serde_json::json!({"jsonrpc": "2.0", "id": body["id"], "result": {
                "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "stub", "version": "0"}
            }});
            let id = if after { "new" } else { "old" };
            return json("200 OK", &format!("Mcp-Session-Id: {id}-{client}\r\n"), &result.to_string());
        }
        if after && request.header("mcp-session-id").is_some_and(|id| id.starts_with("old-")) {
            return json("404 Not Found", "", "{}");
        }
        result(request)
    }));
    let gate = Gate::before(&upstream.url());
    let [slow, quick] = ["slow", "quick"].map(|name| {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"2025-11-25","capabilities":{{}},"clientInfo":{{"name":"{name}","version":"0"}}}}}}"#
        );
        gate.post(&[], body.as_bytes()).header("mcp-session-id").unwrap().to_owned()
    });
    restarted.store(1, SeqCst);
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| gate.post(&[("Mcp-Session-Id", &slow)], CALL));
        until("the slow one to hang", || (again.load(SeqCst) == 1).then_some(()));
        assert_eq!(gate.post(&[("Mcp-Session-Id", &quick)], CALL).status, 200);
        assert!(!waits.is_finished(), "it still hangs");
        drop(release);
        assert_eq!(waits.join().unwrap().status, 200);
    });
}

/// A3, A1: where no like session can be had, the client hears 404, as the protocol says, and nothing goes round in a loop.
#[test]
fn a_session_that_cannot_be_opened_again_ends() {
    let state = Arc::new(Forgetful::default());
    let script = Arc::clone(&state);
    // Newer after the restart: its client has agreed on the older revision.
    let upstream = Upstream::scripted(Box::new(move |request| {
        let first = script.sessions.load(SeqCst) == 0;
        script.answer(request, if first { "2025-06-18" } else { "2025-11-25" })
    }));
    let gate = Gate::before(&upstream.url());
    let session = gate.initialize("2025-06-18");
    state.restart();
    let answer = gate.post(&[("Mcp-Session-Id", &session)], CALL);
    assert_eq!(answer.status, 404, "{}", answer.text());
    assert_eq!((of(&upstream, "initialize"), of(&upstream, "tools/call"), state.ran.load(SeqCst)), (2, 1, 0));
    assert!(!gate.initialize("2025-11-25").is_empty(), "a new one is opened as ever");
}

/// A3, R5: an upstream that refuses connections is left alone after a few calls: callers hear so at once and when to come
/// back; another server of the same gateway is untouched; when it is back, it is found.
#[test]
fn an_upstream_that_is_down_is_left_alone() {
    let good = Upstream::echo();
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let more = format!("[servers.down]\nurl = \"http://{address}/mcp\"\n");
    let gate = Gate::configured(&config(&good.url(), &more));
    let ask = |server: &str| gate.raw(&gate.request("POST", &format!("/mcp/{server}"), &[], CALL));
    let state = || gate.raw(&gate.request("GET", "/api/status", &[], b"")).json()["servers"]["down"].clone();
    assert_eq!(state(), "available");
    let mut left_alone = 0;
    for _ in 0..20 {
        let answer = ask("down");
        assert_eq!(answer.code(), "MCP-003", "{}", answer.text());
        left_alone += usize::from(answer.header("retry-after").is_some());
        assert_eq!(ask("stub").status, 200);
    }
    // All but the five that opened the breaker, and a trial if this took longer than a pause.
    assert!((10..=15).contains(&left_alone), "{left_alone}");
    assert_eq!(state(), "unavailable");
    let back = std::net::TcpListener::bind(address).unwrap();
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        for mut stream in back.incoming().flatten() {
            let mut bytes = [0; 4096];
            let _read = stream.read(&mut bytes);
            let _gone = stream.write_all(&json("200 OK", "", r#"{"jsonrpc":"2.0","id":7,"result":{"content":[]}}"#));
        }
    });
    until("it to be found again", || (ask("down").code().is_empty()).then_some(()));
    assert_eq!(state(), "available");
}

/// A3: what an upstream says itself, errors of any kind, is no failure to reach it.
#[test]
fn an_upstream_that_refuses_is_not_left_alone() {
    let refusing = [("400 Bad Request", -32600), ("403 Forbidden", -32000), ("500 Internal Server Error", -32603)];
    for (status, code) in refusing {
        let error = format!(r#"{{"jsonrpc":"2.0","id":7,"error":{{"code":{code},"message":"no"}}}}"#);
        let upstream = Upstream::scripted(Box::new(move |_| json(status, "", &error)));
        let gate = Gate::before(&upstream.url());
        for _ in 0..12 {
            assert!(gate.post(&[], CALL).header("retry-after").is_none(), "{status}");
        }
        assert_eq!(upstream.requests().len(), 12, "{status}: each call was made");
    }
}
