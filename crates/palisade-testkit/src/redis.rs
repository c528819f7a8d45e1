//! A Redis server of our own: made in a temporary folder, gone with whoever started it, also when that is killed.
//!
//! It listens at a port of 127.0.0.1, and for its owner at a socket in its folder. A gateway comes as `gate`, who may do what
//! the manual lists and nothing else; nobody comes without a password. Its own user `default` is not switched off: Redis 7.0
//! would then lose what is in its append-only file.

use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

/// The password of its users: what no log, error or dump may show.
pub const PASSWORD: &str = "Canary-7mWq42xPz9-password";

/// What a gateway must be let do: what the manual lists.
pub const RIGHTS: &str = "resetchannels ~palisade:* -@all +ping +info +time +evalsha +script|load +select +cluster|slots \
                          +cluster|nodes +exists +get +set +del +pexpire +hget +hmget +hset +hdel +hincrby +zadd +zcard \
                          +zrem +zscore +zrangebyscore +zremrangebyscore";

/// A server that runs, or is stopped for a while.
pub struct Redis {
    folder: tempfile::TempDir,
    port: u16,
    running: Option<Running>,
}

/// A shell that runs the server until the other end of its standard input is closed.
struct Running {
    shell: Child,
    input: Option<ChildStdin>,
}

#[allow(clippy::expect_used, reason = "a test without its server ends")]
impl Redis {
    /// Makes and starts one.
    ///
    /// # Panics
    ///
    /// Where Redis is missing: scripts/test-parts.sh installs it.
    pub fn start() -> Self {
        Self::with("")
    }

    /// One that speaks nothing but TLS, with this certificate and key, as PEM.
    ///
    /// # Panics
    ///
    /// As [`Redis::start`].
    pub fn with_tls(certificate: &str, key: &str) -> Self {
        Self::made(Some((certificate, key)), "")
    }

    /// One with more lines of settings.
    ///
    /// # Panics
    ///
    /// As [`Redis::start`].
    pub fn with(settings: &str) -> Self {
        Self::made(None, settings)
    }

    fn made(tls: Option<(&str, &str)>, more: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("palisade-redis-").tempdir_in("/tmp").expect("a folder");
        let port = free_port();
        let at = folder.path().display();
        let ports = match tls {
            None => format!("port {port}\n"),
            Some((certificate, key)) => {
                fs::write(folder.path().join("server.crt"), certificate).expect("a file");
                fs::write(folder.path().join("server.key"), key).expect("a file");
                format!(
                    "port 0\ntls-port {port}\ntls-cert-file {at}/server.crt\ntls-key-file {at}/server.key\n\
                     tls-auth-clients no\n"
                )
            }
        };
        let settings = format!(
            "{ports}bind 127.0.0.1\ndir {at}\nunixsocket {at}/socket\nsave \"\"\nappendonly no\nlogfile {at}/log\n\
             pidfile {at}/pid\ndaemonize no\nenable-debug-command local\nmasterauth {PASSWORD}\n\
             user default on resetpass >{PASSWORD} ~* &* +@all\nuser gate on >{PASSWORD} {RIGHTS}\n{more}\n"
        );
        fs::write(folder.path().join("redis.conf"), settings).expect("settings");
        let password = folder.path().join("password");
        fs::write(&password, PASSWORD).expect("a file");
        fs::set_permissions(&password, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("mode");
        let mut server = Self { folder, port, running: None };
        server.resume();
        server
    }

    /// Starts it again where it was stopped.
    ///
    /// # Panics
    ///
    /// Where it does not come.
    pub fn resume(&mut self) {
        if self.running.is_some() {
            return;
        }
        // It ends with us: `read` returns when nobody holds the other end any more, and then its folder goes too.
        let script = r#"folder=$1; shift; "$@" </dev/null & server=$!; read word; kill -KILL $server 2>/dev/null
            wait $server; [ "$word" = keep ] || rm -rf "$folder""#;
        let mut shell = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(self.folder.path())
            .arg("redis-server")
            .arg(self.folder.path().join("redis.conf"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let input = shell.stdin.take();
        self.running = Some(Running { shell, input });
        let end = Instant::now() + Duration::from_mins(1);
        while self.asked(&["PING"]).as_deref() != Some("PONG") {
            assert!(Instant::now() < end, "Redis does not come: {}", self.log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it as if the machine had lost its power.
    ///
    /// # Panics
    ///
    /// Where it stays.
    pub fn kill(&mut self) {
        self.go_on();
        let Some(mut running) = self.running.take() else { return };
        if let Some(input) = running.input.as_mut() {
            input.write_all(b"keep\n").expect("the shell reads");
        }
        drop(running.input.take());
        running.shell.wait().expect("an end");
    }

    /// Holds it: everything is taken, and nothing answered.
    pub fn hold(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.signal("CONT");
    }

    /// Its port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The file with the password.
    pub fn password_file(&self) -> std::path::PathBuf {
        self.folder.path().join("password")
    }

    /// What it answers to its owner.
    ///
    /// # Panics
    ///
    /// Where it does not.
    pub fn ask(&self, words: &[&str]) -> String {
        self.asked(words).expect("an answer")
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn asked(&self, words: &[&str]) -> Option<String> {
        let mut line = Command::new("redis-cli");
        line.env("REDISCLI_AUTH", PASSWORD).arg("-s").arg(self.folder.path().join("socket"));
        let asked = line.arg("--no-auth-warning").args(words).output().ok()?;
        asked.status.success().then(|| String::from_utf8_lossy(&asked.stdout).trim().to_owned())
    }

    fn signal(&self, name: &str) {
        let process = fs::read_to_string(self.folder.path().join("pid")).unwrap_or_default();
        let line = ["-".to_owned() + name, process.trim().to_owned()];
        drop(Command::new("kill").args(line).stderr(Stdio::null()).status());
    }
}

/// A port that is free, and so is the one at which nodes of a cluster speak to each other.
#[allow(clippy::expect_used, reason = "a test without its server ends")]
fn free_port() -> u16 {
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let mut ports = std::iter::from_fn(|| TcpListener::bind(("127.0.0.1", 0)).ok()?.local_addr().ok()).take(1000);
    let port = ports.find(|found| found.port().checked_add(10_000).is_some_and(is_free));
    port.expect("a port").port()
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.go_on();
        if let Some(mut running) = self.running.take() {
            drop(running.input.take());
            drop(running.shell.wait());
        }
    }
}
