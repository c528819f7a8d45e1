//! The built program, started for one test; and requests to it byte by byte.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The key that tests call with.
pub(crate) const KEY: &str = "kZ8vQ2mN5xR7tY1wB4cD6fG9hJ3lP0sAu";

/// The key of another caller.
pub(crate) const OTHER: &str = "oX3nB7qW9eR2tY5uI8oP1sD4fG6hJ0kLz";

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// A gateway that runs.
pub(crate) struct Gate {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) log: Arc<Mutex<String>>,
}

impl Gate {
    /// `palisade run` in front of an HTTP server.
    pub(crate) fn before(url: &str) -> Self {
        Self::run(&["--url", url], &[])
    }

    /// `palisade run` with these arguments, after `--` with this command.
    pub(crate) fn run(arguments: &[&str], command: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("keys");
        write_private(&keys, &format!("test {KEY}\n"));
        let audit = dir.path().join("audit");
        let mut line = palisade();
        line.args(["run", "--listen", "127.0.0.1:0", "--log-level", "debug"]).arg("--api-key-file").arg(keys);
        line.arg("--audit-dir").arg(audit).args(arguments);
        if !command.is_empty() {
            line.arg("--").args(command);
        }
        Self::start(line, dir)
    }

    /// `palisade run` in front of a command, for two callers: the usual one and the holder of [`OTHER`].
    pub(crate) fn for_two(command: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("keys");
        write_private(&keys, &format!("test {KEY}\nother {OTHER}\n"));
        let mut line = palisade();
        line.args(["run", "--listen", "127.0.0.1:0", "--api-key-file"]).arg(keys);
        line.arg("--audit-dir").arg(dir.path().join("audit")).arg("--").args(command);
        Self::start(line, dir)
    }

    /// `palisade run --config` with this text, in which `DIR` is the test's own folder.
    pub(crate) fn configured(text: &str) -> Self {
        Self::configured_with(text, &[])
    }

    /// The same with other files beside it.
    pub(crate) fn configured_with(text: &str, files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let file = dir.path().join("palisade.toml");
        write_private(&file, &text.replace("DIR", &dir.path().display().to_string()));
        let mut line = palisade();
        line.arg("run").arg("--config").arg(file);
        Self::start(line, dir)
    }

    /// Starts a command that serves, and waits until it says where.
    pub(crate) fn start(mut line: Command, dir: tempfile::TempDir) -> Self {
        let mut child = line.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let errors = BufReader::new(child.stderr.take().unwrap());
        let (kept, (ready, address)) = (Arc::clone(&log), std::sync::mpsc::channel());
        std::thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                let address = line.split_once("listening on ").and_then(|(_, url)| url.split_once("://"));
                if let Some((_, address)) = address {
                    ready.send(address.trim().parse::<SocketAddr>().unwrap()).unwrap();
                }
                writeln!(kept.lock().unwrap(), "{line}").unwrap();
            }
        });
        let Ok(address) = address.recv_timeout(PATIENCE) else {
            child.kill().unwrap();
            panic!("the gateway did not start: {}", log.lock().unwrap());
        };
        Self { child, address, dir, log }
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The journal's folder.
    pub(crate) fn audit(&self) -> PathBuf {
        self.dir.path().join("audit")
    }

    /// Sends bytes on a new connection and reads one answer.
    pub(crate) fn raw(&self, request: &[u8]) -> Answer {
        let mut stream = self.connect();
        // A refused request may be answered before it was read to the end.
        drop(stream.write_all(request));
        Answer::read(&mut stream)
    }

    /// A connection.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// A POST to `/mcp` with the key and these headers beside the usual ones.
    pub(crate) fn post(&self, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.raw(&self.request("POST", "/mcp", headers, body))
    }

    /// A request with the key; a header given replaces the usual one, an empty value removes it.
    pub(crate) fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
        let (host, bearer, length) = (self.address.to_string(), format!("Bearer {KEY}"), body.len().to_string());
        let usual = [
            ("Host", host.as_str()),
            ("Authorization", &bearer),
            ("Content-Type", "application/json"),
            ("Accept", "application/json, text/event-stream"),
            ("Content-Length", &length),
            ("Connection", "close"),
        ];
        let given = |name: &str| headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
        let mut request = format!("{method} {path} HTTP/1.1\r\n");
        for (name, value) in
            usual.iter().filter(|(name, _)| !given(name)).chain(headers.iter().filter(|(_, value)| !value.is_empty()))
        {
            write!(request, "{name}: {value}\r\n").unwrap();
        }
        request.push_str("\r\n");
        [request.as_bytes(), body].concat()
    }

    /// Opens a legacy session.
    pub(crate) fn initialize(&self, revision: &str) -> String {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"{revision}","capabilities":{{}},"clientInfo":{{"name":"test","version":"0"}}}}}}"#
        );
        let answer = self.post(&[], body.as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
        let session = answer.header("mcp-session-id").expect("a session").to_owned();
        let told =
            self.post(&[("Mcp-Session-Id", &session)], br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        assert_eq!(told.status, 202, "{}", told.text());
        session
    }

    /// Stops the gateway in order, and returns the lines of its journal, which must be intact.
    pub(crate) fn journal(mut self) -> Vec<serde_json::Value> {
        self.stop();
        self.verify()
    }

    /// The lines of the journal of a gateway that has ended.
    pub(crate) fn verify(&self) -> Vec<serde_json::Value> {
        let mut verified = String::new();
        let output = palisade().args(["audit", "verify"]).arg(self.audit()).output().unwrap();
        verified.push_str(&String::from_utf8_lossy(&output.stdout));
        assert!(output.status.success(), "{verified}{}", String::from_utf8_lossy(&output.stderr));
        assert!(verified.contains(" 0 open"), "{verified}");
        lines(&self.audit())
    }

    /// Waits until the gateway ends.
    pub(crate) fn ended(&mut self) -> std::process::ExitStatus {
        wait(&mut self.child)
    }

    /// Stops the gateway in order.
    pub(crate) fn stop(&mut self) {
        signal(self.pid(), "TERM");
        let status = wait(&mut self.child);
        assert!(status.success(), "{status}: {}", self.log.lock().unwrap());
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            signal(self.child.id(), "TERM");
            wait(&mut self.child);
        }
    }
}

