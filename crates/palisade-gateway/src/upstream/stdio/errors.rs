//! What a server writes on stderr: read to its end, always, for a server that cannot write its log stops working; and
//! logged in a bounded part, for a server must not fill our log.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::time;

/// Bytes of a line that are logged.
const LINE: usize = 512;
/// Lines of one server that are logged in one second.
const LINES: u32 = 50;
const SECOND_MS: u64 = 1_000;

/// Reads until nobody can write any more.
pub(super) async fn drain(mut errors: impl AsyncRead + Unpin, server: Arc<str>) {
    let mut buffer = vec![0_u8; 4096];
    let mut log = Log::new(move |line: Line<'_>| match line {
        Line::Text(text) => tracing::info!(%server, stderr = %String::from_utf8_lossy(text).escape_debug()),
        Line::Omitted(lines) => tracing::warn!(%server, lines, "lines of the server's stderr are not shown"),
    });
    while let Ok(read @ 1..) = errors.read(&mut buffer).await {
        log.take(buffer.get(..read).unwrap_or_default(), time::now().monotonic_ms);
    }
    log.end();
}

/// One line for the log.
enum Line<'l> {
    Text(&'l [u8]),
    /// So many were left out.
    Omitted(u64),
}

struct Log<W> {
    write: W,
    line: Vec<u8>,
    second_ms: u64,
    lines: u32,
    omitted: u64,
}

impl<W: FnMut(Line<'_>)> Log<W> {
    fn new(write: W) -> Self {
        Self { write, line: Vec::new(), second_ms: 0, lines: 0, omitted: 0 }
    }

    fn take(&mut self, mut bytes: &[u8], now_ms: u64) {
        if now_ms.saturating_sub(self.second_ms) >= SECOND_MS {
            (self.second_ms, self.lines) = (now_ms, 0);
            self.tell_omitted();
        }
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            self.add(bytes.get(..end).unwrap_or_default());
            self.end_line();
            bytes = bytes.get(end + 1..).unwrap_or_default();
        }
        self.add(bytes);
    }

    fn add(&mut self, bytes: &[u8]) {
        let room = LINE.saturating_sub(self.line.len()).min(bytes.len());
        self.line.extend_from_slice(bytes.get(..room).unwrap_or_default());
    }

    fn end_line(&mut self) {
        if self.lines < LINES {
            self.lines += 1;
            (self.write)(Line::Text(&self.line));
        } else {
            self.omitted += 1;
        }
        self.line.clear();
    }

    fn tell_omitted(&mut self) {
        if self.omitted > 0 {
            (self.write)(Line::Omitted(std::mem::take(&mut self.omitted)));
        }
    }

    /// The last words may have no line break.
    fn end(&mut self) {
        if !self.line.is_empty() {
            self.end_line();
        }
        self.tell_omitted();
    }
}

#[cfg(test)]
mod tests {
    use super::{LINE, LINES, Line, Log};

    fn logged(feed: impl Fn(&mut dyn FnMut(&[u8], u64))) -> (Vec<usize>, u64) {
        let (mut lines, mut omitted) = (Vec::new(), 0);
        let mut log = Log::new(|line: Line<'_>| match line {
            Line::Text(text) => lines.push(text.len()),
            Line::Omitted(more) => omitted += more,
        });
        feed(&mut |bytes, now_ms| log.take(bytes, now_ms));
        log.end();
        (lines, omitted)
    }

    /// R7: a flood of lines is counted, not logged; a second later lines are logged again.
    #[test]
    fn a_flood_is_counted() {
        let most = usize::try_from(LINES).unwrap();
        let (lines, omitted) = logged(|take| {
            take(&b"x\n".repeat(most + 7), 5_000);
            take(b"y\n", 5_999);
            take(b"z\n", 6_000);
        });
        assert_eq!((lines.len(), omitted), (most + 1, 8));
    }

    /// R7: a line without end takes no more memory than the part of it that is logged.
    #[test]
    fn a_line_is_cut() {
        let (lines, omitted) = logged(|take| (0..1000).for_each(|_| take(&[b'x'; 4096], 0)));
        assert_eq!((lines, omitted), (vec![LINE], 0));
        assert_eq!(logged(|take| take(b"last words", 0)), (vec![10], 0));
    }
}
