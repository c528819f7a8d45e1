//! Bodies in chunks: read the same however they are cut, and never more data than bytes.
//!
//! The first byte of the input is the size of the pieces that the rest arrives in.

use palisade_guard::framing::chunks::{Broken, Chunks};

use super::pieces::{Read, whole_and_cut};

/// Panics where something does not hold.
pub fn hold(input: &[u8]) {
    let Some((stream, whole, _)) = whole_and_cut(input, read) else { return };
    assert!(whole.len() < stream.len() || stream.is_empty(), "data out of nothing");
}

/// The bytes of a body, and whether it is one.
fn read(stream: &[u8], size: usize) -> Read<u8, Broken> {
    let (mut chunks, mut data) = (Chunks::default(), Vec::new());
    for mut piece in stream.chunks(size) {
        loop {
            match chunks.next(&mut piece) {
                Ok(Some(some)) => data.extend_from_slice(some),
                Ok(None) => break,
                Err(broken) => return (data, Err(broken)),
            }
        }
    }
    (data, Ok(()))
}
