//! The official clients, each behind the same plan and report. What a plan can hold is told in `tests/clients/visit.mjs`.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::process::{PATIENCE, ends, pidfd};
use super::{Gateway, Journal, parts, rust_client};

/// An official client, and how it finds the revision to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Client {
    /// The TypeScript SDK, version 1: up to 2025-11-25.
    TypeScript1,
    /// The TypeScript SDK, version 2.
    TypeScript2(&'static str),
    /// The Python SDK.
    Python(&'static str),
    /// The Rust SDK.
    Rust(&'static str),
}

/// What a client is to do.
#[derive(Debug, Serialize)]
pub(crate) struct Plan {
    pub(crate) url: String,
    pub(crate) key: Option<String>,
    /// A certificate to show, and its key: files, for clients that can.
    pub(crate) certificate: Option<[PathBuf; 2]>,
    /// A file of authorities to believe beside the system's, as each runtime is told.
    #[serde(skip)]
    pub(crate) authorities: Option<PathBuf>,
    /// The browser of an authorization server, for clients that log in instead.
    pub(crate) login: Option<String>,
    /// A command to start and to speak to by its standard input and output, instead of `url`.
    pub(crate) stdio: Option<Vec<String>>,
    /// `legacy`, `auto` or a revision to insist on; set by [`Plan::visit`].
    pub(crate) mode: &'static str,
    /// `sampling`, `elicitation`
    pub(crate) declares: Vec<&'static str>,
    pub(crate) steps: Vec<Value>,
}

/// What happened.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) revision: Option<String>,
    pub(crate) tools: Option<Vec<String>>,
    /// One for each step: `{"result": …}` or `{"error": {code, message, data}}`.
    pub(crate) steps: Vec<Value>,
    pub(crate) notifications: Vec<Value>,
    /// What the server asked of the client.
    pub(crate) asked: Vec<String>,
    /// Why the client gave up.
    pub(crate) error: Option<Value>,
    /// Why the client could not end its session, where the SDK says so.
    #[serde(default)]
    pub(crate) farewell: Option<Value>,
    /// How many HTTP requests were sent, where the SDK lets them be counted.
    #[serde(default)]
    pub(crate) sent: Option<usize>,
    /// The correlation ids of the answers, where the SDK shows them.
    #[serde(default)]
    pub(crate) correlations: Vec<String>,
}

impl Client {
    /// Every client that speaks legacy revisions, each made to.
    pub(crate) const LEGACY: [Self; 4] =
        [Self::TypeScript1, Self::TypeScript2("legacy"), Self::Python("legacy"), Self::Rust("legacy")];
    /// Every client that speaks 2026-07-28, insisting on it.
    pub(crate) const MODERN: [Self; 3] =
        [Self::TypeScript2("2026-07-28"), Self::Python("2026-07-28"), Self::Rust("2026-07-28")];
    /// Every client that finds out by itself what the server speaks.
    pub(crate) const AUTO: [Self; 3] = [Self::TypeScript2("auto"), Self::Python("auto"), Self::Rust("auto")];
}

impl Plan {
    /// A plan for a gateway, with the right key and no steps yet.
    pub(crate) fn to(gateway: &Gateway) -> Self {
        Self { key: Some(Gateway::KEY.to_owned()), ..Self::at(gateway.mcp()) }
    }

    /// A plan for a server, or a gateway, that the client starts itself.
    pub(crate) fn starting(command: Vec<String>) -> Self {
        Self { stdio: Some(command), ..Self::at(String::new()) }
    }

    /// A plan for an address, without a credential.
    pub(crate) fn at(url: String) -> Self {
        Self {
            url,
            key: None,
            certificate: None,
            authorities: None,
            login: None,
            stdio: None,
            mode: "legacy",
            declares: Vec::new(),
            steps: Vec::new(),
        }
    }

    /// One more step.
    pub(crate) fn step(mut self, step: Value) -> Self {
        self.steps.push(step);
        self
    }

    /// One more call of a tool.
    pub(crate) fn call(self, tool: &str, arguments: &Value) -> Self {
        self.step(json!({"call": tool, "arguments": arguments}))
    }

    /// Lets a client do it.
    pub(crate) fn visit(&mut self, client: Client) -> Report {
        let report = match client {
            Client::TypeScript1 => self.drive(parts::program("node"), "ts1.mjs", "legacy"),
            Client::TypeScript2(mode) => self.drive(parts::program("node"), "ts2.mjs", mode),
            Client::Python(mode) => self.drive(parts::python(), "python_client.py", mode),
            Client::Rust(mode) => {
                self.mode = mode;
                rust_client::visit(self)
            }
        };
        eprintln!("{client:?}: {}", serde_json::to_string(&report).unwrap());
        report
    }

    fn drive(&mut self, program: impl AsRef<OsStr>, script: &str, mode: &'static str) -> Report {
        self.mode = mode;
        let mut command = Command::new(program);
        command.arg(parts::script(script)).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(authorities) = &self.authorities {
            command.env("NODE_EXTRA_CA_CERTS", authorities).env("SSL_CERT_FILE", authorities);
        }
        let mut child = command.spawn().unwrap();
        let plan = serde_json::to_vec(self).unwrap();
        child.stdin.take().unwrap().write_all(&plan).unwrap();
        // Its report is one line of a few kilobytes; a pipe holds that, and its complaints, until the client has ended.
        let ended = pidfd(child.id()).is_none_or(|process| ends(&process, 2 * PATIENCE));
        if !ended {
            child.kill().unwrap();
        }
        let output = child.wait_with_output().unwrap();
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        assert!(ended, "{script} does not end; its report: {}", String::from_utf8_lossy(&output.stdout));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{script}: no report: {error}"))
    }
}

impl Report {
    /// The text of a step's result.
    pub(crate) fn text(&self, step: usize) -> &str {
        let result = &self.steps[step]["result"];
        result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("step {step} has no text: {}", self.steps[step]))
    }

    /// The error of a step.
    pub(crate) fn error(&self, step: usize) -> &Value {
        let error = &self.steps[step]["error"];
        assert!(error.is_object(), "step {step} has no error: {}", self.steps[step]);
        error
    }

    /// Whether a tool is listed.
    pub(crate) fn lists(&self, tool: &str) -> bool {
        self.tools.iter().flatten().any(|name| name == tool)
    }

    /// The notifications of one method.
    pub(crate) fn notifications_of(&self, method: &str) -> usize {
        self.notifications.iter().filter(|notification| notification["method"] == method).count()
    }

    /// Checks that the client connected, and that it left in order.
    pub(crate) fn must_connect(&self) {
        assert_eq!(self.error, None, "the client gave up");
        assert_eq!(self.farewell, None, "the client could not end its session");
    }

    /// Checks that it went through: connected, and every step that should have a result has one.
    pub(crate) fn must_succeed(&self) {
        self.must_connect();
        let failed: Vec<_> = self.steps.iter().filter(|step| step["error"].is_object()).collect();
        assert!(failed.is_empty(), "steps failed: {failed:?}");
    }
}

/// Checks that each arrival that the clients know of has its closing line, and that there is none that nobody sent.
pub(crate) fn all_recorded(journal: &Journal, reports: &[Report]) {
    let closed = journal.closed();
    let seen: Vec<&str> = reports.iter().flat_map(|report| &report.correlations).map(String::as_str).collect();
    let blind = reports.iter().all(|report| report.sent.is_none());
    assert!(blind || !seen.is_empty(), "no client saw a correlation id");
    let unique: HashSet<&str> = seen.iter().copied().collect();
    assert_eq!(unique.len(), seen.len(), "two answers bear one correlation id");
    let missing: Vec<_> = unique.difference(&closed).collect();
    assert!(missing.is_empty(), "arrivals without a closing line: {missing:?}");
    if let Some(sent) = reports.iter().map(|report| report.sent).sum::<Option<usize>>() {
        assert!(closed.len() <= sent, "{} closing lines for {sent} requests", closed.len());
    }
}
