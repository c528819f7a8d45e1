//! A subject as a text (RFC 4514): the last part first, `CN=agent 7,OU=trading,O=Example`.

use std::fmt::Write as _;

use super::der::{OID, Reader, SEQUENCE, SET};

/// Kinds of parts, and what they are called.
const KINDS: [(&[u8], &str); 11] = [
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 5], "serialNumber"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 9], "STREET"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1], "emailAddress"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1], "UID"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25], "DC"),
];

/// Parts of one name.
const PARTS: usize = 32;

/// The text of a name, if every part of it has one.
pub(super) fn read(mut name: Reader<'_>) -> Option<Box<str>> {
    let mut parts = Vec::new();
    while !name.is_empty() {
        let mut several = name.inside(SET)?;
        let mut texts = Vec::new();
        while !several.is_empty() {
            let mut one = several.inside(SEQUENCE)?;
            let id = one.expect(OID)?;
            let (_, kind) = KINDS.iter().find(|(known, _)| *known == id)?;
            let value = one.next()?;
            // UTF8String, PrintableString, IA5String: the texts of which every byte means one thing.
            let text = std::str::from_utf8(value.content).ok().filter(|_| matches!(value.tag, 0x0c | 0x13 | 0x16))?;
            texts.push(format!("{kind}={}", escaped(text)?));
        }
        parts.push(texts.join("+"));
        if parts.len() > PARTS {
            return None;
        }
    }
    parts.reverse();
    Some(parts.join(",").into())
}

/// With a backslash before whatever would end the part.
fn escaped(text: &str) -> Option<String> {
    let mut escaped = String::with_capacity(text.len());
    let last = text.chars().count().saturating_sub(1);
    for (index, letter) in text.chars().enumerate() {
        let special = matches!(letter, ',' | '+' | '"' | '\\' | '<' | '>' | ';')
            || letter == ' ' && (index == 0 || index == last)
            || letter == '#' && index == 0;
        if letter.is_control() {
            return None;
        }
        if special {
            escaped.push('\\');
        }
        escaped.write_char(letter).ok()?;
    }
    Some(escaped)
}
