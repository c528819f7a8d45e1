//! A standing stream of an upstream, without hyper.
//!
//! It stays for hours and says little: it does not need the two buffers of 8 KiB, and the queue for requests, that hyper
//! keeps for a connection. hyper reads the head, and has read nothing behind it ([`super::prelude`]); from there on only
//! the framing of the body is left (RFC 9112 section 6.3).

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http_body::{Body, Frame};
use palisade_guard::framing::chunks::Chunks;
use tokio::io::{AsyncRead, ReadBuf};

use crate::descriptors::Taken;
use crate::transport::socket::Socket;

/// The body of an answer, taken over from hyper.
pub(super) struct Standing {
    socket: Socket,
    /// What came with the head.
    kept: Bytes,
    /// `None` where the body ends with the connection.
    chunks: Option<Chunks>,
    /// Counted while it lives.
    _descriptor: Taken,
}

/// How the end of a body is known.
pub(super) enum Framing {
    Chunks,
    Connection,
}

/// How the body behind this head is framed; `None` where it is not as streams are.
pub(super) fn framing(head: &HeaderMap) -> Option<Framing> {
    let mut encodings = head.get_all(TRANSFER_ENCODING).iter();
    match (encodings.next(), encodings.next()) {
        (None, _) if head.contains_key(CONTENT_LENGTH) => None,
        (None, _) => Some(Framing::Connection),
        (Some(only), None) if only.as_bytes().eq_ignore_ascii_case(b"chunked") => Some(Framing::Chunks),
        _ => None,
    }
}

/// Bytes asked of the socket at once.
const READ: usize = 4096;

impl Standing {
    pub(super) fn new(socket: Socket, kept: Bytes, framing: &Framing, descriptor: Taken) -> Self {
        let chunks = matches!(framing, Framing::Chunks).then(Chunks::default);
        Self { socket, kept, chunks, _descriptor: descriptor }
    }

    /// The data in these bytes; empty when they are framing alone.
    fn data(&mut self, mut bytes: &[u8]) -> Result<Bytes, &'static str> {
        let Some(chunks) = &mut self.chunks else { return Ok(Bytes::copy_from_slice(bytes)) };
        let mut data = BytesMut::new();
        while let Some(some) = chunks.next(&mut bytes).map_err(|_| "the upstream's chunks are broken")? {
            data.extend_from_slice(some);
        }
        Ok(data.freeze())
    }

    fn is_done(&self) -> bool {
        self.chunks.as_ref().is_some_and(Chunks::is_done)
    }
}

impl Body for Standing {
    type Data = Bytes;
    type Error = String;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, String>>> {
        let this = &mut *self;
        loop {
            if this.is_done() {
                return Poll::Ready(None);
            }
            let mut space = [0; READ];
            let mut read = ReadBuf::new(&mut space);
            if this.kept.is_empty() {
                this.kept = Bytes::new();
                if let Err(error) = ready!(Pin::new(&mut this.socket).poll_read(context, &mut read)) {
                    return Poll::Ready(Some(Err(error.to_string())));
                }
                if read.filled().is_empty() {
                    let is_cut = this.chunks.is_some();
                    return Poll::Ready(is_cut.then(|| Err("the upstream closed inside its stream".to_owned())));
                }
            } else {
                let most = this.kept.len().min(READ);
                read.put_slice(&this.kept.split_to(most));
            }
            match this.data(read.filled()) {
                Ok(data) if data.is_empty() => {}
                Ok(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Err(broken) => return Poll::Ready(Some(Err(broken.to_owned()))),
            }
        }
    }
}

#[cfg(test)]
mod tests {

    use bytes::Bytes;
    use http::{HeaderMap, HeaderName, HeaderValue};
    use http_body_util::BodyExt as _;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::{TcpListener, TcpStream};

    use super::{Framing, Socket, Standing, framing};
    use crate::descriptors::Descriptors;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        (near.unwrap(), far.unwrap().0)
    }

    /// What a stream holds whose beginning came with the head, and how it ends.
    async fn check(how: Framing, kept: &[u8], sent: &[u8], expected: Result<&str, &str>) {
        let (near, mut far) = pair().await;
        let taken = Descriptors::claim().take_for_upstream().unwrap();
        let mut stream = Standing::new(Socket::Plain(near), Bytes::copy_from_slice(kept), &how, taken);
        far.write_all(sent).await.unwrap();
        drop(far);
        let mut seen = String::new();
        let end = loop {
            match stream.frame().await {
                Some(Ok(frame)) => seen.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap()),
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
        check(Framing::Chunks, b"6\r\ndata: \r\n3\r", b"\n1\n\n\r\n0\r\n\r\n", Ok("data: 1\n\n")).await;
        check(Framing::Chunks, b"", b"6\r\ndata", Err(cut)).await;
        check(Framing::Chunks, b"", b"3\r\nabc\r\n", Err(cut)).await;
        check(Framing::Chunks, b"", b"3\r\nabcd", Err("the upstream's chunks are broken")).await;
        check(Framing::Connection, b"data: 1", b"\n\n", Ok("data: 1\n\n")).await;
        let long = "x".repeat(10_000);
        check(Framing::Connection, long.as_bytes(), b"", Ok(&long)).await;
    }

    /// A3: only what is framed as a stream is taken over.
    #[test]
    fn only_streams_are_taken_over() {
        let head = |fields: &[(&'static str, &'static str)]| {
            let mut head = HeaderMap::new();
            for (name, value) in fields {
                head.append(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            framing(&head)
        };
        assert!(matches!(head(&[]), Some(Framing::Connection)));
        assert!(matches!(head(&[("transfer-encoding", "Chunked")]), Some(Framing::Chunks)));
        assert!(head(&[("content-length", "10")]).is_none());
        assert!(head(&[("transfer-encoding", "gzip, chunked")]).is_none());
        assert!(head(&[("transfer-encoding", "gzip"), ("transfer-encoding", "chunked")]).is_none());
    }
}
