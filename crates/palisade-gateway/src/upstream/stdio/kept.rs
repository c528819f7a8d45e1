//! The last events of a session, for clients whose connection broke: bounded by count and by bytes.

use std::collections::VecDeque;

use crate::transport::sse::Event;

/// Events that are kept, and messages that wait for a stream.
pub(super) const KEPT_EVENTS: usize = 256;
/// Bytes of either.
pub(super) const KEPT_BYTES: usize = 4 << 20;

/// Events by stream and number, oldest first.
#[derive(Default)]
pub(super) struct Kept {
    events: VecDeque<(u64, u64, Event)>,
    bytes: usize,
}

impl Kept {
    /// Keeps one more; the oldest go when there are too many.
    pub(super) fn push(&mut self, stream: u64, number: u64, event: Event) {
        self.bytes += event.data.len();
        self.events.push_back((stream, number, event));
        while self.events.len() > KEPT_EVENTS || self.bytes > KEPT_BYTES {
            let Some((_, _, event)) = self.events.pop_front() else { return };
            self.bytes -= event.data.len();
        }
    }

    /// The events of a stream after one that its client saw.
    pub(super) fn after(&self, stream: u64, seen: u64) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(move |(of, number, _)| *of == stream && *number > seen).map(|(_, _, event)| event)
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT_BYTES, KEPT_EVENTS, Kept};
    use crate::transport::sse::Event;
    use bytes::Bytes;

    /// A1: what is kept for resumption is bounded, and the newest stay.
    #[test]
    fn the_newest_are_kept() {
        let mut kept = Kept::default();
        for number in 1..=1000 {
            kept.push(7, number, Event::message(Bytes::from_static(b"x")));
        }
        assert_eq!(kept.after(7, 0).count(), KEPT_EVENTS);
        assert_eq!((kept.after(7, 999).count(), kept.after(8, 0).count()), (1, 0));
        kept.push(7, 1001, Event::message(Bytes::from(vec![b'x'; KEPT_BYTES])));
        assert_eq!(kept.after(7, 0).count(), 1, "a large one drives the small ones out");
    }
}
