//! A gateway whose output nobody reads, or that has none: it goes on.

use std::fs::OpenOptions;
use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::floods::settings;
use crate::gate::{Answer, KEY, palisade, signal, until, write_private};
use crate::upstream::Upstream;

/// A gateway that is known by its port alone.
struct Mute {
    child: Child,
    address: SocketAddr,
    _dir: tempfile::TempDir,
}

/// Starts one that logs much, with this for standard error; `Stdio::null()` stands for none at all.
fn start(upstream: &Upstream, stderr: Option<Stdio>) -> Mute {
    let dir = tempfile::tempdir().unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let text = settings(&upstream.url(), "", "").replace("127.0.0.1:0", &address.to_string());
    let file = dir.path().join("palisade.toml");
    write_private(&file, &text.replace("DIR", &dir.path().display().to_string()));
    let closed = if stderr.is_none() { ">&- 2>&-" } else { "" };
    let mut line = std::process::Command::new("sh");
    line.arg("-c").arg(format!("exec \"$@\" {closed}")).arg("sh").arg(palisade().get_program());
    line.args(["run", "--log-level", "debug", "--config"]).arg(&file);
    line.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr.unwrap_or_else(Stdio::null));
    let child = line.spawn().unwrap();
    until("it to listen", || TcpStream::connect(address).ok());
    Mute { child, address, _dir: dir }
}

impl Mute {
    /// Calls that are refused, each with a line in the log; then one that is answered.
    fn must_answer(&self, calls: usize) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut ask = |path: &str| {
            let body = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
            let request = format!(
                "POST {path} HTTP/1.1\r\nHost: {}\r\nX-Api-Key: {KEY}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                self.address,
                body.len()
            );
            std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
            Answer::read(&mut stream).status
        };
        let started = Instant::now();
        for call in 0..calls {
            assert_eq!(ask("/mcp/none"), 404, "call {call}");
        }
        assert_eq!(ask("/mcp"), 200);
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    }

    /// Stops it in order.
    fn stop(mut self) {
        signal(self.child.id(), "TERM");
        let status = until("it to end", || self.child.try_wait().unwrap());
        assert!(status.success(), "{status}");
    }
}

impl Drop for Mute {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// H5, R20, P-L1: nobody reads the log: calls do not wait for it, and what was lost is told when somebody reads again.
#[test]
fn nobody_reads_the_log() {
    let upstream = Upstream::echo();
    let mut gate = start(&upstream, Some(Stdio::piped()));
    gate.must_answer(2000);
    let mut errors = gate.child.stderr.take().unwrap();
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        errors.read_to_string(&mut text).unwrap();
        text
    });
    gate.must_answer(5);
    gate.stop();
    let text = reading.join().unwrap();
    assert!(text.len() < 1 << 18 && text.contains("listening on"), "{}", text.len());
    let lost = text.lines().find(|line| line.contains("log lines were lost")).expect("it is told");
    let lost: serde_json::Value = serde_json::from_str(lost).unwrap();
    assert!(lost["lost"].as_u64().unwrap() > 100, "{lost}");
}

/// H5, R20, P-L1: there is no output at all, the reader has gone, or the disk is full.
#[test]
fn there_is_no_output() {
    let upstream = Upstream::echo();
    let (reader, gone) = std::io::pipe().unwrap();
    drop(reader);
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    for stderr in [None, Some(Stdio::from(gone)), Some(Stdio::from(full))] {
        let gate = start(&upstream, stderr);
        gate.must_answer(50);
        gate.stop();
    }
}
