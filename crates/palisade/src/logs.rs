//! Logs: on stderr, for people or as JSON lines. A correlation id stands in each line that belongs to a call.

use std::io::{self, StderrLock, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use palisade_gateway::config::{Format, Log};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Begins to log.
pub(crate) fn begin(log: Log) {
    let level = log.level.as_str();
    // The libraries' own chatter starts at warnings; it would show headers and addresses at debug level.
    let filter = EnvFilter::try_new(format!("warn,palisade={level},palisade_gateway={level}")).unwrap_or_default();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(Stderr).with_target(false);
    // A second start in one process keeps the first one's log.
    let _already = match log.format {
        Format::Json => builder.json().flatten_event(true).try_init(),
        Format::Pretty => builder.compact().with_ansi(false).try_init(),
    };
}

/// Stderr that never fails and never waits: a closed pipe or a full disk must not end a call, nor one that nobody reads
/// hold it. What finds no room is lost, and that is told when there is room again.
struct Stderr;

/// Lines lost since the last one that was written.
static LOST: AtomicU64 = AtomicU64::new(0);

/// What a pipe that can be written to takes at once (POSIX, `PIPE_BUF`).
const AT_ONCE: usize = 4096;

impl<'w> MakeWriter<'w> for Stderr {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        Self
    }
}

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Held from the look to the write, or the room that was seen would be taken by another thread.
        let mut stderr = io::stderr().lock();
        let lost = LOST.swap(0, Relaxed);
        let told = lost == 0 || {
            let line = format!("{{\"level\":\"WARN\",\"message\":\"log lines were lost\",\"lost\":{lost}}}\n");
            write_now(&mut stderr, line.as_bytes())
        };
        if !told || !write_now(&mut stderr, bytes) {
            LOST.fetch_add(lost + 1, Relaxed);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether there was room for these bytes, or nobody to miss them.
fn write_now(stderr: &mut StderrLock<'_>, bytes: &[u8]) -> bool {
    bytes.chunks(AT_ONCE).all(|chunk| {
        let room = poll(&mut [PollFd::new(stderr, PollFlags::OUT)], Some(&Timespec::default()));
        room.is_ok_and(|ready| ready > 0) && {
            drop(stderr.write_all(chunk));
            true
        }
    })
}
