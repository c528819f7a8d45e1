//! Starting a line-speaking server: a child process under its keeper, or a server inside this process.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::process::{Child, ChildStderr, Command};

use super::keeper;

/// How a server is started.
#[derive(Clone)]
pub(crate) enum Launch {
    /// As a child process.
    Command(CommandLine),
    /// Inside this process: handed one end of a pipe for each connection.
    InProcess(InProcess),
}

/// Starts a server inside this process on one end of a pipe.
pub type InProcess = Arc<dyn Fn(DuplexStream) + Send + Sync>;

/// A command as the operator wrote it.
#[derive(Clone, Debug)]
pub(crate) struct CommandLine {
    /// The palisade binary, which is its own keeper.
    pub(crate) keeper: PathBuf,
    /// Program and arguments; never a shell.
    pub(crate) command: Vec<String>,
    /// The whole environment of the child: chosen names and what the operator set, nothing of ours.
    pub(crate) environment: Vec<(std::ffi::OsString, std::ffi::OsString)>,
    /// Where it runs.
    pub(crate) working_dir: Option<PathBuf>,
}

impl CommandLine {
    /// Whether the program is there: better known before the first caller comes.
    pub(crate) fn must_exist(&self) -> Result<(), String> {
        let Some(program) = self.command.first() else { return Err("the command is empty".to_owned()) };
        let is_program =
            |path: &Path| path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0);
        let found = if program.contains('/') {
            let base = self.working_dir.as_deref().unwrap_or(Path::new(""));
            is_program(&base.join(program))
        } else {
            let path = self.environment.iter().find(|(name, _)| name == "PATH").map(|(_, path)| path.as_os_str());
            let folders =
                path.unwrap_or(OsStr::new("/usr/local/bin:/usr/bin:/bin")).as_bytes().split(|byte| *byte == b':');
            folders.map(|folder| Path::new(OsStr::from_bytes(folder)).join(program)).any(|path| is_program(&path))
        };
        if found { Ok(()) } else { Err(format!("there is no program {program:?}; check the command and PATH")) }
    }
}

/// A started server.
pub(super) struct Connection {
    pub(super) input: Box<dyn AsyncWrite + Send + Unpin>,
    pub(super) output: Box<dyn AsyncRead + Send + Unpin>,
    pub(super) process: Option<(Child, ChildStderr)>,
}

/// Bytes in flight to and from a server inside this process.
const PIPE: usize = 64 * 1024;

impl Launch {
    /// Starts one.
    pub(super) fn start(&self) -> io::Result<Connection> {
        let line = match self {
            Self::InProcess(serve) => {
                let (ours, theirs) = tokio::io::duplex(PIPE);
                serve(theirs);
                let (output, input) = tokio::io::split(ours);
                return Ok(Connection { input: Box::new(input), output: Box::new(output), process: None });
            }
            Self::Command(line) => line,
        };
        let mut command = Command::new(&line.keeper);
        command
            .arg(keeper::COMMAND)
            .arg("--")
            .args(&line.command)
            .env_clear()
            .envs(line.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Apart from our terminal's group, so that Ctrl-C reaches us alone and we end it in order.
            .process_group(0);
        if let Some(directory) = &line.working_dir {
            command.current_dir(directory);
        }
        let mut child = command.spawn()?;
        match (child.stdin.take(), child.stdout.take(), child.stderr.take()) {
            (Some(input), Some(output), Some(errors)) => {
                Ok(Connection { input: Box::new(input), output: Box::new(output), process: Some((child, errors)) })
            }
            _ => Err(io::Error::other("the child has no pipes")),
        }
    }
}
