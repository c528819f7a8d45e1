//! The keeper: a small process between the gateway and one server, so that no server outlives the gateway.
//!
//! The gateway may be killed with SIGKILL, and a server may start children of its own, leave its process group or
//! ignore every signal. So each server runs under a keeper, which
//!
//! 1. starts the server, which is bound to the keeper's life (`PR_SET_PDEATHSIG`), in a process group of its own, on the keeper's own stdin, stdout and stderr, and closes its own
//!    stdout: only the server holds it then, so that the gateway sees a server which closes it;
//! 2. adopts whatever the server leaves behind (`PR_SET_CHILD_SUBREAPER`, prctl(2));
//! 3. waits for one of two things: the server has ended, or nobody can write to its stdin any more, which is so when the
//!    gateway has closed it or is dead (poll(2): a pipe without writers reports POLLHUP, whatever is still in it);
//! 4. gives the server two seconds to end by itself, as the specification asks; then ends every descendant (SIGTERM, two
//!    seconds, SIGKILL) and goes.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitCode};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, getpid, getppid, kill_process, kill_process_group, pidfd_open,
    set_child_subreaper, set_parent_process_death_signal, wait,
};
use rustix::stdio::dup2_stdout;

/// The hidden command word under which a keeper runs.
pub const COMMAND: &str = "keep-child";
/// What stands before the keeper's process id and the command, for the process that becomes the server.
const BOUND: &str = "--bound";

/// How long a server has between the end of its stdin and SIGTERM, and from there to SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// How long descendants are hunted; a process in uninterruptible sleep cannot be waited for.
const HUNT: Duration = Duration::from_secs(5);

/// Runs what stands behind `--` (program and arguments) until it ends or the gateway goes.
pub fn run(words: &[OsString]) -> ExitCode {
    let (word, command) = words.split_first().unzip();
    let command = command.unwrap_or_default();
    let done = if word.is_some_and(|word| word == BOUND) { bind(command) } else { keep(command) };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let program = command.first().map(|program| program.to_string_lossy().into_owned()).unwrap_or_default();
            // The gateway reads this from the server's stderr and logs it.
            drop(writeln!(io::stderr(), "palisade: cannot start {program:?}: {error}"));
            ExitCode::from(127)
        }
    }
}

fn keep(command: &[OsString]) -> io::Result<u8> {
    set_child_subreaper(Some(getpid()))?;
    let nothing = File::options().write(true).open("/dev/null")?;
    // This program once more, as it is running: the file may have been replaced.
    let own = getpid().as_raw_nonzero().to_string();
    let mut child =
        Command::new("/proc/self/exe").args([COMMAND, BOUND, &own]).args(command).process_group(0).spawn()?;
    let ended = dup2_stdout(&nothing).map_err(io::Error::from).and_then(|()| end_in_order(&child));
    let code = match ended {
        Ok(true) => child.wait().map_or(1, code_of),
        // It ignores every word, or cannot be watched.
        Ok(false) | Err(_) => kill(&mut child),
    };
    let _gone_already = kill_process_group(Pid::from_child(&child), Signal::KILL);
    end_descendants();
    Ok(code)
}

/// Becomes the server, bound to the life of the keeper: should somebody kill a keeper alone, nobody would end its server.
fn bind(words: &[OsString]) -> io::Result<u8> {
    let [keeper, program, arguments @ ..] = words else { return Err(io::Error::other("the command is empty")) };
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let parent = getppid().map(|parent| parent.as_raw_nonzero().to_string());
    if parent.as_deref().map(OsStr::new) != Some(keeper) {
        return Err(io::Error::other("its keeper is gone"));
    }
    Err(Command::new(program).args(arguments).exec())
}

/// Waits until the server has ended, or has been asked to in vain: by the end of its stdin, then by SIGTERM.
fn end_in_order(child: &Child) -> io::Result<bool> {
    let group = Pid::from_child(child);
    let ended = pidfd_open(group, PidfdFlags::empty())?;
    wait_for(&mut [PollFd::new(&ended, PollFlags::IN), PollFd::new(&io::stdin(), PollFlags::empty())], None)?;
    let soon = || wait_for(&mut [PollFd::new(&ended, PollFlags::IN)], Some(GRACE));
    let went = soon()?;
    let _gone_already = kill_process_group(group, Signal::TERM);
    if went { Ok(true) } else { soon() }
}

/// Waits for any of these; false when the time is over.
fn wait_for(fds: &mut [PollFd<'_>], patience: Option<Duration>) -> io::Result<bool> {
    let deadline = patience.map(|patience| Instant::now() + patience);
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let left = left.map(Timespec::try_from).transpose().map_err(io::Error::other)?;
        match poll(fds, left.as_ref()) {
            Ok(ready) => return Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn kill(child: &mut Child) -> u8 {
    drop(child.kill());
    child.wait().map_or(1, code_of)
}

fn code_of(status: std::process::ExitStatus) -> u8 {
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    u8::try_from(code).unwrap_or(1)
}

/// Kills whatever still descends from us. What a killed process leaves behind becomes ours, so this goes round until
/// there is nobody left.
fn end_descendants() {
    let deadline = Instant::now() + HUNT;
    while Instant::now() < deadline {
        for pid in children() {
            let _gone_already = kill_process(pid, Signal::KILL);
        }
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) => {}
            Ok(None) => std::thread::sleep(Duration::from_millis(5)),
            // No child is left.
            Err(_) => return,
        }
    }
}

/// Our children, by `/proc/PID/stat`.
fn children() -> Vec<Pid> {
    let own = getpid().as_raw_nonzero().get().to_string();
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let is_ours = |pid: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // "pid (name) state ppid …": the name may hold anything, so read after its last parenthesis.
        stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)) == Some(own.as_str())
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(is_ours)
        .filter_map(Pid::from_raw)
        .collect()
}
