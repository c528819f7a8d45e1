//! A client of HTTP/2 that writes its frames by hand, also those that no honest client writes.

use std::io::{self, Read, Write};
use std::time::Duration;

use super::{Authority, Tls, client};
use crate::gate::{Gate, KEY};

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RESET: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GO_AWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// A connection that has said its preface.
pub(crate) struct Http2 {
    pub(crate) tls: Tls,
    pub(crate) host: String,
}

/// A frame that came.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A field as a literal that is not indexed (RFC 7541 section 6.2.2).
pub(crate) fn field(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| {
        let length = text.len();
        let mut out = vec![u8::try_from(length.min(127)).unwrap()];
        if let Some(rest) = length.checked_sub(127) {
            assert!(rest < 128 * 128);
            out.extend([u8::try_from(rest % 128).unwrap() | 0x80, u8::try_from(rest / 128).unwrap()]);
        }
        out.extend_from_slice(text.as_bytes());
        out
    };
    [vec![0], text(name), text(value)].concat()
}

impl Http2 {
    /// Connects, with these settings of the client's.
    pub(crate) fn open(gate: &Gate, authority: &Authority, settings: &[(u16, u32)]) -> Self {
        let tls = gate.secure(&client(authority, None, &[b"h2"])).unwrap();
        assert_eq!(tls.conn.alpn_protocol(), Some(&b"h2"[..]));
        let mut this = Self { tls, host: gate.address.to_string() };
        let settings: Vec<u8> =
            settings.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
        this.say(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        this.say(&frame(SETTINGS, 0, 0, &settings)).unwrap();
        this
    }

    pub(crate) fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.tls.write_all(bytes)?;
        self.tls.flush()
    }

    /// The fields of a call of the server `one`, with the key.
    pub(crate) fn fields(&self, method: &str) -> Vec<u8> {
        [
            field(":method", method),
            field(":scheme", "https"),
            field(":authority", &self.host),
            field(":path", "/mcp/one"),
            field("authorization", &format!("Bearer {KEY}")),
            field("content-type", "application/json"),
            field("accept", "application/json, text/event-stream"),
        ]
        .concat()
    }

    /// A whole call.
    pub(crate) fn call(&self, stream: u32, body: &[u8]) -> Vec<u8> {
        let head = frame(HEADERS, END_HEADERS, stream, &self.fields("POST"));
        [head, frame(DATA, END_STREAM, stream, body)].concat()
    }

    /// The next frame; `None` where the connection has ended.
    pub(crate) fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.tls.read_exact(&mut head).ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.tls.read_exact(&mut payload).ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// The next frame of this kind, on this stream.
    pub(crate) fn until(&mut self, kind: u8, stream: u32) -> Frame {
        loop {
            let frame = self.next().unwrap_or_else(|| panic!("the connection ended before a frame of kind {kind}"));
            if (frame.kind, frame.stream) == (kind, stream) {
                return frame;
            }
        }
    }

    /// Writes the same again and again until the gateway has enough; what it said on GOAWAY, where it said that.
    pub(crate) fn floods(mut self, mut wave: impl FnMut(u32) -> Vec<u8>) -> Option<u32> {
        self.tls.sock.set_write_timeout(Some(Duration::from_secs(10))).unwrap();
        let ended = (0..MOST).any(|number| self.say(&wave(number)).is_err());
        assert!(ended, "{MOST} waves were taken");
        while let Some(frame) = self.next() {
            if frame.kind == GO_AWAY {
                return Some(u32::from_be_bytes([
                    frame.payload[4],
                    frame.payload[5],
                    frame.payload[6],
                    frame.payload[7],
                ]));
            }
        }
        None
    }
}

/// Waves of a flood that nothing stops.
const MOST: u32 = 3_000;
