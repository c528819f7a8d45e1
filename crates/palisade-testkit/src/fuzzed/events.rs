//! Server-sent events of an upstream: read the same however they are cut, and written so that nothing is added.
//!
//! The first byte of the input says into pieces of which size the rest is cut.

use bytes::BytesMut;
use palisade_guard::framing::sse::{Event, Reader, TooLarge};

use super::pieces::{in_pieces, whole_and_cut};

/// The largest event.
const LIMIT: usize = 1000;

/// Panics where something does not hold.
pub fn hold(input: &[u8]) {
    let Some((_, whole, cut)) = whole_and_cut(input, read) else { return };
    for event in whole.iter().chain(&cut) {
        assert!(event.data.len() <= LIMIT, "an event beyond the limit");
        let mut written = BytesMut::new();
        event.write(&mut written);
        let (again, _) = read(&written, written.len());
        let [again] = again.as_slice() else { panic!("one event became {}", again.len()) };
        assert_eq!(again.data, line_feeds(&event.data), "the data is the same, but for the kind of its line breaks");
        assert_eq!((&again.id, &again.name), (&event.id, &event.name), "data forges no field");
    }
}

fn read(stream: &[u8], size: usize) -> (Vec<Event>, Result<(), TooLarge>) {
    in_pieces(stream, size, &mut Reader::new(LIMIT), Reader::feed, Reader::next_event)
}

/// Line breaks as they come back: each a line feed.
fn line_feeds(data: &[u8]) -> Vec<u8> {
    data.iter().map(|byte| if *byte == b'\r' { b'\n' } else { *byte }).collect()
}
