//! The built program as a child process, spoken to in lines.

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

/// A running `palisade-demo`; killed when dropped.
pub(crate) struct Peer {
    child: Child,
    input: Option<ChildStdin>,
    output: Receiver<String>,
    errors: Receiver<String>,
}

impl Peer {
    /// Starts the program with these arguments.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_palisade-demo"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let output = lines_of(child.stdout.take().unwrap());
        let errors = lines_of(child.stderr.take().unwrap());
        Self { child, input, output, errors }
    }

    /// Sends one line and does not wait.
    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Sends one request and gives the next message, which must be its answer.
    pub(crate) fn ask(&mut self, request: &Value) -> Value {
        self.tell(&request.to_string());
        let answer = self.next_answer();
        assert_eq!(answer["id"], request["id"], "{answer}");
        answer
    }

    /// The next message of the program.
    pub(crate) fn next_answer(&self) -> Value {
        serde_json::from_str(&self.output.recv_timeout(PATIENCE).unwrap()).unwrap()
    }

    /// The next line on standard error.
    pub(crate) fn next_error_line(&self) -> String {
        self.errors.recv_timeout(PATIENCE).unwrap()
    }

    /// Closes standard input and waits for the end; gives what was still written, and the exit status.
    pub(crate) fn finish(mut self) -> (Vec<String>, ExitStatus) {
        drop(self.input.take());
        let rest = self.output.iter().collect();
        (rest, self.child.wait().unwrap())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A `tools/call` of the sessions era.
pub(crate) fn call(id: u64, tool: &str, arguments: &Value) -> Value {
    let params = json!({ "name": tool, "arguments": arguments });
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params })
}

/// A request of the sessions era that opens a session.
pub(crate) fn initialize(revision: &str) -> Value {
    let client = json!({ "name": "test", "version": "1" });
    let params = json!({ "protocolVersion": revision, "capabilities": {}, "clientInfo": client });
    json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params })
}

/// The same request with what each request of 2026-07-28 must carry.
pub(crate) fn stateless(mut request: Value) -> Value {
    request["params"]["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
    });
    request
}

fn lines_of(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

const PATIENCE: Duration = Duration::from_secs(20);
