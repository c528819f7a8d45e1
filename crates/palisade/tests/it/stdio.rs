//! `palisade stdio`: in the place of a server that a desktop client starts.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bad_children::COMMON;
use crate::children::{all_end, descendants};
use crate::gate::{KEY, lines, palisade, signal, until, write_private};
use crate::harness::{Client, Journal, Plan, program};
use crate::upstream::Upstream;

/// A server that does as it is told, and says what it was asked; `die` ends it, `wait` takes a second.
const SERVER: &str = r#"
greet()
while True:
    message = read()
    method = message.get("method")
    if message.get("params", {}).get("name") == "die": os._exit(1)
    if message.get("params", {}).get("name") == "wait": time.sleep(1)
    if message.get("params", {}).get("name") == "large": answer(message["id"], {"text": "x" * 5000000}); continue
    if "id" in message and method: answer(message["id"], {"asked": method, "pid": os.getpid()})
"#;

/// A desktop client's end of the pipes.
struct Desk {
    child: Child,
    input: Option<ChildStdin>,
    output: Option<BufReader<ChildStdout>>,
    dir: tempfile::TempDir,
}

impl Desk {
    /// Starts `palisade stdio` in front of a Python script.
    fn script(script: &str) -> Self {
        let script = format!("{COMMON}{script}");
        Self::start(|line, dir| {
            line.arg("--audit-dir").arg(dir.join("audit")).args(["--", "python3", "-c", &script]);
        })
    }

    fn start(arguments: impl FnOnce(&mut Command, &Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut line = palisade();
        line.arg("stdio");
        arguments(&mut line, dir.path());
        let errors = std::fs::File::create(dir.path().join("stderr")).unwrap();
        let mut child = line.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors).spawn().unwrap();
        let (input, output) = (child.stdin.take(), child.stdout.take().map(BufReader::new));
        Self { child, input, output, dir }
    }

    fn write(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// The next message.
    fn read(&mut self) -> Value {
        let mut line = String::new();
        self.output.as_mut().unwrap().read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}; {}", self.errors()))
    }

    fn errors(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("stderr")).unwrap()
    }

    fn ask(&mut self, line: &str) -> Value {
        self.write(line);
        self.read()
    }

    fn initialize(&mut self) -> Value {
        let answer = self.ask(INITIALIZE);
        self.write(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        answer
    }

    /// Ends standard input, and gives the journal when the gateway has ended in order and left nobody behind.
    fn leave(mut self) -> Vec<Value> {
        let tree = descendants(self.child.id());
        drop(self.input.take());
        let status = until("the gateway to end", || self.child.try_wait().unwrap());
        assert!(status.success(), "{status}: {}", self.errors());
        assert!(!self.errors().contains("panic"), "{}", self.errors());
        all_end(&tree);
        Journal::verified(&self.dir.path().join("audit"));
        lines(&self.dir.path().join("audit"))
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"desk","version":"0"}}}"#;
const PING: &str = r#"{"jsonrpc":"2.0","id":5,"method":"ping"}"#;

fn call(id: u32, tool: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{{}}}}}}"#)
}

/// Lets each client start a gateway in front of a server, and checks what it saw and what was recorded.
fn visits(
    clients: &[Client],
    server: &[&str],
    mut plan: impl FnMut(Plan) -> Plan,
    seen: impl Fn(Client, &crate::harness::Report),
) {
    for &client in clients {
        let dir = tempfile::tempdir().unwrap();
        let audit = dir.path().join("audit");
        let gateway = [env!("CARGO_BIN_EXE_palisade"), "stdio", "--audit-dir", audit.to_str().unwrap(), "--"];
        let command = gateway.iter().chain(server).map(|&word| word.to_owned()).collect();
        let report = plan(Plan::starting(command)).visit(client);
        report.must_connect();
        seen(client, &report);
        // A client ends the gateway in its own way; what was answered is on record, whichever it was.
        let closed = until("the journal to be whole", || {
            let found = lines(&audit);
            let of = |kind: &str| {
                found.iter().filter(|line| line["kind"] == kind).map(|line| &line["correlation"]).collect()
            };
            let (intents, closings): (Vec<_>, Vec<_>) = (of("intent"), of("closing"));
            intents.iter().all(|intent| closings.contains(intent)).then_some(closings.len())
        });
        assert!(closed > 0, "{client:?}");
    }
}

