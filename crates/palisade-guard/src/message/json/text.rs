//! Texts of strings that were found good.

use std::borrow::Cow;

pub(super) fn hex4(digits: &[u8]) -> Option<u16> {
    let [a, b, c, d] = digits else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let unit = digit(*a)? << 12 | digit(*b)? << 8 | digit(*c)? << 4 | digit(*d)?;
    u16::try_from(unit).ok()
}

/// The text of a string that [`scan`] found good, quotes left out. Borrowed where nothing is escaped.
pub fn text_of(quoted: &[u8]) -> Cow<'_, str> {
    let inner = quoted.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or_default();
    if memchr::memchr(b'\\', inner).is_none() {
        return String::from_utf8_lossy(inner);
    }
    Cow::Owned(unescape(inner))
}

/// Undoes the escapes of a string that [`scan`] found good.
pub(super) fn unescape(raw: &[u8]) -> String {
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (plain, escape) = rest.split_at(at);
        out.extend_from_slice(plain);
        let (ch, len) = unescape_one(escape);
        out.extend_from_slice(ch.encode_utf8(&mut [0; 4]).as_bytes());
        rest = escape.get(len..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    String::from_utf8_lossy(&out).into_owned()
}

fn unescape_one(escape: &[u8]) -> (char, usize) {
    let ch = match escape.get(1) {
        Some(b'u') => {
            let unit = |from: usize| escape.get(from..from + 4).and_then(hex4).unwrap_or(0xfffd);
            // The other half counts only if it is an escape itself.
            let second = if escape.get(6..8) == Some(b"\\u") { unit(8) } else { 0 };
            return match char::decode_utf16([unit(2), second]).next() {
                Some(Ok(ch)) if ch.len_utf16() == 2 => (ch, 12),
                Some(Ok(ch)) => (ch, 6),
                _ => (char::REPLACEMENT_CHARACTER, 6),
            };
        }
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(other) => char::from(*other),
        None => char::REPLACEMENT_CHARACTER,
    };
    (ch, 2)
}
