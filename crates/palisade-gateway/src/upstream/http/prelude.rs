//! What an upstream may say before its answer has begun, and what comes right behind the answer's head.
//!
//! 1. hyper bounds each head, and reads over informational ones (1xx), however many there are: a series without an end
//!    would be work without an end. So all bytes before the head of the answer are counted.
//! 2. Where the answer may be a standing stream, hyper gets its head alone: what follows is kept back until it is known
//!    who reads it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::head::Heads;

/// Enough for one head of hyper's largest size, what was read with it, and many small ones before it.
const MOST: usize = 1024 * 1024;

/// What may still come, and whether it is kept back.
pub(super) struct Prelude {
    /// Nothing is counted while an answer is read.
    left: AtomicUsize,
    /// The number of the request whose answer's body is kept back; 0 for none.
    keeping: AtomicU64,
    requests: AtomicU64,
}

impl Default for Prelude {
    fn default() -> Self {
        Self { left: AtomicUsize::new(usize::MAX), keeping: AtomicU64::new(0), requests: AtomicU64::new(0) }
    }
}

impl Prelude {
    /// A request goes out, whose answer's body is to be kept back or not.
    pub(super) fn begin(&self, keep_body: bool) {
        self.left.store(MOST, Relaxed);
        let number = self.requests.fetch_add(1, Relaxed) + 1;
        self.keeping.store(if keep_body { number } else { 0 }, Relaxed);
    }

    /// The head of its answer has come, or will not come.
    pub(super) fn end(&self) {
        self.left.store(usize::MAX, Relaxed);
    }

    /// hyper reads the body after all.
    pub(super) fn release(&self) {
        self.keeping.store(0, Relaxed);
    }

    /// Whether nobody reads the body yet.
    pub(super) fn keeps(&self) -> bool {
        self.keeping.load(Relaxed) != 0
    }

    fn take(&self, bytes: usize) -> io::Result<()> {
        match self.left.load(Relaxed) {
            usize::MAX => return Ok(()),
            left if left < bytes => return Err(io::Error::other("too much before the head of the answer")),
            left => self.left.store(left - bytes, Relaxed),
        }
        Ok(())
    }
}

/// A connection whose bytes are counted, and kept back behind a head.
pub(super) struct Metered<T> {
    io: T,
    prelude: Arc<Prelude>,
    /// What came behind a head and nobody has read.
    kept: BytesMut,
    /// The number of a request, and what is known of the head of its answer.
    heads: (u64, Heads),
}

impl<T> Metered<T> {
    pub(super) fn new(io: T, prelude: Arc<Prelude>) -> Self {
        Self { io, prelude, kept: BytesMut::new(), heads: (0, Heads::default()) }
    }

    /// The connection, and what was kept back of it.
    pub(super) fn into_parts(self) -> (T, BytesMut) {
        (self.io, self.kept)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Metered<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let keeping = self.prelude.keeping.load(Relaxed);
        if keeping != 0 {
            return self.poll_head(context, buffer, keeping);
        }
        if !self.kept.is_empty() {
            let most = self.kept.len().min(buffer.remaining());
            self.kept.copy_to_slice(buffer.initialize_unfilled_to(most));
            buffer.advance(most);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(context, buffer))?;
        Poll::Ready(self.prelude.take(buffer.filled().len() - before))
    }
}

impl<T: AsyncRead + Unpin> Metered<T> {
    /// Reads no further than the head.
    fn poll_head(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
        number: u64,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.heads.0 != number {
            this.heads = (number, Heads::default());
        }
        if this.heads.1.is_over() {
            // Whoever decides about the body has this polled again, or takes the connection.
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(context, buffer))?;
        let read = buffer.filled().get(before..).unwrap_or_default();
        let head = this.heads.1.read(read);
        this.kept.extend_from_slice(read.get(head..).unwrap_or_default());
        this.prelude.take(read.len())?;
        buffer.set_filled(before + head);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Metered<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::{MOST, Metered, Prelude};

    /// A3, R5: before the head only so much may come; an answer is as long as its own limits let it be.
    #[tokio::test]
    async fn what_comes_before_the_head_is_bounded() {
        let prelude = Arc::<Prelude>::default();
        let mut upstream = Metered::new(tokio::io::repeat(b'1'), Arc::clone(&prelude));
        let mut bytes = vec![0; MOST];
        prelude.begin(false);
        upstream.read_exact(&mut bytes).await.unwrap();
        assert!(upstream.read(&mut [0; 1]).await.is_err());
        prelude.end();
        upstream.read_exact(&mut bytes).await.unwrap();
        prelude.begin(true);
        upstream.read_exact(&mut bytes).await.unwrap();
        assert!(upstream.read(&mut [0; 1]).await.is_err());
    }

    /// A3: behind the head nothing is read until somebody wants the body, and then nothing is lost; so for each request.
    #[tokio::test]
    async fn what_is_behind_the_head_is_kept_back() {
        let (near, mut far) = tokio::io::duplex(1000);
        let prelude = Arc::<Prelude>::default();
        let mut upstream = Metered::new(near, Arc::clone(&prelude));
        let mut bytes = [0; 100];
        for _ in 0..2 {
            prelude.begin(true);
            far.write_all(b"HTTP/1.1 200 OK\r\n\r\nthe body").await.unwrap();
            assert_eq!(upstream.read(&mut bytes).await.unwrap(), 19);
            tokio::select! {
                biased;
                read = upstream.read(&mut bytes) => panic!("{read:?} was read behind the head"),
                () = std::future::ready(()) => {}
            }
            prelude.release();
            assert_eq!(upstream.read(&mut bytes).await.unwrap(), 8);
            assert_eq!(&bytes[..8], b"the body");
            far.write_all(b" goes on").await.unwrap();
            assert_eq!(upstream.read(&mut bytes).await.unwrap(), 8);
        }
        prelude.begin(true);
        far.write_all(b"HTTP/1.1 200 OK\r\n\r\nrest").await.unwrap();
        assert_eq!(upstream.read(&mut bytes).await.unwrap(), 19);
        assert_eq!(&upstream.into_parts().1[..], b"rest");
    }
}
