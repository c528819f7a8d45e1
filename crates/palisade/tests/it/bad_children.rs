//! Children that crash, hang, flood and lie (R7): callers hear of it in time, nobody else is harmed, nothing is left.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::children::{alive, all_end, descendants};
use crate::gate::{Answer, Gate, KEY, signal, until};

/// What every fake begins with: `answer(id, result)`, `read()` and `greet()`, which answers `initialize`.
pub(crate) const COMMON: &str = r#"
import json, os, signal, sys, time
def say(message):
    sys.stdout.write(json.dumps(message) + "\n"); sys.stdout.flush()
def answer(id, result):
    say({"jsonrpc": "2.0", "id": id, "result": result})
def read():
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)
    return json.loads(line)
def greet():
    answer(read()["id"], {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "n", "version": "0"}})
    read()
"#;

/// A server that does as it is told.
const GOOD: &str = r#"
greet()
while True:
    message = read()
    if "id" in message:
        answer(message["id"], {"cwd": os.getcwd(), "umask": os.umask(0o22)})
"#;

const PING: &[u8] = br#"{"jsonrpc":"2.0","id":5,"method":"ping"}"#;
const INITIALIZE: &[u8] = br#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"0"}}}"#;
/// Far less than any time limit in these tests.
const AT_ONCE: Duration = Duration::from_secs(3);

/// A gateway in front of `bad` and `good`, each with a limit of two seconds; `DIR` in the script is the test's folder.
struct Two {
    gate: Gate,
}

impl Two {
    fn new(script: &str) -> Self {
        let server = |name: &str, script: &str| {
            let script = format!("{COMMON}{script}");
            format!(
                "[servers.{name}]\ncommand = [\"python3\", \"-c\", '''{script}''']\ntimeout = \"2s\"\nmax_sessions = 8\n"
            )
        };
        let (bad, good) = (server("bad", script), server("good", GOOD));
        let text = format!(
            "environment = \"development\"\n[listen]\naddress = \"127.0.0.1:0\"\n[log]\nlevel = \"info\"\nformat = \"pretty\"\n\
             [limits]\nper_caller_per_minute = 100000\n[[auth.keys]]\nname = \"test\"\nkey = \"{KEY}\"\n\
             [audit]\ndir = \"DIR/audit\"\n{bad}{good}"
        );
        Self { gate: Gate::configured(&text) }
    }

    fn post(&self, server: &str, session: Option<&str>, body: &[u8]) -> Answer {
        let headers: Vec<_> = session.iter().map(|session| ("Mcp-Session-Id", *session)).collect();
        self.gate.raw(&self.gate.request("POST", &format!("/mcp/{server}"), &headers, body))
    }

