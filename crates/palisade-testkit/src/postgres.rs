//! A PostgreSQL server of our own: made in a temporary folder, gone with whoever started it, also when that is killed.
//!
//! PostgreSQL refuses to run as root, so under root it runs as Debian's `postgres`. It listens at a port of 127.0.0.1 and
//! at a socket in its folder. Whose it is, is called `palisade`; a gateway comes as `gate`, who owns its database and nothing
//! else. Both have the same password over TCP, and need none over the socket.

use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

/// The password of its user: what no log, error or dump may show.
pub const PASSWORD: &str = "Canary-5fQz81vUe0-password";

/// A server that runs, or is stopped for a while.
pub struct Postgres {
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
impl Postgres {
    /// Makes and starts one.
    ///
    /// # Panics
    ///
    /// Where PostgreSQL is missing: scripts/test-parts.sh installs it.
    pub fn start() -> Self {
        Self::with_tls(None)
    }

    /// One that speaks TLS with this certificate and key, as PEM.
    ///
    /// # Panics
    ///
    /// As [`Postgres::start`].
    pub fn with_tls(tls: Option<(&str, &str)>) -> Self {
        let folder = tempfile::Builder::new().prefix("palisade-postgres-").tempdir_in("/tmp").expect("a folder");
        give(folder.path());
        let password = folder.path().join("password");
        fs::write(&password, PASSWORD).expect("a file");
        give(&password);
        fs::set_permissions(&password, PermissionsExt::from_mode(0o600)).expect("mode");
        let data = folder.path().join("data");
        let made = unprivileged("initdb")
            .args(["--no-sync", "--no-instructions", "--username=palisade", "--encoding=UTF8", "--locale=C"])
            .args(["--auth-local=trust", "--auth-host=scram-sha-256"])
            .arg(format!("--pwfile={}", password.display()))
            .arg("-D")
            .arg(&data)
            .stdout(Stdio::null())
            .status()
            .expect("initdb runs");
        assert!(made.success(), "initdb failed");
        let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|free| free.local_addr()).expect("a port").port();
        let mut settings = format!(
            "port = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\nfsync = off\n\
             max_connections = 100\nlogging_collector = off\nlog_statement = 'none'\nautovacuum = on\n",
            folder.path().display()
        );
        if let Some((certificate, key)) = tls {
            for (name, text) in [("server.crt", certificate), ("server.key", key)] {
                fs::write(data.join(name), text).expect("a file");
                give(&data.join(name));
                fs::set_permissions(data.join(name), PermissionsExt::from_mode(0o600)).expect("mode");
            }
            settings.push_str("ssl = on\n");
        }
        let path = data.join("postgresql.conf");
        fs::OpenOptions::new()
            .append(true)
            .open(path)
            .and_then(|mut file| file.write_all(settings.as_bytes()))
            .expect("settings");
        let mut server = Self { folder, port, running: None };
        server.resume();
        server.sql("postgres", &format!("CREATE ROLE gate LOGIN PASSWORD '{PASSWORD}'"));
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
        let script = r#"folder=$1; shift; "$@" </dev/null & server=$!; read word; kill -INT $server 2>/dev/null
            wait $server; [ "$word" = keep ] || rm -rf "$folder""#;
        let mut shell = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(self.folder.path())
            .args(words(&unprivileged("postgres")))
            .arg("-D")
            .arg(self.folder.path().join("data"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(fs::File::create(self.folder.path().join("log")).expect("a log"))
            .spawn()
            .expect("a shell");
        let input = shell.stdin.take();
        self.running = Some(Running { shell, input });
        let end = Instant::now() + Duration::from_mins(1);
        while !self.answers() {
            assert!(Instant::now() < end, "PostgreSQL does not come: {}", self.log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends it as if the machine had lost its power: no connection is closed in order.
    ///
    /// # Panics
    ///
    /// Where it stays.
    pub fn kill(&mut self) {
        signal("KILL", &self.processes());
        self.stop();
    }

    /// Ends it in order, to be resumed.
    ///
    /// # Panics
    ///
    /// Where it stays.
    pub fn stop(&mut self) {
        if let Some(input) = self.running.as_mut().and_then(|running| running.input.as_mut()) {
            input.write_all(b"keep\n").expect("the shell reads");
        }
        self.end();
    }

    /// Starts it again as one that repeats another, until it is promoted.
    ///
    /// # Panics
    ///
    /// Where it does not come.
    pub fn stand_by(&mut self) {
        self.stop();
        let mark = self.folder.path().join("data/standby.signal");
        fs::write(&mark, "").expect("a file");
        give(&mark);
        self.resume();
    }

    /// Holds all its processes: everything is taken, and nothing answered.
    pub fn hold(&self) {
        signal("STOP", &self.processes());
    }

    /// Lets them go on.
    pub fn go_on(&self) {
        signal("CONT", &self.processes());
    }

    /// A new database of this name for a gateway, and where it is over TCP, without the password.
    ///
    /// # Panics
    ///
    /// Where there is one.
    pub fn database(&self, name: &str) -> String {
        self.sql("postgres", &format!("CREATE DATABASE \"{name}\" OWNER gate"));
        format!("postgres://gate@127.0.0.1:{}/{name}", self.port)
    }

    /// The file with the password.
    pub fn password_file(&self) -> PathBuf {
        self.folder.path().join("password")
    }

    /// Its port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The folder of its socket.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it answers to a statement of its owner's.
    ///
    /// # Panics
    ///
    /// Where it is none.
    pub fn sql(&self, database: &str, statement: &str) -> String {
        let asked = self.psql(database, statement).output().expect("psql runs");
        assert!(asked.status.success(), "{statement}: {}", String::from_utf8_lossy(&asked.stderr));
        String::from_utf8_lossy(&asked.stdout).trim().to_owned()
    }

    /// What it has logged since it was started last.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn answers(&self) -> bool {
        self.psql("postgres", "SELECT 1").stderr(Stdio::null()).output().is_ok_and(|asked| asked.status.success())
    }

    fn psql(&self, database: &str, statement: &str) -> Command {
        let mut psql = Command::new(program("psql"));
        psql.env_clear().arg("-h").arg(self.folder.path()).args(["-p", &self.port.to_string(), "-U", "palisade"]);
        psql.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", statement]);
        psql
    }

    /// The server's processes: the first, and its children.
    fn processes(&self) -> Vec<String> {
        let file = fs::read_to_string(self.folder.path().join("data/postmaster.pid")).unwrap_or_default();
        let Some(first) = file.lines().next().map(str::to_owned) else { return Vec::new() };
        let children = fs::read_to_string(format!("/proc/{first}/task/{first}/children")).unwrap_or_default();
        std::iter::once(first).chain(children.split_whitespace().map(str::to_owned)).collect()
    }

    fn end(&mut self) {
        let Some(mut running) = self.running.take() else { return };
        drop(running.input.take());
        running.shell.wait().expect("an end");
        // After a kill the file is still there, and names a process that is gone.
        drop(fs::remove_file(self.folder.path().join("data/postmaster.pid")));
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.go_on();
        self.end();
    }
}

/// The newest installed program of this name.
fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<_> =
        versions.map(|version| version.path().join("bin").join(name)).filter(|path| path.exists()).collect();
    found.sort();
    found.pop().unwrap_or_else(|| PathBuf::from(name))
}

/// Who is Debian's `postgres`; `None` where we are not root and run it as ourselves.
fn owner() -> Option<(u32, u32)> {
    let root = fs::metadata("/proc/self").is_ok_and(|about| std::os::unix::fs::MetadataExt::uid(&about) == 0);
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let line = users.lines().find(|line| line.starts_with("postgres:")).filter(|_| root)?;
    let mut fields = line.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

#[allow(clippy::expect_used, reason = "a test without its server ends")]
fn give(path: &Path) {
    if let Some((user, group)) = owner() {
        chown(path, Some(user), Some(group)).expect("root gives what it has");
    }
}

fn unprivileged(name: &str) -> Command {
    let Some((user, group)) = owner() else { return Command::new(program(name)) };
    let mut command = Command::new("setpriv");
    command.args([format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".to_owned()]);
    command.arg(program(name)).current_dir("/tmp");
    command
}

fn words(command: &Command) -> Vec<std::ffi::OsString> {
    std::iter::once(command.get_program()).chain(command.get_args()).map(ToOwned::to_owned).collect()
}

fn signal(name: &str, processes: &[String]) {
    drop(Command::new("kill").arg(format!("-{name}")).args(processes).stderr(Stdio::null()).status());
}
