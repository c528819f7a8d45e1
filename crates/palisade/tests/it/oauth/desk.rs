//! A desktop client's end of `palisade connect --oauth`, and the browser of whoever sits there: both are the test itself.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::gate::{get, palisade, until};

/// A running `palisade connect`.
pub(super) struct Desk {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    errors: Arc<Mutex<Vec<String>>>,
    _state: tempfile::TempDir,
}

/// A login that waits for its answer.
pub(super) struct Asked {
    /// Where the browser was sent.
    pub(super) address: String,
    pub(super) redirect: String,
    pub(super) state: String,
}

pub(super) const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"0"}}}"#;
pub(super) const CALL: &str =
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{}}}"#;

impl Desk {
    pub(super) fn start(url: &str, more: &[&str]) -> Self {
        let mut line = palisade();
        let state = tempfile::tempdir().unwrap();
        line.args(["connect", url, "--oauth"]).args(more).env("XDG_STATE_HOME", state.path());
        let mut child = line.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let errors = Arc::<Mutex<Vec<String>>>::default();
        let (stderr, kept) = (BufReader::new(child.stderr.take().unwrap()), Arc::clone(&errors));
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                kept.lock().unwrap().push(line);
            }
        });
        Self { child, input, output, errors, _state: state }
    }

    pub(super) fn write(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
    }

    pub(super) fn read(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}; {}", self.errors()))
    }

    pub(super) fn ask(&mut self, line: &str) -> Value {
        self.write(line);
        self.read()
    }

    pub(super) fn errors(&self) -> String {
        self.errors.lock().unwrap().join("\n")
    }

    /// Waits until it has said something.
    pub(super) fn must_say(&self, words: &str) {
        until(words, || self.errors().contains(words).then_some(()));
    }

    /// How often a person was asked to log in.
    pub(super) fn logins(&self) -> usize {
        self.errors.lock().unwrap().iter().filter(|line| line.starts_with("log in at ")).count()
    }

    /// The login that is asked for as the `number`th.
    pub(super) fn asked(&self, number: usize) -> Asked {
        let address = until("somebody to be asked", || {
            let errors = self.errors.lock().unwrap();
            errors.iter().filter_map(|line| line.strip_prefix("log in at ")).nth(number - 1).map(str::to_owned)
        });
        let field = |name: &str| {
            let found = address.split(['?', '&']).find_map(|field| field.strip_prefix(&format!("{name}=")));
            let found = found.unwrap_or_else(|| panic!("{name} is missing: {address}"));
            found.replace("%3A", ":").replace("%2F", "/")
        };
        Asked { redirect: field("redirect_uri"), state: field("state"), address }
    }

    /// How it ended.
    pub(super) fn ended(&mut self) -> (Option<i32>, String) {
        let status = until("the connector to end", || self.child.try_wait().unwrap());
        until("its last words", || (!self.errors().is_empty()).then_some(()));
        (status.code(), self.errors())
    }
}

impl Asked {
    /// Calls our address as a browser does: with the right state, and this.
    pub(super) fn answer(&self, rest: &str) -> String {
        self.knock(&format!("state={}&{rest}", self.state))
    }

    /// Calls our address with any query.
    pub(super) fn knock(&self, query: &str) -> String {
        get(&format!("{}?{query}", self.redirect))
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
