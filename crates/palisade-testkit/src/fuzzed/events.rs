//! Server-sent events of an upstream: read the same however they are cut, and written so that nothing is added.
//!
//! The first byte of the input says into pieces of which size the rest is cut.

use bytes::BytesMut;
use palisade_guard::framing::sse::{Event, Reader, TooLarge};

/// The largest event.
const LIMIT: usize = 1000;

/// Panics where something does not hold.
pub fn hold(input: &[u8]) {
    let Some((size, stream)) = input.split_first() else { return };
    let (whole, end) = read(stream, stream.len().max(1));
    let (cut, cut_end) = read(stream, usize::from(*size).max(1));
    if end.is_ok() && cut_end.is_ok() {
        assert_eq!(whole, cut, "where the bytes are cut does not matter");
    }
    for event in whole.iter().chain(&cut) {
        assert!(event.data.len() <= LIMIT, "an event beyond the limit");
        let mut written = BytesMut::new();
        event.write(&mut written);
        let (again, _) = read(&written, written.len());
        let [again] = again.as_slice() else { panic!("one event became {}", again.len()) };
        assert_eq!(
            again.data,
            event.data.replace_breaks(),
            "the data is the same, but for the kind of its line breaks"
        );
        assert_eq!((&again.id, &again.name), (&event.id, &event.name), "data forges no field");
    }
}

fn read(stream: &[u8], size: usize) -> (Vec<Event>, Result<(), TooLarge>) {
    let (mut reader, mut events) = (Reader::new(LIMIT), Vec::new());
    for piece in stream.chunks(size) {
        reader.feed(piece);
        loop {
            match reader.next_event() {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(too_large) => return (events, Err(too_large)),
            }
        }
    }
    (events, Ok(()))
}

/// Line breaks as they come back: each a line feed.
trait Breaks {
    fn replace_breaks(&self) -> Vec<u8>;
}

impl Breaks for bytes::Bytes {
    fn replace_breaks(&self) -> Vec<u8> {
        self.iter().map(|byte| if *byte == b'\r' { b'\n' } else { *byte }).collect()
    }
}
