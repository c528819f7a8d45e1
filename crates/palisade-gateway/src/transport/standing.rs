//! A standing stream without hyper.
//!
//! A stream that stays for hours and says little does not need the two buffers of 8 KiB that hyper keeps for a
//! connection, nor its parser: nothing is read any more but the client's end. So hyper writes the head, for `Body` has
//! put the stream itself aside, and lets go of the connection. What is left to do is the framing of chunks
//! (RFC 9112 section 7.1).

use std::convert::Infallible;
use std::io;

use bytes::{Buf, Bytes};
use http::header::CONNECTION;
use http::{HeaderValue, Response, Version};
use http_body_util::BodyExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::body::Body;
use super::wire::Wire;

/// What a client may say while it listens. It is thrown away: `Connection: close` said that no request is read any more.
const CHATTER: u64 = 16 * 1024;

/// Lets a standing stream go on without hyper, which then gets its head alone. HTTP/1.0 knows no chunks.
pub(super) fn part(wire: &Wire, version: Version, response: Response<Body>) -> Response<Body> {
    if version != Version::HTTP_11 || !response.body().is_standing() {
        return response;
    }
    let (mut head, body) = response.into_parts();
    head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    wire.leave_with(body);
    Response::from_parts(head, Body::elsewhere())
}

/// Sends the chunks of a body whose head is sent, to the end of one side or the other.
pub(super) async fn stream<S, B>(mut io: S, mut body: B) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
    B: http_body::Body<Data = Bytes, Error = Infallible> + Unpin,
{
    loop {
        let frame = tokio::select! {
            frame = body.frame() => frame,
            left = left(&mut io) => return left,
        };
        match frame.map(|Ok(frame)| frame.into_data()) {
            Some(Ok(data)) if data.is_empty() => {}
            Some(Ok(data)) => chunk(&mut io, data).await?,
            // Nothing here has trailers.
            Some(Err(_)) => {}
            None => break,
        }
    }
    io.write_all(b"0\r\n\r\n").await?;
    io.shutdown().await
}

/// Done when the client has left, or talks where it should listen.
async fn left<S: AsyncRead + Unpin>(io: &mut S) -> io::Result<()> {
    let mut chatter = io.take(CHATTER);
    let mut scrap = [0; 256];
    while chatter.read(&mut scrap).await? > 0 {}
    Ok(())
}

async fn chunk<S: AsyncWrite + Unpin>(io: &mut S, data: Bytes) -> io::Result<()> {
    let size = Bytes::from(format!("{:x}\r\n", data.len()));
    io.write_all_buf(&mut size.chain(data).chain(&b"\r\n"[..])).await?;
    io.flush().await
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Poll};
    use std::time::Duration;

    use bytes::Bytes;
    use http::{Response, Version};
    use http_body::Frame;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::mpsc;

    use super::{Body, CHATTER, Wire, part, stream};
    use crate::transport::patient::Patient;

    struct Said(mpsc::Receiver<&'static [u8]>);

    impl http_body::Body for Said {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            self.0.poll_recv(context).map(|said| said.map(|said| Ok(Frame::data(Bytes::from_static(said)))))
        }
    }

    /// A1: each piece is a chunk of its own, an empty one none at all, for it would be the end; the end is said.
    #[tokio::test]
    async fn pieces_become_chunks() {
        let (near, mut far) = tokio::io::duplex(1000);
        let (say, said) = mpsc::channel(1);
        let speaking = tokio::spawn(stream(near, Said(said)));
        for piece in [b"data: 1\n\n", b"".as_slice(), &[b'x'; 300]] {
            say.send(piece).await.unwrap();
        }
        drop(say);
        let mut seen = String::new();
        far.read_to_string(&mut seen).await.unwrap();
        assert_eq!(seen, format!("9\r\ndata: 1\n\n\r\n12c\r\n{}\r\n0\r\n\r\n", "x".repeat(300)));
        assert!(speaking.await.unwrap().is_ok());
    }

    /// A1, R4: a client that leaves ends the stream, also while nothing is said; so does one that talks without end.
    #[tokio::test]
    async fn the_clients_end_is_the_end() {
        for talk in [0, CHATTER] {
            let (near, mut far) = tokio::io::duplex(64);
            let (say, said) = mpsc::channel(1);
            let speaking = tokio::spawn(stream(near, Said(said)));
            far.write_all(b"a request that nobody reads").await.unwrap();
            say.send(b": here\n\n").await.unwrap();
            let mut seen = [0; 13];
            far.read_exact(&mut seen).await.unwrap();
            for _ in 0..talk {
                far.write_all(b"x").await.unwrap();
            }
            // Kept open where the talk is what ends it.
            let _far = (talk > 0).then_some(far);
            assert!(speaking.await.unwrap().is_ok());
            assert!(say.is_closed(), "the body is gone");
        }
    }

    /// A1, A8: while a client takes nothing, nothing more is asked of the stream, and in the end it is cut.
    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_holds_the_stream_back() {
        let (near, far) = tokio::io::duplex(20);
        let near = Patient::new(near, Duration::from_secs(30), Arc::default(), http::HeaderMap::new);
        let (say, said) = mpsc::channel(1);
        let speaking = tokio::spawn(stream(near, Said(said)));
        let mut said = 0;
        while say.send(b"0123456789").await.is_ok() {
            said += 1;
        }
        assert_eq!(speaking.await.unwrap().unwrap_err().kind(), std::io::ErrorKind::TimedOut);
        assert!(said < 5, "{said}");
        drop(far);
    }

    /// A1: what has an end of its own stays with hyper, which keeps the connection.
    #[test]
    fn only_standing_streams_leave() {
        let wire = Wire::default();
        let kept = part(&wire, Version::HTTP_11, Response::new(Body::elsewhere()));
        assert!(kept.headers().is_empty() && wire.left().is_none());
        wire.set_stalled(true);
        wire.leave_with(Body::elsewhere());
        assert!(wire.left().is_none(), "bytes before it are still on their way");
        wire.set_stalled(false);
        assert!(wire.left().is_some() && wire.left().is_none());
    }
}
