//! The body of an answer that outlives its call: a stream of events, often for hours.
//!
//! It holds its connection and, between two events, no buffer.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use palisade_guard::framing::answer::{Broken, Framing};
use tokio::io::{AsyncRead, ReadBuf};

use crate::descriptors::Taken;
use crate::transport::socket::Socket;

/// The body of an answer, and its connection.
pub(super) struct Standing {
    socket: Socket,
    /// What came with the head.
    kept: Bytes,
    framing: Framing,
    /// Counted while it lives.
    _descriptor: Taken,
}

/// Bytes asked of the socket at once.
const READ: usize = 4096;

impl Standing {
    pub(super) const fn new(socket: Socket, kept: Bytes, framing: Framing, descriptor: Taken) -> Self {
        Self { socket, kept, framing, _descriptor: descriptor }
    }

    /// The next data; `None` at the end.
    pub(super) fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, String>>> {
        loop {
            if self.framing.is_done() {
                return Poll::Ready(None);
            }
            let mut space = [0; READ];
            let mut read = ReadBuf::new(&mut space);
            if self.kept.is_empty() {
                self.kept = Bytes::new();
                if let Err(error) = ready!(Pin::new(&mut self.socket).poll_read(context, &mut read)) {
                    return Poll::Ready(Some(Err(error.to_string())));
                }
                if read.filled().is_empty() {
                    let is_cut = !self.framing.may_end();
                    return Poll::Ready(is_cut.then(|| Err("the upstream closed inside its stream".to_owned())));
                }
            } else {
                let most = self.kept.len().min(READ);
                read.put_slice(&self.kept.split_to(most));
            }
            match self.data(read.filled()) {
                Ok(data) if data.is_empty() => {}
                Ok(data) => return Poll::Ready(Some(Ok(data))),
                Err(Broken(why)) => return Poll::Ready(Some(Err(why.to_owned()))),
            }
        }
    }

    /// The data in these bytes; empty when they are framing alone.
    fn data(&mut self, mut bytes: &[u8]) -> Result<Bytes, Broken> {
        let mut data = BytesMut::new();
        while let Some(some) = self.framing.next(&mut bytes)? {
            data.extend_from_slice(some);
        }
        Ok(data.freeze())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use bytes::Bytes;
    use palisade_guard::framing::answer::Framing;
    use palisade_guard::framing::chunks::Chunks;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::{TcpListener, TcpStream};

    use super::{Socket, Standing};
    use crate::descriptors::Descriptors;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        (near.unwrap(), far.unwrap().0)
    }

    fn chunks() -> Framing {
        Framing::Chunks(Chunks::default())
    }

    /// What a stream holds whose beginning came with the head, and how it ends.
    async fn check(how: Framing, kept: &[u8], sent: &[u8], expected: Result<&str, &str>) {
        let (near, mut far) = pair().await;
        let taken = Descriptors::claim().take_for_upstream().unwrap();
        let mut stream = Standing::new(Socket::Plain(near), Bytes::copy_from_slice(kept), how, taken);
        far.write_all(sent).await.unwrap();
        drop(far);
        let mut seen = String::new();
        let end = loop {
            match poll_fn(|context| stream.poll_data(context)).await {
                Some(Ok(data)) => seen.push_str(std::str::from_utf8(&data).unwrap()),
                Some(Err(error)) => break Err(error),
                None => break Ok(()),
            }
        };
        assert_eq!(end.as_ref().map(|()| seen.as_str()).map_err(String::as_str), expected);
    }

    /// A3, R5: what came with the head comes first; a stream that is cut inside a chunk is no stream that ended.
    #[tokio::test]
    async fn a_stream_is_read_to_its_end() {
        let cut = "the upstream closed inside its stream";
        check(chunks(), b"6\r\ndata: \r\n3\r", b"\n1\n\n\r\n0\r\n\r\n", Ok("data: 1\n\n")).await;
        check(chunks(), b"", b"6\r\ndata", Err(cut)).await;
        check(chunks(), b"", b"3\r\nabc\r\n", Err(cut)).await;
        check(chunks(), b"", b"3\r\nabcd", Err("its chunks are broken")).await;
        check(Framing::Connection, b"data: 1", b"\n\n", Ok("data: 1\n\n")).await;
        check(Framing::Length(9), b"data: 1", b"\n\nmore", Ok("data: 1\n\n")).await;
        check(Framing::Length(9), b"data: 1", b"", Err(cut)).await;
        let long = "x".repeat(10_000);
        check(Framing::Connection, long.as_bytes(), b"", Ok(&long)).await;
    }
}
