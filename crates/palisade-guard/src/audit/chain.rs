//! The chain: each line carries a hash over itself and the line before.
//!
//! `hash = SHA-256(hash before ‖ bytes of this line up to its hash field)`. The first line of a segment names the hash
//! it goes on from and the arrivals that are open, so that a segment can be checked, and closed, by itself.

use aws_lc_rs::digest::{Context, SHA256};

use super::line::Line;
use crate::clock::Moment;
use crate::digest::push_hex;

/// The version of the format, in each segment's first line.
pub const FORMAT: u64 = 1;
/// What stands between a line's fields and its hash.
pub const HASH_FIELD: &[u8] = b",\"hash\":\"";
/// What ends a line.
pub const LINE_END: &[u8] = b"\"}\n";

/// The end of a chain: the number of the next line and the hash of the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chain {
    /// The next line's number.
    pub sequence: u64,
    /// The last line's hash; zeros before the first.
    pub hash: [u8; 32],
}

impl Chain {
    /// Before the first line.
    pub const GENESIS: Self = Self { sequence: 0, hash: [0; 32] };

    /// Appends one line to `out`: its number, the fields that `write` writes, its hash.
    pub fn seal(&mut self, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        let start = out.len();
        out.extend_from_slice(b"{\"seq\":");
        out.extend_from_slice(itoa::Buffer::new().format(self.sequence).as_bytes());
        out.push(b',');
        write(out);
        self.hash = link(&self.hash, out.get(start..).unwrap_or_default());
        self.sequence += 1;
        out.extend_from_slice(HASH_FIELD);
        push_hex(out, &self.hash);
        out.extend_from_slice(LINE_END);
    }

    /// Appends the first line of a segment. `open` are the arrivals whose intents stand in earlier segments and whose
    /// closing lines do not: without them, a crash long after would leave them open for good.
    pub fn begin_segment<'a>(
        &mut self,
        segment: u64,
        node: &str,
        open: impl IntoIterator<Item = &'a str>,
        now: Moment,
        out: &mut Vec<u8>,
    ) {
        let before = self.hash;
        let mut open: Vec<_> = open.into_iter().collect();
        open.sort_unstable();
        self.seal(out, |out| {
            let mut line = Line::open(out, "segment");
            line.time(now).number("format", FORMAT).number("segment", segment);
            line.text("node", node).hex("prev", &before).texts("open", &open);
        });
    }

    /// Appends a line of our own about the journal itself.
    pub fn note(&mut self, now: Moment, note: &str, count: u64, out: &mut Vec<u8>) {
        self.seal(out, |out| {
            Line::open(out, "note").time(now).text("note", note).number("count", count);
        });
    }

    /// Appends the closing line of an arrival whose process ended before it did.
    pub fn recovered(&mut self, now: Moment, correlation: &str, out: &mut Vec<u8>) {
        self.seal(out, |out| {
            let mut line = Line::open(out, "recovered");
            line.time(now).text("correlation", correlation);
            line.text("decision", "allowed").text("outcome", "unknown");
        });
    }
}

/// The hash of a line, from the hash before it and its bytes up to the hash field.
pub fn link(before: &[u8; 32], line: &[u8]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(before);
    context.update(line);
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}
