//! One running line-speaking server: lines in, lines out, and its end.
//!
//! Dropping the [`Link`] stops the server: stdin is closed, and after a grace stdout too, upon which the keeper
//! ends the whole tree.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufWriter};
use tokio::process::ChildStderr;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::task::TaskTracker;

use super::launch::{Connection, Launch};

/// Lines that wait for the server to read them.
const QUEUED: usize = 128;
/// How long a server may take to go when its stdin is closed.
const GRACE: Duration = Duration::from_secs(2);
/// How long a keeper may take after that: its own grace and hunt, and some more.
const KEEPER_GRACE: Duration = Duration::from_secs(10);

/// The way to a running server.
#[derive(Debug, Clone)]
pub(super) struct Link {
    lines: mpsc::Sender<Bytes>,
}

/// What a running server says is told here.
pub(super) trait Listener: Send + 'static {
    /// One line, without its end.
    fn line(&mut self, line: Bytes);
    /// The server has gone.
    fn ended(&mut self);
}

impl Link {
    /// Starts a server, which holds its place until it is gone for good. Its output goes to the listener that `listen` makes.
    pub(super) fn start<L: Listener>(
        launch: &Launch,
        name: &Arc<str>,
        line_bytes: usize,
        tasks: &TaskTracker,
        place: Option<OwnedSemaphorePermit>,
        listener: L,
    ) -> io::Result<Self> {
        let connection = launch.start()?;
        let (lines, queued) = mpsc::channel(QUEUED);
        let running = run(connection, Arc::clone(name), line_bytes, queued, listener);
        tasks.spawn(async move {
            running.await;
            // Only now is there room for another child.
            drop(place);
        });
        Ok(Self { lines })
    }

    /// Sends one message; false when the server has gone.
    pub(super) async fn send(&self, message: Bytes) -> bool {
        self.lines.send(one_line(message)).await.is_ok()
    }

    /// Sends one message if there is room at once.
    pub(super) fn try_send(&self, message: Bytes) -> bool {
        self.lines.try_send(one_line(message)).is_ok()
    }

    /// Whether the server has gone.
    pub(super) fn is_closed(&self) -> bool {
        self.lines.is_closed()
    }
}

/// A message on one line. The only raw line breaks in strict JSON are white space between its tokens: inside a
/// string they are escaped. Left in, they would make two messages of one (message smuggling).
fn one_line(message: Bytes) -> Bytes {
    if memchr::memchr2(b'\n', b'\r', &message).is_none() {
        return message;
    }
    let spaced = message.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte });
    spaced.collect::<Vec<_>>().into()
}

async fn run<L: Listener>(
    connection: Connection,
    name: Arc<str>,
    line_bytes: usize,
    queued: mpsc::Receiver<Bytes>,
    mut listener: L,
) {
    let Connection { input, output, process } = connection;
    let (mut child, errors) = process.map_or((None, None), |(child, errors)| (Some(child), Some(errors)));
    let drained = errors.map(|errors| tokio::spawn(drain(errors, Arc::clone(&name))));
    {
        let mut lines = Lines::new(output, line_bytes);
        let writing = write(input, queued);
        tokio::pin!(writing);
        let mut stopping: Option<std::pin::Pin<Box<tokio::time::Sleep>>> = None;
        loop {
            tokio::select! {
                line = lines.next() => match line {
                    Ok(Some(line)) => listener.line(line),
                    Ok(None) => break,
                    Err(error) => {
                        tracing::warn!(server = %name, %error, "the server's output cannot be read");
                        break;
                    }
                },
                () = &mut writing, if stopping.is_none() => stopping = Some(Box::pin(tokio::time::sleep(GRACE))),
                () = async { if let Some(sleep) = &mut stopping { sleep.await } }, if stopping.is_some() => break,
            }
        }
        // Here both pipes are closed: the keeper sees it and ends what is left.
    }
    listener.ended();
    drop(listener);
    if let Some(child) = &mut child {
        match tokio::time::timeout(KEEPER_GRACE, child.wait()).await {
            Ok(Ok(status)) if status.success() => tracing::debug!(server = %name, "the server has ended"),
            Ok(Ok(status)) => tracing::warn!(server = %name, %status, "the server has ended"),
            Ok(Err(error)) => tracing::warn!(server = %name, %error, "the server cannot be waited for"),
            Err(_) => drop(child.kill().await),
        }
    }
    if let Some(drained) = drained {
        drained.abort();
    }
}

/// Writes lines until nobody can send any more, or the server stops reading.
async fn write(input: Box<dyn AsyncWrite + Send + Unpin>, mut queued: mpsc::Receiver<Bytes>) {
    let mut input = BufWriter::new(input);
    while let Some(line) = queued.recv().await {
        let written = async {
            input.write_all(&line).await?;
            input.write_all(b"\n").await?;
            if queued.is_empty() { input.flush().await } else { Ok(()) }
        };
        if written.await.is_err() {
            return;
        }
    }
    drop(input.shutdown().await);
}

/// Reads stderr to its end, always: a server that cannot write its log stops working. The log gets a bounded part.
async fn drain(mut errors: ChildStderr, name: Arc<str>) {
    const LINE: usize = 512;
    let mut buffer = [0_u8; 4096];
    let mut line: Vec<u8> = Vec::with_capacity(LINE);
    while let Ok(read @ 1..) = errors.read(&mut buffer).await {
        for byte in buffer.iter().take(read) {
            if *byte == b'\n' {
                tracing::info!(server = %name, stderr = %String::from_utf8_lossy(&line).escape_debug());
                line.clear();
            } else if line.len() < LINE {
                line.push(*byte);
            }
        }
    }
}

/// Lines of a server's output, each at most `limit` bytes.
pub(super) struct Lines<R> {
    output: R,
    buffer: BytesMut,
    scanned: usize,
    limit: usize,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(output: R, limit: usize) -> Self {
        Self { output, buffer: BytesMut::with_capacity(8192), scanned: 0, limit }
    }

    /// The next line that is not empty. Safe to drop half-way: what was read stays.
    pub(super) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let found = self.buffer.get(self.scanned..).and_then(|rest| memchr::memchr(b'\n', rest));
            if let Some(offset) = found {
                let mut line = self.buffer.split_to(self.scanned + offset + 1);
                self.scanned = 0;
                line.truncate(line.len() - 1);
                if line.last() == Some(&b'\r') {
                    line.truncate(line.len() - 1);
                }
                if line.is_empty() {
                    continue;
                }
                return Ok(Some(line.freeze()));
            }
            self.scanned = self.buffer.len();
            if self.scanned > self.limit {
                return Err(io::Error::other("a line beyond limits.answer"));
            }
            if self.output.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Lines, one_line};
    use bytes::Bytes;

    /// E1: white space inside a message cannot split it on a line-based transport.
    #[test]
    fn a_message_is_one_line() {
        let message = Bytes::from_static(b"{\n\"a\":\r\n\"b\\n\"}");
        assert_eq!(one_line(message), Bytes::from_static(b"{ \"a\":  \"b\\n\"}"));
    }

    /// A3: lines are read in any form; one without end is refused at the limit.
    #[tokio::test]
    async fn lines_are_bounded() {
        let mut lines = Lines::new(&b"one\r\n\n\ntwo\nrest"[..], 100);
        assert_eq!(lines.next().await.unwrap(), Some(Bytes::from("one")));
        assert_eq!(lines.next().await.unwrap(), Some(Bytes::from("two")));
        assert_eq!(lines.next().await.unwrap(), None);
        let endless = vec![b'x'; 1000];
        assert!(Lines::new(&endless[..], 100).next().await.is_err());
    }
}
