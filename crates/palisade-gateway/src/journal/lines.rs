//! Lines on their way to the disk: the fields of each, not yet sealed, since only what is written has a place in the chain.

use palisade_guard::arrival::CorrelationId;

/// Lines, one after another.
#[derive(Default)]
pub(super) struct Lines {
    bodies: Vec<u8>,
    ends: Vec<(usize, Mark)>,
    /// How many of them, from the first, are written.
    written: usize,
}

/// What a line does to its arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// Its intent: from here on it must be closed.
    Opens(CorrelationId),
    /// It closes an arrival that had an intent.
    Closes(CorrelationId),
    /// It closes an arrival that had none.
    Stands,
}

/// Room that is kept for the next lines; more than this was a burst.
const KEPT: usize = 1 << 20;

impl Lines {
    /// Adds the line that `write` writes.
    pub(super) fn push(&mut self, mark: Mark, write: impl FnOnce(&mut Vec<u8>)) {
        // What a panic in the middle of a line left behind would become a part of the next one.
        self.bodies.truncate(self.end());
        write(&mut self.bodies);
        self.ends.push((self.bodies.len(), mark));
    }

    /// Takes over all lines of `later`, behind its own.
    pub(super) fn take(&mut self, later: &mut Self) {
        if self.is_empty() {
            self.clear();
            std::mem::swap(self, later);
            return;
        }
        let offset = self.end();
        self.bodies.truncate(offset);
        self.bodies.append(&mut later.bodies);
        self.ends.extend(later.ends.drain(..).map(|(end, mark)| (end + offset, mark)));
    }

    /// The lines that are not written, each with where the next begins.
    pub(super) fn unwritten(&self) -> impl Iterator<Item = (&[u8], Mark)> {
        let mut start = self.start();
        self.ends.iter().skip(self.written).map(move |(end, mark)| {
            let body = self.bodies.get(start..*end).unwrap_or_default();
            start = *end;
            (body, *mark)
        })
    }

    /// The next `count` lines are written.
    pub(super) fn wrote(&mut self, count: usize) {
        self.written += count;
        if self.is_empty() {
            self.clear();
        }
    }

    /// Whether every line is written.
    pub(super) const fn is_empty(&self) -> bool {
        self.written >= self.ends.len()
    }

    /// Bytes that are not written.
    pub(super) fn bytes(&self) -> usize {
        self.end() - self.start()
    }

    fn start(&self) -> usize {
        self.written.checked_sub(1).and_then(|last| self.ends.get(last)).map_or(0, |(end, _)| *end)
    }

    fn end(&self) -> usize {
        self.ends.last().map_or(0, |(end, _)| *end)
    }

    fn clear(&mut self) {
        self.bodies.clear();
        self.ends.clear();
        self.written = 0;
        self.bodies.shrink_to(KEPT);
        self.ends.shrink_to(KEPT / 64);
    }
}

#[cfg(test)]
mod tests {
    use super::{Lines, Mark};

    fn lines(texts: &[&str]) -> Lines {
        let mut lines = Lines::default();
        for text in texts {
            lines.push(Mark::Stands, |out| out.extend_from_slice(text.as_bytes()));
        }
        lines
    }

    fn texts(lines: &Lines) -> Vec<String> {
        lines.unwritten().map(|(body, _)| String::from_utf8(body.to_vec()).unwrap()).collect()
    }

    /// G4: what is written goes, what is not stays, in order, with what came later behind it.
    #[test]
    fn unwritten_lines_stay_in_order() {
        let mut first = lines(&["a", "bb", "ccc"]);
        first.wrote(1);
        assert_eq!((texts(&first), first.bytes()), (vec!["bb".to_owned(), "ccc".into()], 5));
        let mut later = lines(&["d"]);
        first.take(&mut later);
        assert!(later.is_empty());
        assert_eq!(texts(&first), ["bb", "ccc", "d"]);
        first.wrote(3);
        assert_eq!((first.is_empty(), first.bytes()), (true, 0));
    }

    /// G3: half a line that a panic left is not written.
    #[test]
    fn half_a_line_is_dropped() {
        let mut lines = lines(&["a"]);
        let half = std::panic::AssertUnwindSafe(|| {
            lines.push(Mark::Stands, |out| {
                out.extend_from_slice(b"half");
                panic!("in the middle of a line");
            });
        });
        std::panic::catch_unwind(half).unwrap_err();
        lines.push(Mark::Stands, |out| out.extend_from_slice(b"b"));
        assert_eq!(texts(&lines), ["a", "b"]);
    }
}
