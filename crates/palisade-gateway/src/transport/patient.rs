//! A client's connection that does not wait for ever to be read.
//!
//! A client that asks and does not read holds an answer, a place and a call upstream. The clock runs while there is
//! something to write and nothing of it is taken.
//!
//! What is no HTTP hyper answers by itself, with a bare head and no way to say more. Here is where it passes, so here it
//! gets the headers that are on every answer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::wire::Wire;

/// A connection with a clock for writing.
pub(crate) struct Patient<S> {
    stream: S,
    patience: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
    wire: Arc<Wire>,
    /// The headers that are on every answer.
    everywhere: Box<dyn Fn() -> HeaderMap + Send>,
    /// A head of hyper's own with them, on its way out.
    refusal: Bytes,
}

impl<S> Patient<S> {
    /// `stream`, whose other side takes something within the `patience`; `everywhere` makes what is on every answer.
    pub(crate) fn new(
        stream: S,
        patience: Duration,
        wire: Arc<Wire>,
        everywhere: impl Fn() -> HeaderMap + Send + 'static,
    ) -> Self {
        Self { stream, patience, stalled: None, wire, everywhere: Box::new(everywhere), refusal: Bytes::new() }
    }

    /// Takes a head of hyper's own: behind its first line come the headers that are on every answer.
    fn refuses_with(&mut self, head: &[u8]) -> bool {
        if !self.wire.is_refusing() {
            return false;
        }
        let Some(end) = memchr::memmem::find(head, b"\r\n") else { return false };
        let (line, rest) = head.split_at(end);
        let mut own = BytesMut::with_capacity(head.len() + 1024);
        own.extend_from_slice(line);
        for (name, value) in &(self.everywhere)() {
            for part in [b"\r\n", name.as_str().as_bytes(), b": ", value.as_bytes()] {
                own.extend_from_slice(part);
            }
        }
        own.extend_from_slice(rest);
        self.refusal = own.freeze();
        // It was the last word on this connection.
        self.wire.owes_answer();
        true
    }

    fn clocked<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
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
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if buffer.filled().len() > before {
            self.wire.has_read();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.refuses_with(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.clocked(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(head) = bytes.first().filter(|head| self.refuses_with(head)) {
            return Poll::Ready(Ok(head.len()));
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.clocked(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.refusal.is_empty() {
            let Self { stream, refusal, .. } = &mut *self;
            let written = Pin::new(stream).poll_write(context, refusal);
            let written = ready!(self.clocked(written, context))?;
            self.refusal.advance(written);
        }
        // TLS keeps some of what it took.
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        ready!(self.clocked(flushed, context))?;
        // Only who has nothing left flushes.
        self.wire.set_stalled(false);
        Poll::Ready(Ok(()))
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
        let mut near = Patient::new(near, Duration::from_secs(30), Arc::default(), http::HeaderMap::new);
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

    /// A7: what hyper says of its own has the headers of every answer; answers of ours pass as they are.
    #[tokio::test]
    async fn a_bare_head_gets_its_headers() {
        const BARE: &[u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n";
        for refuses in [true, false] {
            let (near, mut far) = tokio::io::duplex(1000);
            let wire = Arc::<super::Wire>::default();
            let every = || http::HeaderMap::from_iter([(http::header::SERVER, http::HeaderValue::from_static("x"))]);
            let mut near = Patient::new(near, Duration::from_secs(30), Arc::clone(&wire), every);
            wire.awaits_head(false);
            if !refuses {
                wire.owes_answer();
            }
            near.write_all(BARE).await.unwrap();
            near.flush().await.unwrap();
            near.shutdown().await.unwrap();
            let mut seen = String::new();
            far.read_to_string(&mut seen).await.unwrap();
            let own = if refuses { "server: x\r\n" } else { "" };
            assert_eq!(seen, format!("HTTP/1.1 400 Bad Request\r\n{own}connection: close\r\n\r\n"));
        }
    }
}
