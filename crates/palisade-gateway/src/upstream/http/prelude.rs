//! How much an upstream may say before its answer has begun.
//!
//! hyper bounds each head, and reads over informational ones (1xx), however many there are: a series without an end would
//! be work without an end. So all bytes before the head of the answer are counted.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Enough for one head of hyper's largest size, what was read with it, and many small ones before it.
const MOST: usize = 1024 * 1024;

/// What may still come; nothing is counted while an answer is read.
pub(super) struct Prelude(AtomicUsize);

impl Default for Prelude {
    fn default() -> Self {
        Self(AtomicUsize::new(usize::MAX))
    }
}

impl Prelude {
    /// A request goes out.
    pub(super) fn begin(&self) {
        self.0.store(MOST, Ordering::Relaxed);
    }

    /// The head of its answer has come, or will not come.
    pub(super) fn end(&self) {
        self.0.store(usize::MAX, Ordering::Relaxed);
    }

    fn take(&self, bytes: usize) -> io::Result<()> {
        match self.0.load(Ordering::Relaxed) {
            usize::MAX => return Ok(()),
            left if left < bytes => return Err(io::Error::other("too much before the head of the answer")),
            left => self.0.store(left - bytes, Ordering::Relaxed),
        }
        Ok(())
    }
}

/// A connection whose bytes are counted.
pub(super) struct Metered<T> {
    pub(super) io: T,
    pub(super) prelude: Arc<Prelude>,
}

impl<T: AsyncRead + Unpin> AsyncRead for Metered<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(context, buffer))?;
        Poll::Ready(self.prelude.take(buffer.filled().len() - before))
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

    use tokio::io::AsyncReadExt;

    use super::{MOST, Metered, Prelude};

    /// A3, R5: before the head only so much may come; an answer is as long as its own limits let it be.
    #[tokio::test]
    async fn what_comes_before_the_head_is_bounded() {
        let prelude = Arc::<Prelude>::default();
        let mut upstream = Metered { io: tokio::io::repeat(b'1'), prelude: Arc::clone(&prelude) };
        let mut bytes = vec![0; MOST];
        prelude.begin();
        upstream.read_exact(&mut bytes).await.unwrap();
        assert!(upstream.read(&mut [0; 1]).await.is_err());
        prelude.end();
        upstream.read_exact(&mut bytes).await.unwrap();
        prelude.begin();
        upstream.read_exact(&mut bytes).await.unwrap();
        assert!(upstream.read(&mut [0; 1]).await.is_err());
    }
}
