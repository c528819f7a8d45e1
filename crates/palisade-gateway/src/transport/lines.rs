//! The lines of a stream, read in bounded memory; where they end is judged by `guard::framing`.

use std::io;

use bytes::Bytes;
use palisade_guard::framing::lines;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Lines of a stream, each at most `limit` bytes.
pub(crate) struct Lines<R> {
    input: R,
    read: lines::Lines,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// The lines of `input`.
    pub(crate) fn new(input: R, limit: usize) -> Self {
        Self { input, read: lines::Lines::new(limit) }
    }

    /// The next line that is not empty. Safe to drop half-way: what was read stays.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let too_long = |_| io::Error::new(io::ErrorKind::FileTooLarge, "a line is too long");
            let line = self.read.next_line().map_err(too_long)?;
            if line.is_some() {
                return Ok(line);
            }
            if self.input.read_buf(self.read.room()).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Goes on behind a line that was too long; what is left of it is read and forgotten. False when there is no more.
    pub(crate) async fn skip(&mut self) -> io::Result<bool> {
        while !self.read.skip_line() {
            if self.input.read_buf(self.read.room()).await? == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::Lines;
    use bytes::Bytes;

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
