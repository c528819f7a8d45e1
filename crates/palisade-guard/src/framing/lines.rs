//! Messages on lines of their own (MCP, transports, stdio), each at most so many bytes.

use bytes::{Bytes, BytesMut};

/// Bytes that arrived and are not a whole line yet. Memory is bounded by the limit given.
#[derive(Debug)]
pub struct Lines {
    buffer: BytesMut,
    /// Where to go on looking for the end of a line.
    scanned: usize,
    limit: usize,
}

/// A line grew beyond the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

/// Bytes asked for at once, and the least room for which it is worth asking.
const READ: usize = 8192;
const LEAST_READ: usize = 1024;

impl Lines {
    /// Refuses a line of more than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { buffer: BytesMut::with_capacity(READ), scanned: 0, limit }
    }

    /// The next line that is not empty, if it is there, without its end: LF or CR LF. One that is too long stays until
    /// it is skipped.
    pub fn next_line(&mut self) -> Result<Option<Bytes>, TooLong> {
        loop {
            let found = self.buffer.get(self.scanned..).and_then(|rest| memchr::memchr(b'\n', rest));
            let Some(offset) = found else {
                self.scanned = self.buffer.len();
                return if self.scanned > self.limit { Err(TooLong) } else { Ok(None) };
            };
            if self.scanned + offset > self.limit {
                return Err(TooLong);
            }
            let mut line = self.buffer.split_to(self.scanned + offset + 1);
            self.scanned = 0;
            line.truncate(line.len() - 1);
            if line.last() == Some(&b'\r') {
                line.truncate(line.len() - 1);
            }
            if !line.is_empty() {
                return Ok(Some(line.freeze()));
            }
        }
    }

    /// Forgets the line that was too long, as far as it is there. True when that was all of it, and the next can be read.
    pub fn skip_line(&mut self) -> bool {
        let end = memchr::memchr(b'\n', &self.buffer);
        drop(self.buffer.split_to(end.map_or(self.buffer.len(), |end| end + 1)));
        self.scanned = 0;
        end.is_some()
    }

    /// Where to put what arrives, behind what is there.
    pub fn room(&mut self) -> &mut BytesMut {
        // Lines that were handed on keep what they stand in, so what is left of it may be a few bytes.
        if self.buffer.capacity() - self.buffer.len() < LEAST_READ {
            self.buffer.reserve(READ);
        }
        &mut self.buffer
    }
}

/// A message on one line. The only raw line breaks in strict JSON are white space between its tokens: inside a
/// string they are escaped. Left in, they would make two messages of one (message smuggling).
pub fn one_line(message: Bytes) -> Bytes {
    if memchr::memchr2(b'\n', b'\r', &message).is_none() {
        return message;
    }
    let spaced = message.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte });
    spaced.collect::<Vec<_>>().into()
}

#[cfg(test)]
mod tests {
    use super::{Lines, TooLong, one_line};
    use bytes::Bytes;

    /// E1: white space inside a message cannot split it on a line-based transport.
    #[test]
    fn a_message_is_one_line() {
        let message = Bytes::from_static(b"{\n\"a\":\r\n\"b\\n\"}");
        assert_eq!(one_line(message), Bytes::from_static(b"{ \"a\":  \"b\\n\"}"));
    }

    /// A3: lines are read in any form, however the bytes are cut.
    #[test]
    fn lines_survive_any_cut() {
        let text = b"one\r\n\n\ntwo\nrest";
        for size in 1..text.len() {
            let (mut lines, mut read) = (Lines::new(100), Vec::new());
            for chunk in text.chunks(size) {
                lines.room().extend_from_slice(chunk);
                while let Some(line) = lines.next_line().unwrap() {
                    read.push(line);
                }
            }
            assert_eq!(read, ["one", "two"], "cut into {size}");
        }
    }

    /// A3, A8: a line beyond the limit is refused, whether or not its end has come.
    #[test]
    fn lines_are_bounded() {
        for end in ["", "\n"] {
            let mut lines = Lines::new(100);
            lines.room().extend_from_slice(format!("{}{end}", "x".repeat(101)).as_bytes());
            assert_eq!(lines.next_line(), Err(TooLong));
        }
        let mut lines = Lines::new(100);
        lines.room().extend_from_slice(format!("{}\n", "x".repeat(100)).as_bytes());
        assert_eq!(lines.next_line().unwrap().unwrap().len(), 100);
    }
}
