//! Where the head of an answer ends, for what follows it to be kept apart.

/// What is known of the heads on a connection since a request went out.
#[derive(Debug, Default)]
pub(super) struct Heads {
    /// Bytes of this head.
    length: usize,
    /// The first digit of its status.
    class: u8,
    /// Nothing but a CR stands on this line so far.
    is_empty_line: bool,
    is_over: bool,
}

/// Where the first digit of the status stands: after `HTTP/1.1 `.
const CLASS: usize = 9;

impl Heads {
    /// Reads on, up to the end of the answer's own head: how many of these bytes belong to it, or to informational heads
    /// (1xx) before it.
    pub(super) fn read(&mut self, bytes: &[u8]) -> usize {
        for (place, byte) in bytes.iter().enumerate() {
            if self.is_over {
                return place;
            }
            if self.length == CLASS {
                self.class = *byte;
            }
            self.length += 1;
            match byte {
                b'\n' if self.is_empty_line && self.class == b'1' => *self = Self::default(),
                b'\n' if self.is_empty_line => self.is_over = true,
                b'\n' => self.is_empty_line = true,
                b'\r' => {}
                _ => self.is_empty_line = false,
            }
        }
        bytes.len()
    }

    /// Whether the answer's own head has come.
    pub(super) const fn is_over(&self) -> bool {
        self.is_over
    }
}

#[cfg(test)]
mod tests {
    use super::Heads;

    /// A3: a head ends with the first empty line after a status that is not informational, however it arrives.
    #[test]
    fn the_answers_own_head_is_found() {
        let interim = "HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\n";
        for (heads, rest) in [
            ("HTTP/1.1 200 OK\r\na: b\r\n\r\n".to_owned(), "data\r\n\r\nHTTP/1.1 100"),
            (format!("{interim}{interim}HTTP/1.1 200 OK\r\n\r\n"), "\r\n\r\n"),
            ("HTTP/1.1 404 Not Found\na: b\n\n".to_owned(), ""),
        ] {
            let whole = format!("{heads}{rest}");
            for size in [1, 7, whole.len()] {
                let mut found = Heads::default();
                let read: usize = whole.as_bytes().chunks(size).map(|piece| found.read(piece)).sum();
                assert_eq!((read, found.is_over()), (heads.len(), true), "{whole:?} in pieces of {size}");
            }
        }
        let mut early = Heads::default();
        assert_eq!((early.read(interim.as_bytes()), early.is_over()), (interim.len(), false));
    }
}
