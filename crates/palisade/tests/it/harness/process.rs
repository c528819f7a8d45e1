//! A child process of the tests whose standard error is read as it comes.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

/// How long anything may take that should take milliseconds: the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running program; killed when dropped.
pub(crate) struct Process {
    child: Child,
    name: String,
    errors: Arc<Lines>,
}

/// Lines as they come, and whether more can come.
#[derive(Default)]
struct Lines {
    seen: Mutex<(Vec<String>, bool)>,
    more: Condvar,
}

impl Process {
    /// Starts a program with nothing on standard input.
    pub(crate) fn start(mut command: Command) -> Self {
        let name = format!("{command:?}");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
        let errors = Arc::new(Lines::default());
        errors.follow(child.stderr.take().unwrap());
        Self { child, name, errors }
    }

    /// What follows `prefix` on the first line of standard error that starts with it.
    pub(crate) fn wait_for(&self, prefix: &str) -> String {
        let found =
            self.errors.wait(|lines| lines.iter().find_map(|line| line.strip_prefix(prefix)).map(str::to_owned));
        found.unwrap_or_else(|| panic!("{} never wrote {prefix:?}; it wrote:\n{}", self.name, self.stderr()))
    }

    /// Standard error so far.
    pub(crate) fn stderr(&self) -> String {
        self.errors.seen.lock().unwrap().0.join("\n")
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let ended = self.child.try_wait().unwrap().is_some() || ends(&pidfd(self.child.id()).unwrap(), PATIENCE);
        assert!(ended, "{} does not end; it wrote:\n{}", self.name, self.stderr());
        let status = self.child.wait().unwrap();
        // Its last words may still be in the pipe.
        self.errors.wait(|_| None::<()>);
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Lines {
    fn follow(self: &Arc<Self>, stream: impl Read + Send + 'static) {
        let lines = Arc::clone(self);
        thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                lines.seen.lock().unwrap().0.push(String::from_utf8_lossy(&line).into_owned());
                lines.more.notify_all();
            }
            lines.seen.lock().unwrap().1 = true;
            lines.more.notify_all();
        });
    }

    /// Looks again at each new line until something is found or nothing more can come.
    fn wait<T>(&self, look: impl Fn(&[String]) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = self.seen.lock().unwrap();
        loop {
            let found = look(&seen.0);
            if found.is_some() || seen.1 || Instant::now() >= deadline {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            seen = self.more.wait_timeout(seen, left).unwrap().0;
        }
    }
}

/// A handle to a process that stays its own when the number is given to another; `None` when it is gone.
pub(crate) fn pidfd(id: u32) -> Option<OwnedFd> {
    pidfd_open(Pid::from_raw(id.try_into().unwrap())?, PidfdFlags::empty()).ok()
}

/// Whether a process ends within this time.
pub(crate) fn ends(process: &OwnedFd, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    loop {
        let left = Timespec::try_from(deadline.saturating_duration_since(Instant::now())).unwrap();
        match poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&left)) {
            Ok(ready) => return ready > 0,
            // A client of ours in this process has lost a child.
            Err(Errno::INTR) => {}
            Err(error) => panic!("{error}"),
        }
    }
}
