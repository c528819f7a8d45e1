//! One running line-speaking server: lines in, lines out, and its end.
//!
//! Dropping the [`Link`] stops the server: its stdin is closed, upon which the keeper ends the whole tree in order. So
//! does a server that closes its stdout: it can answer nobody any more.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use palisade_guard::framing::lines::one_line;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufWriter};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::errors::drain;
use super::launch::{Connection, Launch};
use super::places::Place;
use crate::transport::lines::Lines;

/// Lines that wait for the server to read them.
const QUEUED: usize = 128;
/// How long a server that is to stop may take to read what was sent before.
const GRACE: Duration = Duration::from_secs(1);
/// How long a keeper may take after that: its own graces and hunt, and some more.
const KEEPER_GRACE: Duration = Duration::from_secs(10);
/// How long the last words may take when all who could write them are gone.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How long a message that nobody waits for may wait for room.
const LATER: Duration = Duration::from_secs(10);

/// The way to a running server.
#[derive(Debug, Clone)]
pub(super) struct Link {
    lines: mpsc::Sender<Bytes>,
    /// Says that nobody wants the server any more, also while it does not read.
    _wanted: Arc<DropGuard>,
}

/// How long a server runs, and what it holds meanwhile.
pub(super) struct Life {
    /// Says that nobody wants it any more, also while the [`Link`] is held.
    pub(super) unwanted: CancellationToken,
    /// Its place among those that may run.
    pub(super) place: Option<Place>,
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
        Life { unwanted, place }: Life,
        listener: L,
    ) -> io::Result<Self> {
        let connection = launch.start()?;
        let (lines, queued) = mpsc::channel(QUEUED);
        let queue = Queue { lines: queued, unwanted: unwanted.clone() };
        let running = run(connection, Arc::clone(name), line_bytes, queue, listener);
        tasks.spawn(async move {
            running.await;
            // Only now is there room for another child.
            drop(place);
        });
        Ok(Self { lines, _wanted: Arc::new(unwanted.drop_guard()) })
    }

    /// Sends one message; false when the server has gone.
    pub(super) async fn send(&self, message: Bytes) -> bool {
        self.lines.send(one_line(message)).await.is_ok()
    }

    /// Sends one message without waiting for it: at once if there is room, else when there is, or not at all if the
    /// server does not read for so long. A thousand clients that leave at one time are a thousand messages.
    pub(super) fn send_later(&self, message: Bytes) {
        let Err(TrySendError::Full(line)) = self.lines.try_send(one_line(message)) else { return };
        let Ok(runtime) = Handle::try_current() else { return };
        let lines = self.lines.clone();
        runtime.spawn(async move { lines.send_timeout(line, LATER).await });
    }

    /// Whether the server has gone.
    pub(super) fn is_closed(&self) -> bool {
        self.lines.is_closed()
    }
}

/// What is to be written, and whether it still is.
struct Queue {
    lines: mpsc::Receiver<Bytes>,
    unwanted: CancellationToken,
}

async fn run<L: Listener>(connection: Connection, name: Arc<str>, line_bytes: usize, queue: Queue, mut listener: L) {
    let Connection { input, output, process } = connection;
    let (mut child, errors) = process.map_or((None, None), |(child, errors)| (Some(child), Some(errors)));
    let mut drained = errors.map(|errors| tokio::spawn(drain(errors, Arc::clone(&name))));
    {
        let mut exchange = pin!(exchange(input, Lines::new(output, line_bytes), &name, queue, &mut listener));
        let keeper_went = async {
            match &mut child {
                // What fails here is told below.
                Some(child) => drop(child.wait().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = &mut exchange => {}
            // Somebody killed it, and nobody watches the server any more. What the server said last is still heard.
            () = keeper_went => drop(tokio::time::timeout(LAST_WORDS, exchange).await),
        }
    }
    // Both pipes are closed now: the keeper sees it and ends what is left.
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
    if let Some(drained) = &mut drained
        && tokio::time::timeout(LAST_WORDS, &mut *drained).await.is_err()
    {
        drained.abort();
    }
}

/// Lines in and out, until the server has closed its stdout, cannot be read, or has been stopped.
async fn exchange<L: Listener>(
    input: Box<dyn AsyncWrite + Send + Unpin>,
    mut lines: Lines<Box<dyn AsyncRead + Send + Unpin>>,
    name: &str,
    queue: Queue,
    listener: &mut L,
) {
    let writing = write(input, queue);
    tokio::pin!(writing);
    let mut stopping: Option<std::pin::Pin<Box<tokio::time::Sleep>>> = None;
    loop {
        tokio::select! {
            line = lines.next() => match line {
                Ok(Some(line)) => listener.line(line),
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(server = %name, %error, "the server's output cannot be read");
                    return;
                }
            },
            () = &mut writing, if stopping.is_none() => stopping = Some(Box::pin(tokio::time::sleep(KEEPER_GRACE))),
            () = async { if let Some(sleep) = &mut stopping { sleep.await } }, if stopping.is_some() => return,
        }
    }
}

/// Writes lines until nobody can send any more, or the server stops reading; then its stdin is closed.
async fn write(input: Box<dyn AsyncWrite + Send + Unpin>, queue: Queue) {
    let Queue { mut lines, unwanted } = queue;
    let mut input = BufWriter::new(input);
    let writing = async {
        while let Some(line) = lines.recv().await {
            input.write_all(&line).await?;
            input.write_all(b"\n").await?;
            if lines.is_empty() {
                input.flush().await?;
            }
        }
        input.shutdown().await
    };
    let stopped = async {
        unwanted.cancelled().await;
        // A server that does not read must not keep its place by that.
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        _ended_or_broken = writing => {}
        () = stopped => {}
    }
}