/// A2, A1: every official client drives a legacy server through `palisade stdio`: calls, progress, notifications, and what
/// the server asks of the client.
#[test]
fn every_client_starts_a_legacy_server() {
    let clients = [&Client::LEGACY[..], &Client::AUTO].concat();
    let plan = |plan: Plan| {
        let mut plan = plan
            .call("echo", &json!({"message": "Grüße"}))
            .step(json!({
                "call": "trigger-long-running-operation", "arguments": {"duration": 0.2, "steps": 2}, "progress": true
            }))
            .call("toggle-simulated-logging", &json!({}))
            .step(json!({"await": "notifications/message"}))
            .call("trigger-sampling-request", &json!({"prompt": "say something"}))
            .call("trigger-elicitation-request", &json!({}))
            .call("no such tool!", &json!({}))
            .call("echo", &json!({"message": "still here"}));
        plan.declares = vec!["sampling", "elicitation"];
        plan
    };
    visits(&clients, &[&program("mcp-server-everything"), "stdio"], plan, |client, report| {
        assert_eq!(report.revision.as_deref(), Some("2025-11-25"), "{client:?}");
        assert!(report.lists("echo"), "{client:?}");
        assert_eq!(report.text(0), "Echo: Grüße", "{client:?}");
        // The TypeScript SDK forgets progress that it reads together with the response.
        assert!(report.notifications_of("notifications/progress") >= 1, "{client:?}");
        assert!(report.steps[3]["error"].is_null(), "{client:?}: {}", report.steps[3]);
        assert_eq!(report.asked, ["sampling/createMessage", "elicitation/create"], "{client:?}");
        assert_eq!(report.error(6)["code"], -32602, "{client:?}");
        assert_eq!(report.text(7), "Echo: still here", "{client:?}");
    });
}

/// A2, A1: every official client drives a server of 2026-07-28 through `palisade stdio`.
#[test]
fn every_client_starts_a_modern_server() {
    let clients = [&Client::MODERN[..], &Client::AUTO].concat();
    let plan = |plan: Plan| {
        plan.call("get_current_time", &json!({"timezone": "Europe/Paris"}))
            .call("no such tool!", &json!({}))
            .call("get_current_time", &json!({"timezone": "UTC"}))
    };
    visits(&clients, &[&program("mcp-server-time"), "--local-timezone", "UTC"], plan, |client, report| {
        assert_eq!(report.revision.as_deref(), Some("2026-07-28"), "{client:?}");
        assert!(report.text(0).contains("Europe/Paris"), "{client:?}");
        assert_eq!(report.error(1)["code"], -32602, "{client:?}");
        assert!(report.text(2).contains("UTC"), "{client:?}");
    });
}

