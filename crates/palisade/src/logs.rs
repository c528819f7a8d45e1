//! Logs: on stderr, for people or as JSON lines. A correlation id stands in each line that belongs to a call.

use std::io::{self, Write};

use palisade_gateway::config::{Format, Log};
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

/// Stderr that never fails: a closed pipe or a full disk must not end a call.
struct Stderr;

impl<'w> MakeWriter<'w> for Stderr {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        Self
    }
}

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        drop(io::stderr().write_all(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