fn wait(child: &mut Child) -> std::process::ExitStatus {
    until("the gateway to end", || child.try_wait().unwrap())
}

/// Asks again and again until there is an answer; fails when patience is at its end.
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sends a signal by its name.
pub(crate) fn signal(pid: u32, name: &str) {
    assert!(Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status().unwrap().success());
}

/// The built program with an environment in which nothing of ours is set.
pub(crate) fn palisade() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_palisade"));
    for name in
        ["MCP_API_KEYS", "API_KEY", "AUTH_TOKEN", "MCP_API_KEY_HASH", "ENVIRONMENT", "DISABLE_AUTH", "AUTH_MODE"]
    {
        command.env_remove(name);
    }
    command
}

/// Runs the built program to its end.
pub(crate) fn output(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    palisade().args(arguments).envs(environment.iter().copied()).stdin(Stdio::null()).output().unwrap()
}

/// The body of what an address answers.
pub(crate) fn get(url: &str) -> String {
    let (host, path) = url.trim_start_matches("http://").split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    Answer::read(&mut stream).text()
}

/// A file that only its owner can read.
pub(crate) fn write_private(path: &Path, text: &str) {
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// The lines of a journal.
pub(crate) fn lines(dir: &Path) -> Vec<serde_json::Value> {
    let mut segments: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    segments.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    segments.sort();
    let text: String = segments.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Reads one answer to the end of the connection or of its body.
    pub(crate) fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        let mut chunk = [0; 8192];
        loop {
            if let Some(answer) = Self::parse(&bytes, false) {
                return answer;
            }
            match stream.read(&mut chunk) {
                Ok(0) => {
                    return Self::parse(&bytes, true)
                        .unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(&bytes)));
                }
                Ok(read) => bytes.extend_from_slice(&chunk[..read]),
                // Some child of this process was stopped, or went on.
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) if bytes.is_empty() => panic!("no answer: {error}"),
                Err(_) => return Self::parse(&bytes, true).expect("half an answer"),
            }
        }
    }

    pub(crate) fn parse(bytes: &[u8], ended: bool) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers: Vec<_> = lines
            .filter_map(|line| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned())))
            .collect();
        let mut answer = Self { status, headers, body: bytes[end + 4..].to_vec() };
        if answer.header("transfer-encoding").is_some() {
            let (body, whole) = unchunk(&answer.body);
            answer.body = body;
            return (whole || ended).then_some(answer);
        }
        let length: usize = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        (answer.body.len() >= length || ended).then_some(answer)
    }

    /// The one value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; of a stream, its messages.
    pub(crate) fn json(&self) -> serde_json::Value {
        if self.header("content-type") == Some("text/event-stream") {
            let text = self.text();
            let data = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| !data.is_empty());
            return data.map(|data| serde_json::from_str::<serde_json::Value>(data).unwrap()).collect();
        }
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// `data.code` of a refusal, in JSON-RPC or plain.
    pub(crate) fn code(&self) -> String {
        let json = self.json();
        let code = json.pointer("/error/data/code").or_else(|| json.get("code"));
        code.and_then(|code| code.as_str()).unwrap_or_default().to_owned()
    }
}

/// What stands in a chunked body, and whether it has ended.
/// Sends a request and leaves the answer where it is.
pub(crate) fn begun(gate: &Gate, request: &[u8]) -> TcpStream {
    let mut stream = gate.connect();
    stream.write_all(request).unwrap();
    stream
}

/// Whether something has come by now; a byte of it is lost.
pub(crate) fn is_answered(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    match stream.read(&mut [0]) {
        Ok(read) => read > 0,
        Err(error) => {
            assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
            false
        }
    }
}

fn unchunk(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(end) = rest.windows(2).position(|window| window == b"\r\n") else { return (body, false) };
        let Ok(size) = usize::from_str_radix(&String::from_utf8_lossy(&rest[..end]), 16) else { return (body, false) };
        if size == 0 {
            return (body, true);
        }
        let Some(chunk) = rest.get(end + 2..end + 2 + size) else { return (body, false) };
        body.extend_from_slice(chunk);
        rest = rest.get(end + 4 + size..).unwrap_or_default();
    }
}
