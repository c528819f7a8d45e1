//! A client's connection that does not wait for ever to be read.
//!
//! A client that asks and does not read holds an answer, a place and a call upstream. The clock runs while there is
//! something to write and nothing of it is taken.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::wire::Wire;

/// A connection with a clock for writing.
pub(crate) struct Patient<S> {
    stream: S,
    patience: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
    wire: Arc<Wire>,
}

impl<S> Patient<S> {
    /// `stream`, whose other side takes something within the `patience`.
    pub(crate) const fn new(stream: S, patience: Duration, wire: Arc<Wire>) -> Self {
        Self { stream, patience, stalled: None, wire }
    }

    fn clocked<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            if self.stalled.take().is_some() {
                self.wire.set_stalled(false);
            }
            return written;
        }
        self.wire.set_stalled(true);
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        stalled.as_mut().poll(context).map(|()| Err(io::Error::from(io::ErrorKind::TimedOut)))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.clocked(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.clocked(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::Patient;
    use std::io::ErrorKind;
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::{Instant, advance};

    /// A8: who takes nothing for so long is cut; who takes a little now and then is not.
    #[tokio::test(start_paused = true)]
    async fn the_clock_runs_while_nothing_is_taken() {
        let (near, mut far) = tokio::io::duplex(10);
        let mut near = Patient::new(near, Duration::from_secs(30), Arc::default());
        let reading = tokio::spawn(async move {
            for _ in 0..5 {
                advance(Duration::from_secs(20)).await;
                far.read_exact(&mut [0; 10]).await.unwrap();
            }
            far
        });
        near.write_all(&[0; 60]).await.unwrap();
        let _far = reading.await.unwrap();
        let started = Instant::now();
        assert_eq!(near.write_all(&[0; 20]).await.unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(started.elapsed().as_secs(), 30);
    }
}
