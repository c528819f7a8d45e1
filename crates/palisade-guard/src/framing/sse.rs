//! Server-sent events (WHATWG HTML, "Server-sent events"): read as bytes arrive, written so that nothing inside a
//! message can pass for framing.

use bytes::{BufMut, Bytes, BytesMut};

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// `id:`
    pub id: Option<Bytes>,
    /// `event:`; `None` and `message` are MCP messages.
    pub name: Option<Bytes>,
    /// `retry:` in milliseconds.
    pub retry: Option<u32>,
    /// The lines of `data:`, joined with line feeds; empty in a priming event.
    pub data: Bytes,
}

impl Event {
    /// A message without an id.
    pub fn message(data: Bytes) -> Self {
        Self { data, ..Self::default() }
    }

    /// Whether its data is meant to be an MCP message.
    pub fn is_message(&self) -> bool {
        !self.data.is_empty() && self.name.as_deref().is_none_or(|name| name == b"message")
    }

    /// Appends the event in wire form. A line break inside the data starts a new `data:` line, so data can forge no
    /// field of its own.
    pub fn write(&self, out: &mut BytesMut) {
        if let Some(name) = &self.name {
            field(out, b"event: ", name);
        }
        if let Some(id) = &self.id {
            field(out, b"id: ", id);
        }
        if let Some(retry) = self.retry {
            field(out, b"retry: ", retry.to_string().as_bytes());
        }
        for line in self.data.split(|byte| matches!(byte, b'\n' | b'\r')) {
            field(out, b"data: ", line);
        }
        out.put_u8(b'\n');
    }
}

fn field(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    out.put_slice(name);
    out.put_slice(value);
    out.put_u8(b'\n');
}

/// A comment line that keeps a quiet stream open.
pub const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// Reads events from a stream of bytes. Memory is bounded by the limit given.
#[derive(Debug)]
pub struct Reader {
    buffer: BytesMut,
    /// Where to go on looking for the end of a line.
    scanned: usize,
    started: bool,
    event: Event,
    data: BytesMut,
    has_data: bool,
    limit: usize,
    signs: u64,
}

/// An event grew beyond the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge;

impl Reader {
    /// A reader that refuses an event or a line of more than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            scanned: 0,
            started: false,
            event: Event::default(),
            data: BytesMut::new(),
            has_data: false,
            limit,
            signs: 0,
        }
    }

    /// Takes what arrived.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Signs of life so far: whole events and whole comments. A byte, or a line of an event that never ends, is none.
    pub const fn signs(&self) -> u64 {
        self.signs
    }

    /// The next whole event, if it is there.
    pub fn next_event(&mut self) -> Result<Option<Event>, TooLarge> {
        while let Some(line) = self.line() {
            if line.is_empty() {
                if let Some(event) = self.finish() {
                    self.signs += 1;
                    return Ok(Some(event));
                }
                continue;
            }
            self.field(&line);
            if self.data.len() > self.limit {
                return Err(TooLarge);
            }
        }
        if self.buffer.len() > self.limit { Err(TooLarge) } else { Ok(None) }
    }

    /// One line without its end, which is CR LF, LF or CR.
    fn line(&mut self) -> Option<Bytes> {
        let found = self.buffer.get(self.scanned..).and_then(|rest| memchr::memchr2(b'\n', b'\r', rest));
        let Some(offset) = found else {
            self.scanned = self.buffer.len();
            return None;
        };
        let end = self.scanned + offset;
        let mut skip = 1;
        if self.buffer.get(end) == Some(&b'\r') {
            match self.buffer.get(end + 1) {
                Some(b'\n') => skip = 2,
                Some(_) => {}
                // The line feed that belongs to it may be on its way.
                None => return None,
            }
        }
        let line = self.buffer.split_to(end).freeze();
        drop(self.buffer.split_to(skip));
        self.scanned = 0;
        if !self.started {
            self.started = true;
            return Some(line.strip_prefix(b"\xef\xbb\xbf").map_or_else(|| line.clone(), Bytes::copy_from_slice));
        }
        Some(line)
    }

    fn field(&mut self, line: &Bytes) {
        let (name, value) = match memchr::memchr(b':', line) {
            Some(colon) => (line.slice(..colon), line.slice(colon + 1..)),
            None => (line.clone(), Bytes::new()),
        };
        let value = if value.first() == Some(&b' ') { value.slice(1..) } else { value };
        match name.as_ref() {
            b"data" => {
                if self.has_data {
                    self.data.put_u8(b'\n');
                }
                self.has_data = true;
                self.data.extend_from_slice(&value);
            }
            b"id" if !value.contains(&0) => self.event.id = Some(value),
            b"event" => self.event.name = Some(value),
            b"retry" => self.event.retry = std::str::from_utf8(&value).ok().and_then(|text| text.parse().ok()),
            b"" => self.signs += 1,
            // A field nobody knows.
            _ => {}
        }
    }

    fn finish(&mut self) -> Option<Event> {
        let mut event = std::mem::take(&mut self.event);
        event.data = self.data.split().freeze();
        self.has_data = false;
        (event != Event::default()).then_some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::{Event, Reader, TooLarge};
    use bytes::{Bytes, BytesMut};

    fn read(chunks: &[&str]) -> Vec<Event> {
        let mut reader = Reader::new(1000);
        let mut events = Vec::new();
        for chunk in chunks {
            reader.feed(chunk.as_bytes());
            while let Some(event) = reader.next_event().unwrap() {
                events.push(event);
            }
        }
        events
    }

    fn event(id: Option<&'static str>, data: &'static str) -> Event {
        Event { id: id.map(Bytes::from), data: Bytes::from(data), ..Event::default() }
    }

    /// A1: events are read however the bytes are cut, with any line end.
    #[test]
    fn events_survive_any_cut() {
        let text = "\u{feff}: hello\r\nid: 1\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\ndata:x\rdata\r\rid: 2\ndata: \n\n";
        let want = [event(Some("1"), "{\"a\":\n1}"), event(None, "x\n"), event(Some("2"), "")];
        for size in 1..text.len() {
            let bytes = text.as_bytes();
            let mut reader = Reader::new(1000);
            let mut events = Vec::new();
            for chunk in bytes.chunks(size) {
                reader.feed(chunk);
                while let Some(event) = reader.next_event().unwrap() {
                    events.push(event);
                }
            }
            assert_eq!(events, want, "cut into {size}");
        }
    }

    /// E1: what is in a message cannot become a field: the line breaks of the data are framed anew.
    #[test]
    fn data_forges_nothing() {
        let hostile = Event::message(Bytes::from("a\nid: 9\r\nevent: x\r\n\r\ndata: b"));
        let mut out = BytesMut::new();
        hostile.write(&mut out);
        let events = read(&[std::str::from_utf8(&out).unwrap()]);
        assert_eq!(events.len(), 1);
        assert_eq!((events[0].id.clone(), events[0].name.clone()), (None, None));
    }

    /// A8: a line or an event without end is refused at the limit.
    #[test]
    fn endless_events_end() {
        let mut reader = Reader::new(100);
        reader.feed(&[b'x'; 101]);
        assert_eq!(reader.next_event(), Err(TooLarge));
        let mut reader = Reader::new(100);
        for _ in 0..60 {
            reader.feed(b"data: xxxx\n");
            if reader.next_event() == Err(TooLarge) {
                return;
            }
        }
        panic!("an endless event was kept");
    }
}
