//! Lines of a child: read the same however they are cut, bounded; and a message on one line is the same message.
//!
//! The first byte of the input says into pieces of which size the rest is cut.

use bytes::Bytes;
use palisade_guard::framing::lines::{Lines, TooLong, one_line};

use super::pieces::{in_pieces, whole_and_cut};
use super::plain::Plain;

/// The longest line.
const LIMIT: usize = 1000;

/// Panics where something does not hold.
pub fn hold(input: &[u8]) {
    let Some((stream, whole, cut)) = whole_and_cut(input, read) else { return };
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
    let feed = |lines: &mut Lines, piece: &[u8]| lines.room().extend_from_slice(piece);
    in_pieces(stream, size, &mut Lines::new(LIMIT), feed, Lines::next_line)
}
