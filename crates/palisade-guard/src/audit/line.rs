//! One JSON object on one line, written by hand: twice for each call, without a tree and with few allocations.

use std::fmt::{Display, Write as _};
use std::net::IpAddr;

use crate::clock::Moment;
use crate::digest::push_hex;

/// Fields of an object under construction.
#[derive(Debug)]
pub(super) struct Line<'o> {
    out: &'o mut Vec<u8>,
}

impl<'o> Line<'o> {
    /// Opens an object with its kind; the chain closes it.
    pub(super) fn open(out: &'o mut Vec<u8>, kind: &str) -> Self {
        out.extend_from_slice(b"\"kind\":\"");
        out.extend_from_slice(kind.as_bytes());
        out.push(b'"');
        Self { out }
    }

    /// Bytes so far, of this line and of what stands before it.
    pub(super) fn length(&self) -> usize {
        self.out.len()
    }

    /// Fields that were written before.
    pub(super) fn fields(&mut self, written: &[u8]) {
        self.out.extend_from_slice(written);
    }

    fn name(&mut self, name: &str) {
        self.out.extend_from_slice(b",\"");
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// A text of anybody's, escaped.
    pub(super) fn text(&mut self, name: &str, text: &str) -> &mut Self {
        self.name(name);
        escape(self.out, text);
        self
    }

    /// A word of our own: letters, digits and punctuation that need no escape.
    pub(super) fn word(&mut self, name: &str, word: &str) -> &mut Self {
        self.name(name);
        self.out.push(b'"');
        self.out.extend_from_slice(word.as_bytes());
        self.out.push(b'"');
        self
    }

    /// A text, where there is one.
    pub(super) fn maybe(&mut self, name: &str, text: Option<&str>) -> &mut Self {
        if let Some(text) = text {
            self.text(name, text);
        }
        self
    }

    /// What shows as plain ASCII without quotes or backslashes: an address, a time, an id of ours.
    pub(super) fn plain(&mut self, name: &str, value: impl Display) -> &mut Self {
        self.name(name);
        self.out.push(b'"');
        let mut plain = Plain(self.out);
        // Writing to memory does not fail.
        let _written = write!(plain, "{value}");
        self.out.push(b'"');
        self
    }

    /// The wall clock.
    pub(super) fn time(&mut self, now: Moment) -> &mut Self {
        self.name("time");
        self.out.push(b'"');
        self.out.extend_from_slice(&now.rfc3339().text());
        self.out.push(b'"');
        self
    }

    /// Texts, where there are any.
    pub(super) fn texts(&mut self, name: &str, texts: &[&str]) -> &mut Self {
        if texts.is_empty() {
            return self;
        }
        self.name(name);
        for (place, text) in texts.iter().enumerate() {
            self.out.push(if place == 0 { b'[' } else { b',' });
            escape(self.out, text);
        }
        self.out.push(b']');
        self
    }

    /// A number.
    pub(super) fn number(&mut self, name: &str, number: u64) -> &mut Self {
        self.name(name);
        self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        self
    }

    /// A number that may be negative.
    pub(super) fn signed(&mut self, name: &str, number: i64) -> &mut Self {
        self.name(name);
        self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        self
    }

    /// An address. IPv4 is written by hand: every record has one.
    pub(super) fn address(&mut self, name: &str, address: IpAddr) -> &mut Self {
        let IpAddr::V4(address) = address else { return self.plain(name, address) };
        self.name(name);
        let mut mark = b'"';
        for octet in address.octets() {
            self.out.push(mark);
            self.out.extend_from_slice(itoa::Buffer::new().format(octet).as_bytes());
            mark = b'.';
        }
        self.out.push(b'"');
        self
    }

    /// Bytes in hexadecimal.
    pub(super) fn hex(&mut self, name: &str, bytes: &[u8]) -> &mut Self {
        self.name(name);
        self.out.push(b'"');
        push_hex(self.out, bytes);
        self.out.push(b'"');
        self
    }

    /// A value that is JSON already.
    pub(super) fn raw(&mut self, name: &str, json: &[u8]) -> &mut Self {
        self.name(name);
        self.out.extend_from_slice(json);
        self
    }
}

struct Plain<'o>(&'o mut Vec<u8>);

impl std::fmt::Write for Plain<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let unsound = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20 | 0x7f..);
        self.0.extend(text.bytes().map(|byte| if unsound(&byte) { b'?' } else { byte }));
        Ok(())
    }
}

/// A JSON string in which nothing can forge a line or hide text: control characters, line and paragraph separators,
/// and characters that turn the direction of writing or have no width are escaped.
pub(super) fn escape(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    if text.bytes().all(|byte| matches!(byte, 0x20..0x7f) && byte != b'"' && byte != b'\\') {
        out.extend_from_slice(text.as_bytes());
    } else {
        for ch in text.chars() {
            escape_char(out, ch);
        }
    }
    out.push(b'"');
}

fn escape_char(out: &mut Vec<u8>, ch: char) {
    match ch {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        '\0'..='\u{1f}'
        | '\u{7f}'..='\u{9f}'
        | '\u{ad}'
        | '\u{61c}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{e0000}'..='\u{e0fff}' => {
            for unit in ch.encode_utf16(&mut [0; 2]) {
                out.extend_from_slice(b"\\u");
                push_hex(out, &unit.to_be_bytes());
            }
        }
        _ => out.extend_from_slice(ch.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Line, escape};

    /// G1: any text comes back as it was, and no byte of it can end a line or hide another.
    #[test]
    fn texts_survive_and_forge_nothing() {
        let hostile = "a\"b\\c\n\r\t\0\u{1b}[31m\u{7f}\u{85}\u{2028}\u{202e}\u{200b}\u{e0041}\u{feff}ü\u{1f600}";
        let mut out = Vec::new();
        escape(&mut out, hostile);
        let written = std::str::from_utf8(&out).unwrap();
        assert_eq!(serde_json::from_str::<String>(written).unwrap(), hostile);
        assert!(written.chars().all(|ch| !ch.is_control() && !matches!(ch, '\u{2028}'..='\u{202e}' | '\u{200b}')));
    }

    /// G1: a line is one JSON object.
    #[test]
    fn fields_make_an_object() {
        let mut out = b"{".to_vec();
        Line::open(&mut out, "x").text("t", "\"").plain("p", "a\"b").number("n", 7).signed("s", -7).hex("h", &[0xab]);
        out.push(b'}');
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(value, serde_json::json!({"kind": "x", "t": "\"", "p": "a?b", "n": 7, "s": -7, "h": "ab"}));
    }
}