    fn open(&self, server: &str) -> String {
        let answer = self.post(server, None, INITIALIZE);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let session = answer.header("mcp-session-id").unwrap_or_else(|| panic!("{}", answer.text())).to_owned();
        let told = self.post(server, Some(&session), br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        assert_eq!(told.status, 202, "{}", told.text());
        session
    }

    fn end(&self, server: &str, session: &str) {
        let end = self.gate.request("DELETE", &format!("/mcp/{server}"), &[("Mcp-Session-Id", session)], b"");
        assert_eq!(self.gate.raw(&end).status, 200);
    }

    fn file(&self, name: &str) -> PathBuf {
        self.gate.dir.path().join(name)
    }

    fn starts(&self) -> usize {
        std::fs::read(self.file("starts")).map_or(0, |starts| starts.len())
    }

    fn state(&self, server: &str) -> String {
        let status = self.gate.raw(&self.gate.request("GET", "/api/status", &[], b""));
        status.json()["servers"][server].as_str().unwrap().to_owned()
    }

    /// Checks that the other server answers at once, and that no record stays open; then that nothing is left.
    fn the_other_is_unharmed(self) {
        let started = Instant::now();
        let good = self.open("good");
        assert_eq!(self.post("good", Some(&good), PING).json()["id"], 5);
        assert!(started.elapsed() < AT_ONCE, "the other server waited");
        let left = descendants(self.gate.pid());
        drop(self.gate.journal());
        all_end(&left);
    }
}

/// Asks and checks that the answer, an error with this code, comes within a time.
fn fails(two: &Two, session: Option<&str>, body: &[u8], code: &str, within: Duration) -> Answer {
    let started = Instant::now();
    let answer = two.post("bad", session, body);
    assert_eq!(answer.code(), code, "{} {}", answer.status, answer.text());
    assert!(started.elapsed() < within, "{:?}", started.elapsed());
    answer
}

const START: &str = "open('DIR/starts', 'a').write('x')\n";

/// R7, A3: a child that dies at once is not started again and again: callers hear so at once and when to come back, one
/// tries when the pause is over, and with its first success all is well.
#[test]
fn a_crash_loop_is_slowed() {
    let two = Two::new(&format!("{START}\nif not os.path.exists('DIR/well'): sys.exit(3)\n{GOOD}"));
    let started = Instant::now();
    for call in 0..60 {
        let answer = fails(&two, None, INITIALIZE, "MCP-003", AT_ONCE);
        let seconds: Option<u64> = answer.header("retry-after").map(|seconds| seconds.parse().unwrap());
        assert!(call < 3 || seconds.is_some_and(|seconds| (1..=30).contains(&seconds)) || two.starts() > 3);
    }
    let most = 4 + usize::try_from(started.elapsed().as_secs()).unwrap();
    assert!((3..=most).contains(&two.starts()), "{} starts for 60 calls", two.starts());
    assert_eq!((two.state("bad").as_str(), two.state("good").as_str()), ("unavailable", "available"));
    std::fs::write(two.file("well"), "").unwrap();
    until("the server to be tried again", || (two.post("bad", None, INITIALIZE).code().is_empty()).then_some(()));
    assert_eq!(two.state("bad"), "available");
    two.open("bad");
    two.the_other_is_unharmed();
}

/// R7, A3: a shared child that answers the first question and dies of the next is slowed too.
#[test]
fn a_crash_loop_of_the_shared_child_is_slowed() {
    let two = Two::new(&format!("{START}\nanswer(read()['id'], {{'supportedVersions': ['2026-07-28']}})\nread()\n"));
    let call = br#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"x","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let headers = [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/call"), ("Mcp-Name", "x")];
    let started = Instant::now();
    for _ in 0..40 {
        let answer = two.gate.raw(&two.gate.request("POST", "/mcp/bad", &headers, call));
        assert_eq!(answer.code(), "MCP-003", "{}", answer.text());
    }
    let most = 8 + usize::try_from(started.elapsed().as_secs()).unwrap();
    assert!((3..=most).contains(&two.starts()), "{} starts for 40 calls", two.starts());
    two.the_other_is_unharmed();
}

/// R7, A3: a child that closes its stdout but lives can answer nobody: callers hear it at once, and it is ended.
#[test]
fn a_child_that_closes_stdout_is_ended() {
    let two = Two::new(
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\ngreet()\nread()\nos.close(1)\nwhile True: time.sleep(1)\n",
    );
    let session = two.open("bad");
    let tree = descendants(two.gate.pid());
    fails(&two, Some(&session), PING, "MCP-003", AT_ONCE);
    all_end(&tree);
    assert_eq!(two.post("bad", Some(&session), PING).status, 404, "a client starts anew");
    assert!(!two.open("bad").is_empty());
    two.the_other_is_unharmed();
}

/// R7, A3: a child that dies in the middle of an answer: its caller hears so at once.
#[test]
fn a_child_may_die_in_mid_answer() {
    let two = Two::new(
        "greet()\nread()\nsys.stdout.write('{\"jsonrpc\":\"2.0\",\"id\":5,\"res'); sys.stdout.flush()\nos._exit(1)\n",
    );
    let session = two.open("bad");
    fails(&two, Some(&session), PING, "MCP-003", AT_ONCE);
    two.the_other_is_unharmed();
}

/// R7, A3: what is not MCP is dropped, and the answer behind it arrives.
#[test]
fn output_that_is_no_message_is_dropped() {
    let two = Two::new(
        r#"
greet()
while True:
    message = read()
    out = sys.stdout.buffer
    for junk in [b"Listening on stdio", b"\xff\xfe\x00\x01", b"{", b"[]", b"[1,2]", b"null", b"{}", b'{"jsonrpc":"2.0"}',
                 b'{"jsonrpc":"2.0","id":5}', b'{"jsonrpc":"2.0","id":77,"result":{}}', b"[" * 100000, b"\x1b[31mred\x1b[0m",
                 b'{"jsonrpc":"2.0","id":5,"result":{"canary":1},"result":{}}', b'{"jsonrpc":"1.0","id":5,"result":{"canary":1}}']:
        out.write(junk + b"\n")
    out.flush()
    answer(message["id"], {"after": "junk"})
"#,
    );
    let session = two.open("bad");
    for _ in 0..3 {
        let answer = two.post("bad", Some(&session), PING);
        assert!(answer.text().contains("junk") && !answer.text().contains("canary"), "{}", answer.text());
    }
    two.the_other_is_unharmed();
}

/// Kilobytes of memory the gateway has ever held.
fn peak(gate: &Gate) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gate.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// How much the floods below write; the whole gigabyte with `PALISADE_LONG=1`.
fn flood() -> u64 {
    if std::env::var_os("PALISADE_LONG").is_some() { 1 << 30 } else { 100 << 20 }
}

/// R7, A3: a flood on stderr is read to its end, whatever its lines are, and takes neither memory nor the log.
#[test]
fn a_flood_on_stderr_is_drained() {
    let script = r#"
greet()
message = read()
for piece in [b"x" * 65536, b"y\n" * 32768]:
    for _ in range(FLOOD // 2 // 65536):
        os.write(2, piece)
answer(message["id"], {"written": True})
while True: read()
"#;
    let two = Two::new(&script.replace("FLOOD", &flood().to_string()));
    let session = two.open("bad");
    let before = peak(&two.gate);
    // The time limit is for silence; what is on stderr is none of its business, so ask until it is through.
    let answer = two.post("bad", Some(&session), PING);
    assert!(answer.text().contains("written") || answer.code() == "MCP-004", "{}", answer.text());
    until("the flood to be over", || two.gate.log.lock().unwrap().contains("are not shown").then_some(()));
    assert!(peak(&two.gate) < before + 16 * 1024, "{} KiB over {before}", peak(&two.gate) - before);
    assert!(two.gate.log.lock().unwrap().len() < 1 << 20, "the log is bounded");
    two.the_other_is_unharmed();
}

/// R7, A3: a line without end is an error at the limit, and takes no more memory than that.
#[test]
fn a_line_without_end_is_cut() {
    let script =
        "greet()\nread()\nfor _ in range(FLOOD // 65536):\n    os.write(1, b'x' * 65536)\nwhile True: time.sleep(1)\n";
    let two = Two::new(&script.replace("FLOOD", &flood().to_string()));
    let session = two.open("bad");
    let (before, tree) = (peak(&two.gate), descendants(two.gate.pid()));
    fails(&two, Some(&session), PING, "MCP-003", Duration::from_secs(20));
    // limits.answer is 10 MiB, and a buffer that grows doubles.
    assert!(peak(&two.gate) < before + 64 * 1024, "{} KiB over {before}", peak(&two.gate) - before);
    all_end(&tree);
    two.the_other_is_unharmed();
}

/// R7, A3: a child that does not read fills its pipe: callers hear it in time, and it gives its place back.
#[test]
fn a_child_that_does_not_read_gives_its_place_back() {
    let two = Two::new("signal.signal(signal.SIGTERM, signal.SIG_IGN)\ngreet()\nwhile True: time.sleep(1)\n");
    let sessions = [(); 4].map(|()| two.open("bad"));
    let tree = descendants(two.gate.pid());
    let message = "x".repeat(200_000);
    let large = format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":1,"progress":1,"message":"{message}"}}}}"#
    );
    for session in &sessions {
        for _ in 0..3 {
            assert_eq!(two.post("bad", Some(session), large.as_bytes()).status, 202);
        }
        fails(&two, Some(session), PING, "MCP-004", Duration::from_secs(10));
        two.end("bad", session);
    }
    all_end(&tree);
    until("a place", || two.post("bad", None, INITIALIZE).code().is_empty().then_some(()));
    two.the_other_is_unharmed();
}

/// R7, A3: a child that stops itself keeps nobody beyond the time limit, and ends with the gateway.
#[test]
fn a_stopped_child_is_ended_all_the_same() {
    let two = Two::new("greet()\nread()\nos.kill(os.getpid(), signal.SIGSTOP)\nwhile True: time.sleep(1)\n");
    let session = two.open("bad");
    fails(&two, Some(&session), PING, "MCP-004", Duration::from_secs(10));
    let tree = descendants(two.gate.pid());
    assert!(tree.iter().any(|pid| alive(*pid)));
    two.the_other_is_unharmed();
    all_end(&tree);
}

/// R7, A3: what a child does to its folder and its mask is its own affair.
#[test]
fn a_child_changes_only_itself() {
    let two = Two::new("os.chdir('/')\nos.umask(0o777)\ngreet()\nwhile True: answer(read()['id'], {})\n");
    let (bad, good) = (two.open("bad"), two.open("good"));
    assert_eq!(two.post("bad", Some(&bad), PING).status, 200);
    let before = two.post("good", Some(&good), PING).json()["result"].clone();
    let another = two.open("good");
    assert_eq!(two.post("good", Some(&another), PING).json()["result"], before);
    assert_ne!(before["cwd"], "/");
    assert_ne!(before["umask"], 0o777);
    two.the_other_is_unharmed();
}

/// R7, A3, I7: after kill -9 of the gateway nothing is left of children that do not read, do not listen or are stopped.
#[test]
fn nothing_outlives_a_killed_gateway() {
    for habit in [
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: time.sleep(1)",
        "os.kill(os.getpid(), signal.SIGSTOP)",
        "os.close(0)\nos.close(1)\nos.setsid() if os.fork() else time.sleep(4711)\ntime.sleep(4711)",
    ] {
        let two = Two::new(&format!("greet()\nopen('DIR/starts', 'a').write('x')\n{habit}\n"));
        two.open("bad");
        until("the child's habit", || (two.starts() == 1).then_some(()));
        let tree = descendants(two.gate.pid());
        signal(two.gate.pid(), "KILL");
        all_end(&tree);
    }
}
