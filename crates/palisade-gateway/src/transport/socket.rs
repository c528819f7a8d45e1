//! A TCP connection, with TLS or without: a client's, or one to an upstream.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

/// Where the bytes of the other side come from.
pub(crate) enum Socket {
    /// As they are.
    Plain(TcpStream),
    /// Out of TLS, whose state is large.
    Tls(Box<TlsStream<TcpStream>>),
}

/// Pieces that are no longer together are written as one: the system takes a list of pieces at a higher price than the
/// copy, 200 ns of the 3.5 µs that a small write costs.
const SMALL: usize = 4096;

thread_local! {
    /// Where small pieces are put together.
    static TOGETHER: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(SMALL));
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [piece] = bytes {
            return self.poll_write(context, piece);
        }
        if bytes.iter().map(|piece| piece.len()).sum::<usize>() <= SMALL {
            return TOGETHER.with_borrow_mut(|together| {
                together.clear();
                for piece in bytes {
                    together.extend_from_slice(piece);
                }
                self.poll_write(context, together)
            });
        }
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(context, bytes),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::{SMALL, Socket};

    /// A1: bytes arrive as they were given, in one piece, in several small ones or in large ones.
    #[tokio::test]
    async fn pieces_arrive_in_order() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        let (mut near, mut far) = (Socket::Plain(near.unwrap()), far.unwrap().0);
        for sizes in [[0, 5, 0], [1, 2, 3], [SMALL, 0, 0], [SMALL, 1, 7], [10, SMALL * 3, 10]] {
            let text: Vec<u8> = (0..sizes.iter().sum()).map(|at: usize| u8::try_from(at % 251).unwrap()).collect();
            let (first, rest) = text.split_at(sizes[0]);
            let (second, third) = rest.split_at(sizes[1]);
            let mut written = 0;
            while written < text.len() {
                let mut pieces = [first, second, third].map(IoSlice::new);
                let mut left = &mut pieces[..];
                IoSlice::advance_slices(&mut left, written);
                written += near.write_vectored(left).await.unwrap();
            }
            let mut heard = vec![0; text.len()];
            far.read_exact(&mut heard).await.unwrap();
            assert_eq!(heard, text, "{sizes:?}");
        }
    }
}
