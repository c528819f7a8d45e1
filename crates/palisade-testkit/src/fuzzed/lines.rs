//! Lines of a child: read the same however they are cut, bounded; and a message on one line is the same message.
//!
//! The first byte of the input says into pieces of which size the rest is cut.

use bytes::Bytes;
use palisade_guard::framing::lines::{Lines, TooLong, one_line};

use super::plain::Plain;

/// The longest line.
const LIMIT: usize = 1000;

/// Panics where something does not hold.
pub fn hold(input: &[u8]) {
    let Some((size, stream)) = input.split_first() else { return };
    let (whole, end) = read(stream, stream.len().max(1));
    let (cut, cut_end) = read(stream, usize::from(*size).max(1));
    if end.is_ok() && cut_end.is_ok() {
        assert_eq!(whole, cut, "where the bytes are cut does not matter");
    }
    for line in whole.iter().chain(&cut) {
        assert!(!line.is_empty() && line.len() <= LIMIT && !line.contains(&b'\n'));
    }
    let sent = one_line(Bytes::copy_from_slice(stream));
    assert!(!sent.iter().any(|byte| matches!(byte, b'\n' | b'\r')), "a message cannot become two");
    if let Ok(Plain(value)) = serde_json::from_slice(stream) {
        let Plain(again) = serde_json::from_slice(&sent).expect("it stays JSON");
        assert_eq!(again, value, "on one line it says the same");
    }
}

fn read(stream: &[u8], size: usize) -> (Vec<Bytes>, Result<(), TooLong>) {
    let (mut lines, mut read) = (Lines::new(LIMIT), Vec::new());
    for piece in stream.chunks(size) {
        lines.room().extend_from_slice(piece);
        loop {
            match lines.next_line() {
                Ok(Some(line)) => read.push(line),
                Ok(None) => break,
                Err(too_long) => return (read, Err(too_long)),
            }
        }
    }
    (read, Ok(()))
}
