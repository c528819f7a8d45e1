//! The built gateway as a process of its own: started, spoken to, stopped, and looked after.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::fd::OwnedFd;
use rustix::process::Signal;
use tempfile::TempDir;

use super::process::{Process, ends, pidfd};
use super::{Journal, parts};

/// What a gateway is started with.
#[derive(Default)]
pub(crate) struct Setup {
    words: Vec<String>,
    config: Option<String>,
    command: Vec<String>,
}

impl Setup {
    /// `palisade run`, with a server still to be named.
    pub(crate) fn run() -> Self {
        Self::default().word("run")
    }

    /// `palisade demo`
    pub(crate) fn demo() -> Self {
        Self::default().word("demo")
    }

    /// One more word on the command line.
    pub(crate) fn word(mut self, word: impl Into<String>) -> Self {
        self.words.push(word.into());
        self
    }

    /// Guards the server at this address.
    pub(crate) fn url(self, url: &str) -> Self {
        self.word("--url").word(url)
    }

    /// Guards the server that this command starts.
    pub(crate) fn command(mut self, command: &[&str]) -> Self {
        self.command = command.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// Writes a configuration file and passes it.
    pub(crate) fn config(mut self, toml: impl Into<String>) -> Self {
        self.config = Some(toml.into());
        self
    }

    /// Starts it and waits until it listens.
    pub(crate) fn start(self) -> Gateway {
        Gateway::start(&self)
    }
}

/// A running gateway.
pub(crate) struct Gateway {
    process: Process,
    folder: Option<TempDir>,
    address: SocketAddr,
    mark: String,
}

/// The variable by which the gateway's children are known.
const MARK: &str = "PALISADE_TEST_MARK";

/// How long children may outlive their session or their gateway: they need a moment to end.
const AFTERLIFE: Duration = Duration::from_secs(5);

impl Gateway {
    /// The key that clients of the tests use, `caller` by name.
    pub(crate) const KEY: &str = "kQ7vX2mN9pR4tW8yB3dF6hJ1lS5zC0gA";

    fn start(setup: &Setup) -> Self {
        let folder = TempDir::new().unwrap();
        let mark = folder.path().file_name().unwrap().to_string_lossy().into_owned();
        let process = Process::start(command(setup, folder.path(), &mark));
        let address = process.wait_for("listening on http://").parse().unwrap();
        Self { process, folder: Some(folder), address, mark }
    }

    /// Its MCP endpoint.
    pub(crate) fn mcp(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// Whether a process that it started lives, or one that such a process started.
    pub(crate) fn has_children(&self) -> bool {
        !self.children().is_empty()
    }

    /// Checks that every such process ends while the gateway runs: their sessions are over.
    pub(crate) fn must_lose_its_children(&self) {
        let left = self.children().iter().filter(|child| !ends(child, AFTERLIFE)).count();
        assert_eq!(left, 0, "children outlived their sessions");
    }

    /// Handles to the processes that it started, directly or not, that still live.
    fn children(&self) -> Vec<OwnedFd> {
        let mark = format!("{MARK}={}", self.mark);
        let ids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let marked = ids.filter(|id: &u32| {
            // What ends while we look is not there, or has no environment any more.
            let environment = fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
        });
        marked.filter_map(pidfd).collect()
    }

    /// Stops it as an operator would, and checks that it ends in order and that no child is left; gives its journal,
    /// verified.
    pub(crate) fn stop(mut self) -> Journal {
        self.end();
        let folder = self.folder.take().unwrap();
        Journal::verified(&folder.path().join("audit"))
    }

    fn end(&mut self) {
        let children = self.children();
        self.process.signal(Signal::TERM);
        let status = self.process.wait();
        assert!(status.success(), "the gateway ended with {status}:\n{}", self.process.stderr());
        let left = children.iter().filter(|child| !ends(child, AFTERLIFE)).count();
        assert_eq!(left, 0, "children outlived the gateway");
        assert!(self.children().is_empty(), "children were started while the gateway stopped, and outlived it");
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // Stopped already, or the test has failed: then the process is killed, and the first failure is told.
        if self.folder.is_some() && !std::thread::panicking() {
            self.end();
        }
    }
}

fn command(setup: &Setup, folder: &Path, mark: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_palisade"));
    // No setting of the person who runs the tests gets in.
    command.env_clear().current_dir(folder).env("PATH", parts::search_path()).env("HOME", folder);
    command.args(&setup.words).args(["--listen", "127.0.0.1:0", "--log-format", "pretty"]);
    command.arg("--audit-dir").arg(folder.join("audit"));
    let keys = format!("caller {}\n", Gateway::KEY);
    command.arg("--api-key-file").arg(private_file(&folder.join("keys"), &keys));
    if let Some(config) = &setup.config {
        command.arg("--config").arg(private_file(&folder.join("palisade.toml"), config));
    }
    if !setup.command.is_empty() {
        command.arg("--env").arg(format!("{MARK}={mark}")).arg("--").args(&setup.command);
    }
    command
}

/// Writes a file that nobody else can read, as keys must be kept.
fn private_file<'p>(path: &'p Path, text: &str) -> &'p Path {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    path
}
