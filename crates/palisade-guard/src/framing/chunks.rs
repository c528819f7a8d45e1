//! Bodies in chunks (RFC 9112 section 7.1), read strictly: what two readers could take for two things is broken.

/// What is known of a body between two pieces of it.
#[derive(Debug, Default)]
pub struct Chunks {
    state: State,
    /// Bytes beside data since the last data: lines that only seem to go on would be work without an end.
    framing: usize,
}

#[derive(Debug, Default)]
enum State {
    /// In a size of so many digits.
    #[default]
    FirstDigit,
    Size(u64),
    /// Behind a size: an extension may follow.
    Space(u64),
    Extension(u64),
    SizeEnd(u64),
    Data(u64),
    DataReturn,
    DataEnd,
    /// At the beginning of a line after the last chunk.
    Trailer,
    TrailerLine,
    TrailerEnd,
    LastEnd,
    Done,
}

/// It is not framed as the standard says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken;

/// Bytes of a chunk's size line, and of all trailers together.
const FRAMING: usize = 8 * 1024;
/// The largest chunk: its size fits 15 digits.
const LARGEST: u64 = 1 << 59;

impl Chunks {
    /// Takes the next data off the front of `input`, whose other bytes are taken with it; `None` when `input` is used up
    /// or the body has ended.
    pub fn next<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<&'i [u8]>, Broken> {
        while let Some((byte, rest)) = input.split_first() {
            if let State::Data(left) = self.state {
                let most = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                let (data, rest) = input.split_at_checked(most).ok_or(Broken)?;
                *input = rest;
                let left = left.saturating_sub(u64::try_from(most).unwrap_or(u64::MAX));
                self.state = if left == 0 { State::DataReturn } else { State::Data(left) };
                self.framing = 0;
                return Ok(Some(data));
            }
            if self.is_done() {
                return Ok(None);
            }
            self.framing += 1;
            self.state = self.state.after(*byte).filter(|_| self.framing <= FRAMING).ok_or(Broken)?;
            *input = rest;
        }
        Ok(None)
    }

    /// Whether the last chunk and its trailers have come.
    pub const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }
}

impl State {
    /// The state after a byte that is no data.
    fn after(&self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::FirstDigit, digit) => Self::Size(value(digit)?),
            (Self::Size(size) | Self::Space(size) | Self::Extension(size), b'\r') => Self::SizeEnd(*size),
            (Self::Size(size) | Self::Space(size), b' ' | b'\t') => Self::Space(*size),
            (Self::Size(size) | Self::Space(size), b';') | (Self::Extension(size), b' '..=b'~' | b'\t' | 0x80..) => {
                Self::Extension(*size)
            }
            (Self::Size(size), digit) if *size < LARGEST / 16 => Self::Size(size * 16 + value(digit)?),
            (Self::SizeEnd(0) | Self::TrailerEnd, b'\n') => Self::Trailer,
            (Self::SizeEnd(size), b'\n') => Self::Data(*size),
            (Self::DataReturn, b'\r') => Self::DataEnd,
            (Self::DataEnd, b'\n') => Self::FirstDigit,
            (Self::Trailer, b'\r') => Self::LastEnd,
            (Self::Trailer | Self::TrailerLine, b' '..=b'~' | b'\t' | 0x80..) => Self::TrailerLine,
            (Self::TrailerLine, b'\r') => Self::TrailerEnd,
            (Self::LastEnd, b'\n') => Self::Done,
            _ => return None,
        })
    }
}

fn value(digit: u8) -> Option<u64> {
    char::from(digit).to_digit(16).map(u64::from)
}

#[cfg(test)]
mod tests {
    use super::{Broken, Chunks, FRAMING};
    use proptest::prelude::*;

    /// What a body in pieces of `size` bytes holds, and whether it has ended.
    fn read(body: &[u8], size: usize) -> Result<(Vec<u8>, bool), Broken> {
        let (mut chunks, mut data) = (Chunks::default(), Vec::new());
        for mut piece in body.chunks(size.max(1)) {
            while let Some(some) = chunks.next(&mut piece)? {
                data.extend_from_slice(some);
            }
        }
        Ok((data, chunks.is_done()))
    }

    fn check(body: &str, expected: Result<(&str, bool), Broken>) {
        let expected = expected.map(|(data, done)| (data.as_bytes().to_vec(), done));
        for size in [1, 2, 3, body.len()] {
            assert_eq!(read(body.as_bytes(), size), expected, "{body:?} in pieces of {size}");
        }
    }

    /// A1, R5: chunks, extensions and trailers as the standard has them; everything else is broken.
    #[test]
    fn chunks_are_read_as_the_standard_says() {
        check("5\r\nhello\r\n0\r\n\r\n", Ok(("hello", true)));
        check("5\r\nhel", Ok(("hel", false)));
        check("00A ;name=\"value\"\r\n0123456789\r\n1 \r\nx\r\n0\r\nTrailer: 1\r\n\r\n", Ok(("0123456789x", true)));
        for broken in [
            "\r\n",
            "x\r\n",
            "-1\r\n",
            "+1\r\na",
            " 1\r\na",
            "0x1\r\na",
            "1\na",
            "10 5\r\na",
            "1 x\r\na",
            "1\r\nab\r\n",
            "1\r\na\n",
            "1;\0\r\na",
            "1;a\nb\r\na",
            "FFFFFFFFFFFFFFFFF\r\n",
            "fffffffffffffffff\r\n",
            "0\r\n\n",
            "0\r\nTrailer: 1\n\r\n",
        ] {
            check(broken, Err(Broken));
        }
        assert_eq!(read(format!("1;{}\r\n", "x".repeat(FRAMING)).as_bytes(), 100), Err(Broken));
        assert_eq!(read(format!("0\r\n{}\r\n", "a: b\r\n".repeat(FRAMING)).as_bytes(), 100), Err(Broken));
    }

    /// A1: what follows the end is left where it is.
    #[test]
    fn the_end_is_the_end() {
        let (mut chunks, mut input) = (Chunks::default(), &b"0\r\n\r\nHTTP/1.1"[..]);
        assert_eq!((chunks.next(&mut input), input, chunks.is_done()), (Ok(None), &b"HTTP/1.1"[..], true));
    }

    proptest! {
        /// A1: whatever is written in chunks, and however it is cut, comes back.
        #[test]
        fn what_is_written_is_read(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..8), size in 1usize..40) {
            let mut body = Vec::new();
            for piece in &pieces {
                body.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                body.extend_from_slice(piece);
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice(b"0\r\n\r\n");
            prop_assert_eq!(read(&body, size), Ok((pieces.concat(), true)));
        }

        /// R5: any bytes are read or broken, and never more data than bytes.
        #[test]
        fn any_bytes_are_read(body in prop::collection::vec(prop::sample::select(&b"0123aF\r\n;x "[..]), 0..60), size in 1usize..9) {
            let read_in_pieces = read(&body, size);
            prop_assert_eq!(&read_in_pieces, &read(&body, body.len()));
            prop_assert!(read_in_pieces.is_ok_and(|(data, _)| data.len() <= body.len()) || read(&body, 1).is_err());
        }
    }
}
