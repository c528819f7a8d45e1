//! The body of an answer that outlives its call: a stream of events, often for hours.
//!
//! It holds its connection and, between two events, no buffer.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use palisade_guard::framing::answer::{Broken, Framing};
use tokio::io::ReadBuf;

use super::connection::Connection;
use super::head::Head;
use super::pool::Idle;

/// The body of an answer, and its connection, which ends with it or with the interest in it.
pub(super) struct Standing {
    connection: Box<Connection>,
    framing: Framing,
    /// Where the connection goes when the body is no longer of interest; `None` if it is good for nothing more.
    home: Option<Arc<Idle>>,
}

/// Bytes asked of the socket at once.
const READ: usize = 4096;

impl Standing {
    pub(super) fn new(head: Head, connection: Box<Connection>, home: &Arc<Idle>) -> Self {
        let home = head.reusable.then(|| Arc::clone(home));
        Self { connection, framing: head.framing, home }
    }

    /// The next data; `None` at the end.
    pub(super) fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, String>>> {
        loop {
            if self.framing.is_done() {
                return Poll::Ready(None);
            }
            let behind = self.connection.take_behind();
            let data = if behind.is_empty() {
                let mut space = [0; READ];
                let mut read = ReadBuf::new(&mut space);
                if let Err(error) = ready!(self.connection.poll_read(&mut read, context)) {
                    return Poll::Ready(Some(Err(error.to_string())));
                }
                if read.filled().is_empty() {
                    let is_cut = !self.framing.may_end();
                    return Poll::Ready(is_cut.then(|| Err("the upstream closed inside its stream".to_owned())));
                }
                self.data(read.filled())
            } else {
                self.data(&behind)
            };
            match data {
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
        if !bytes.is_empty() {
            // Behind the end: nobody asked for it.
            self.home = None;
        }
        Ok(data.freeze())
    }

    /// The answer has come: the connection may carry another request.
    pub(super) fn retire(self) {
        let Self { mut connection, framing, home } = self;
        if let Some(home) = home {
            connection.ends_with(framing);
            home.give_back(connection);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;

    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpStream;
    use tokio::time::Instant;

    use super::super::connection::tests::{hear, pair, request};
    use super::super::pool::Idle;
    use super::Standing;

    const CHUNKS: &str = "transfer-encoding: chunked";

    /// A stream whose beginning came with the head, where its connection goes, and the upstream's end of it.
    async fn stream(field: &str, kept: &str) -> (Standing, Arc<Idle>, TcpStream) {
        let (mut connection, mut far) = pair().await;
        let request = request("{}");
        let upstream = async {
            hear(&mut far).await;
            far.write_all(format!("HTTP/1.1 200 OK\r\n{field}\r\n\r\n{kept}").as_bytes()).await.unwrap();
            far
        };
        let (head, far) = tokio::join!(connection.send(&request, Instant::now()), upstream);
        let idle = Arc::default();
        (Standing::new(head.unwrap(), Box::new(connection), &idle), idle, far)
    }

    /// What such a stream holds, and how it ends.
    async fn check(field: &str, kept: &str, sent: &str, expected: Result<&str, &str>) {
        let (mut stream, _, mut far) = stream(field, kept).await;
        far.write_all(sent.as_bytes()).await.unwrap();
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
        let (length, none) = ("content-length: 9", "content-type: text/event-stream");
        let cut = "the upstream closed inside its stream";
        check(CHUNKS, "6\r\ndata: \r\n3\r", "\n1\n\n\r\n0\r\n\r\n", Ok("data: 1\n\n")).await;
        check(CHUNKS, "", "6\r\ndata", Err(cut)).await;
        check(CHUNKS, "", "3\r\nabc\r\n", Err(cut)).await;
        check(CHUNKS, "", "3\r\nabcd", Err("its chunks are broken")).await;
        check(none, "data: 1", "\n\n", Ok("data: 1\n\n")).await;
        check(length, "data: 1", "\n\nmore", Ok("data: 1\n\n")).await;
        check(length, "data: 1", "", Err(cut)).await;
        let long = "x".repeat(10_000);
        check(none, &long, "", Ok(&long)).await;
    }

    /// Whether a connection is used again whose stream ends with `sent` after its answer, and another request may go out.
    async fn is_used_again(field: &str, kept: &str, sent: &str) -> bool {
        let (mut stream, idle, mut far) = stream(field, kept).await;
        assert!(poll_fn(|context| stream.poll_data(context)).await.unwrap().is_ok());
        far.write_all(sent.as_bytes()).await.unwrap();
        if !sent.is_empty() {
            stream.connection.readable().await;
        }
        stream.retire();
        let taken = idle.take(Instant::now());
        drop(far);
        taken.is_some()
    }

    /// A3: the connection of a stream that brought its answer carries the next request, unless more than its end came, or
    /// not even that.
    #[tokio::test]
    async fn a_connection_outlives_its_stream() {
        assert!(is_used_again(CHUNKS, "9\r\ndata: 1\n\n\r\n0\r\n\r\n", "").await);
        assert!(is_used_again(CHUNKS, "9\r\ndata: 1\n\n\r\n", "0\r\n\r\n").await);
        assert!(is_used_again("content-length: 3", "a\n\n", "").await);
        assert!(!is_used_again(CHUNKS, "9\r\ndata: 1\n\n\r\n", "").await, "its end has not come");
        assert!(!is_used_again(CHUNKS, "9\r\ndata: 1\n\n\r\n", "1\r\n:\r\n").await, "it goes on");
        assert!(!is_used_again(CHUNKS, "9\r\ndata: 1\n\n\r\n", "0\r\n\r\nHTTP/1.1 200 OK\r\n").await);
        assert!(!is_used_again(CHUNKS, "9\r\ndata: 1\n\n\r\n0\r\n\r\nHTTP/1.1", "").await, "two answers");
        assert!(!is_used_again("connection: close\r\ncontent-length: 3", "a\n\n", "").await);
        assert!(!is_used_again("content-type: text/event-stream", "a\n\n", "").await);
    }
}