/// A2, E1: what cannot be read is answered and recorded, and the next line is read.
#[test]
fn nonsense_is_answered_and_the_next_line_read() {
    let mut desk = Desk::script(SERVER);
    assert_eq!(desk.initialize()["result"]["protocolVersion"], "2025-11-25");
    for (line, code) in [
        ("not json".to_owned(), -32700),
        ("[]".to_owned(), -32600),
        (r#"{"jsonrpc":"2.0","id":5,"id":6,"method":"ping"}"#.to_owned(), -32700),
        ("[".repeat(5000), 1017),
        (format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"x":"{}"}}}}"#, "x".repeat(12 << 20)), 1017),
        ("y".repeat(30 << 20), 1017),
    ] {
        let answer = desk.ask(&line);
        let shown = &line[..line.len().min(80)];
        assert_eq!(answer["error"]["code"], code, "{shown}: {answer}");
        assert_eq!(desk.ask(PING)["result"]["asked"], "ping", "{shown}");
    }
    desk.write("\n\r\n");
    assert_eq!(desk.ask(r#"{"jsonrpc":"2.0","id":7,"method":"evil/method"}"#)["error"]["code"], -32601);
    assert_eq!(desk.ask(PING)["id"], 5);
    let journal = desk.leave();
    assert_eq!(journal.iter().filter(|line| line["decision"] == "refused" && line["stage"] == "parse").count(), 7);
    assert!(journal.iter().all(|line| line["peer"].is_null()), "nobody is at the other end of a socket");
}

/// A2, A3, R7: a server that dies takes its call with it and nothing else: the next call finds a new one, although a client
/// by standard input never initializes twice.
#[test]
fn a_server_that_died_is_replaced() {
    let mut desk = Desk::script(SERVER);
    desk.initialize();
    for round in 0..3 {
        let before = desk.ask(&call(1, "x"))["result"]["pid"].clone();
        assert_eq!(desk.ask(&call(2, "die"))["error"]["data"]["code"], "MCP-003", "round {round}");
        let after = desk.ask(&call(3, "x"))["result"]["pid"].clone();
        assert!(before.is_u64() && after.is_u64() && before != after, "round {round}: {before} {after}");
    }
    let journal = desk.leave();
    let times = |id: &str, decision: &str| {
        let of = |line: &&Value| line["kind"] == "closing" && line["rpc_id"] == id && line["decision"] == decision;
        journal.iter().filter(of).count()
    };
    assert_eq!((times("1", "allowed"), times("3", "allowed")), (3, 3), "no call ran twice");
}

/// A2: a call that runs when standard input ends is still answered.
#[test]
fn the_last_call_is_answered() {
    let mut desk = Desk::script(SERVER);
    desk.initialize();
    desk.write(&call(9, "wait"));
    drop(desk.input.take());
    assert_eq!(desk.read()["id"], 9);
    desk.leave();
}

/// A2: a client that closes its end, or does not read, ends nothing but itself.
#[test]
fn a_client_that_does_not_read_is_survived() {
    let mut desk = Desk::script(SERVER);
    desk.initialize();
    let tree = descendants(desk.child.id());
    drop(desk.output.take());
    desk.write(PING);
    desk.write(PING);
    let status = until("the gateway to see it", || desk.child.try_wait().unwrap());
    assert!(status.success() && !desk.errors().contains("panic"), "{status}: {}", desk.errors());
    all_end(&tree);

    let mut desk = Desk::start(|line, dir| {
        let script = format!("{COMMON}{SERVER}");
        let config = format!(
            "environment = \"development\"\n[timeouts]\nshutdown = \"2s\"\n[servers.s]\ncommand = [\"python3\", \"-c\", '''{script}''']\n[audit]\ndir = \"{}/audit\"\n",
            dir.display()
        );
        write_private(&dir.join("palisade.toml"), &config);
        line.arg("--config").arg(dir.join("palisade.toml"));
    });
    desk.initialize();
    desk.write(&call(1, "large"));
    let tree = descendants(desk.child.id());
    // The answer is larger than any pipe: the gateway stands with it, and still ends when it is told.
    until("the answer to begin", || {
        let output = desk.output.as_mut().unwrap();
        (!output.fill_buf().unwrap().is_empty()).then_some(())
    });
    let asked = Instant::now();
    signal(desk.child.id(), "TERM");
    let status = until("the gateway to end", || desk.child.try_wait().unwrap());
    assert!(status.success(), "{status}: {}", desk.errors());
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
    all_end(&tree);
}

/// A2, B1: a file for production serves a client by standard input too: it needs no key, for who starts it can read them.
#[test]
fn a_file_for_production_serves() {
    let upstream = Upstream::echo();
    let url = upstream.url();
    let mut desk = Desk::start(|line, dir| {
        let config = format!(
            "[listen]\naddress = \"0.0.0.0:8080\"\nhosts = [\"mcp.example.com\"]\norigins = [\"https://app.example.com\"]\n\
             [[auth.keys]]\nname = \"test\"\nkey_file = \"key\"\n[servers.s]\nurl = \"{url}\"\n[audit]\ndir = \"{}/audit\"\n",
            dir.display()
        );
        write_private(&dir.join("key"), KEY);
        write_private(&dir.join("palisade.toml"), &config);
        line.arg("--config").arg(dir.join("palisade.toml"));
    });
    assert_eq!(desk.initialize()["result"]["protocolVersion"], "2025-11-25", "{}", desk.errors());
    assert_eq!(desk.ask(&call(3, "x"))["id"], 3);
    let modern = r#"{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"x","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    assert_eq!(desk.ask(modern)["id"], 4);
    let seen = upstream.requests();
    let header = |method: &str, name: &str| {
        let last = seen.iter().rfind(|request| request.method() == method).unwrap();
        last.header(name).map(str::to_owned)
    };
    assert_eq!(header("tools/call", "mcp-name").as_deref(), Some("x"));
    assert_eq!(header("tools/call", "mcp-protocol-version").as_deref(), Some("2026-07-28"));
    assert_eq!(header("notifications/initialized", "mcp-session-id").as_deref(), Some("upstream-session-1"));
    assert!(!desk.errors().contains(KEY));
    desk.leave();
}

/// A2: what a client of 2026-07-28 takes back is taken back upstream, and not answered.
#[test]
fn a_call_can_be_taken_back() {
    let script = r#"
answer(read()["id"], {"supportedVersions": ["2026-07-28"]})
first = read()
print('it has begun', file=sys.stderr, flush=True)
second, told = sorted([read(), read()], key=lambda message: "id" not in message)
say({"jsonrpc": "2.0", "id": first["id"], "result": {"late": True}})
answer(second["id"], {"told": told["method"], "same": told["params"]["requestId"] == first["id"]})
read()
"#;
    let mut desk = Desk::script(script);
    let call = |id: u32| {
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"x","_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
        )
    };
    desk.write(&call(1));
    until("the call to be under way", || desk.errors().contains("it has begun").then_some(()));
    desk.write(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#);
    let answer = desk.ask(&call(2));
    assert_eq!(
        (&answer["id"], &answer["result"]["told"]),
        (&json!(2), &json!("notifications/cancelled")),
        "{answer} {}",
        desk.errors()
    );
    assert_eq!(answer["result"]["same"], true);
    desk.leave();
}
