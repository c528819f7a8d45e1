//! Messages as lines: read in bounded memory, and written so that one message is one line.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// A message on one line. The only raw line breaks in strict JSON are white space between its tokens: inside a
/// string they are escaped. Left in, they would make two messages of one (message smuggling).
pub(crate) fn one_line(message: Bytes) -> Bytes {
    if memchr::memchr2(b'\n', b'\r', &message).is_none() {
        return message;
    }
    let spaced = message.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte });
    spaced.collect::<Vec<_>>().into()
}

/// Bytes asked for at once, and the least room for which it is worth asking.
const READ: usize = 8192;
const LEAST_READ: usize = 1024;

/// Lines of a stream, each at most `limit` bytes.
pub(crate) struct Lines<R> {
    input: R,
    buffer: BytesMut,
    scanned: usize,
    limit: usize,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// The lines of `input`.
    pub(crate) fn new(input: R, limit: usize) -> Self {
        Self { input, buffer: BytesMut::with_capacity(READ), scanned: 0, limit }
    }

    /// The next line that is not empty. Safe to drop half-way: what was read stays.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let found = self.buffer.get(self.scanned..).and_then(|rest| memchr::memchr(b'\n', rest));
            if let Some(offset) = found {
                let mut line = self.buffer.split_to(self.scanned + offset + 1);
                self.scanned = 0;
                line.truncate(line.len() - 1);
                if line.last() == Some(&b'\r') {
                    line.truncate(line.len() - 1);
                }
                if line.is_empty() {
                    continue;
                }
                return Ok(Some(line.freeze()));
            }
            self.scanned = self.buffer.len();
            if self.scanned > self.limit {
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, "a line is too long"));
            }
            // Lines that were handed on keep what they stand in, so what is left of it may be a few bytes.
            if self.buffer.capacity() - self.scanned < LEAST_READ {
                self.buffer.reserve(READ);
            }
            if self.input.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Goes on behind a line that was too long; what is left of it is read and forgotten. False when there is no more.
    pub(crate) async fn skip(&mut self) -> io::Result<bool> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.buffer) {
                self.buffer.advance(end + 1);
                self.scanned = 0;
                return Ok(true);
            }
            self.buffer = BytesMut::with_capacity(READ);
            if self.input.read_buf(&mut self.buffer).await? == 0 {
                return Ok(false);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Lines, one_line};
    use bytes::Bytes;

    /// E1: white space inside a message cannot split it on a line-based transport.
    #[test]
    fn a_message_is_one_line() {
        let message = Bytes::from_static(b"{\n\"a\":\r\n\"b\\n\"}");
        assert_eq!(one_line(message), Bytes::from_static(b"{ \"a\":  \"b\\n\"}"));
    }

    /// A3: lines are read in any form; one without end is refused at the limit.
    #[tokio::test]
    async fn lines_are_bounded() {
        let mut lines = Lines::new(&b"one\r\n\n\ntwo\nrest"[..], 100);
        assert_eq!(lines.next().await.unwrap(), Some(Bytes::from("one")));
        assert_eq!(lines.next().await.unwrap(), Some(Bytes::from("two")));
        assert_eq!(lines.next().await.unwrap(), None);
        let endless = vec![b'x'; 1000];
        assert!(Lines::new(&endless[..], 100).next().await.is_err());
    }

    /// A2: behind a line that is too long the next one is read.
    #[tokio::test]
    async fn a_long_line_can_be_skipped() {
        let text = [vec![b'x'; 100_000], b"\nnext\n".to_vec(), vec![b'y'; 50_000]].concat();
        let mut lines = Lines::new(&text[..], 100);
        assert!(lines.next().await.is_err());
        assert!(lines.skip().await.unwrap());
        assert_eq!(lines.next().await.unwrap(), Some(Bytes::from("next")));
        assert!(lines.next().await.is_err());
        assert!(!lines.skip().await.unwrap());
    }
}
