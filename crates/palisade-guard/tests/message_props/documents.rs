//! Documents, and bytes that are near them; and what an independent reader makes of them.

use std::fmt;

use proptest::prelude::*;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// A document as `serde_json` reads it, but without a key that stands twice.
#[derive(Debug)]
pub(crate) struct Unique;

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self, A::Error> {
        while elements.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        let mut keys = Vec::new();
        while let Some(key) = members.next_key::<String>()? {
            if keys.contains(&key) {
                return Err(A::Error::custom("duplicate key"));
            }
            keys.push(key);
            members.next_value::<Self>()?;
        }
        Ok(self)
    }
}

/// The escape that a character has for itself.
const fn short(ch: char) -> Option<&'static str> {
    match ch {
        '"' => Some("\\\""),
        '\\' => Some("\\\\"),
        '/' => Some("\\/"),
        '\u{8}' => Some("\\b"),
        '\u{c}' => Some("\\f"),
        '\n' => Some("\\n"),
        '\r' => Some("\\r"),
        '\t' => Some("\\t"),
        _ => None,
    }
}

/// A document written in one of the many ways there are: `choices` decides on white space and escapes.
pub(crate) struct Writer<'c> {
    text: String,
    choices: std::iter::Cycle<std::slice::Iter<'c, u8>>,
}

impl<'c> Writer<'c> {
    /// The document, written.
    pub(crate) fn write(value: &Value, choices: &'c [u8]) -> String {
        let mut writer = Self { text: String::new(), choices: choices.iter().cycle() };
        writer.value(value);
        writer.text
    }

    /// An object of these keys, in this order, twice if they stand twice.
    pub(crate) fn write_keys(keys: &[&str], choices: &'c [u8]) -> String {
        let mut writer = Self { text: String::new(), choices: choices.iter().cycle() };
        writer.list('{', '}', keys, |writer, key| {
            writer.string(key);
            writer.text.push_str(":0");
        });
        writer.text
    }

    fn choice(&mut self) -> u8 {
        self.choices.next().copied().unwrap_or(0)
    }

    fn value(&mut self, value: &Value) {
        self.space();
        match value {
            Value::String(text) => self.string(text),
            Value::Array(elements) => self.list('[', ']', elements, Self::value),
            Value::Object(members) => self.list('{', '}', members, |writer, (key, value)| {
                writer.space();
                writer.string(key);
                writer.space();
                writer.text.push(':');
                writer.value(value);
            }),
            scalar => self.text.push_str(&scalar.to_string()),
        }
        self.space();
    }

    fn list<I: IntoIterator>(&mut self, open: char, close: char, items: I, mut write: impl FnMut(&mut Self, I::Item)) {
        self.text.push(open);
        for (place, item) in items.into_iter().enumerate() {
            if place > 0 {
                self.text.push(',');
            }
            write(self, item);
        }
        self.space();
        self.text.push(close);
    }

    fn space(&mut self) {
        if let byte @ 0..4 = self.choice() {
            self.text.push([' ', '\t', '\n', '\r'][usize::from(byte)]);
        }
    }

    fn string(&mut self, text: &str) {
        self.text.push('"');
        for ch in text.chars() {
            let must = ch < ' ' || matches!(ch, '"' | '\\');
            match (self.choice() % 4, short(ch)) {
                (0, Some(short)) => self.text.push_str(short),
                (1, _) => self.units(ch, |unit| format!("\\u{unit:04x}")),
                (2, _) => self.units(ch, |unit| format!("\\u{unit:04X}")),
                (_, Some(short)) if must => self.text.push_str(short),
                _ if must => self.units(ch, |unit| format!("\\u{unit:04x}")),
                _ => self.text.push(ch),
            }
        }
        self.text.push('"');
    }

    fn units(&mut self, ch: char, shown: impl Fn(u16) -> String) {
        self.text.extend(ch.encode_utf16(&mut [0; 2]).iter().map(|unit| shown(*unit)));
    }
}

/// Any text, and more often than chance would have it text that needs an escape or is long enough to be skipped over.
pub(crate) fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[\"\\\\/\u{0}-\u{1f}\u{7f}-\u{a0}a\u{2028}\u{fffd}\u{1f600}\u{10ffff}]{0,24}",
        "[a-z]{0,40}"
    ]
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-f]{1,2}",
        2 => one_of("params arguments _meta name id method").prop_map(str::to_owned),
        1 => text(),
    ]
}

/// Any value.
pub(crate) fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 24, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((key(), inner), 0..24).prop_map(|members| Value::from(Map::from_iter(members))),
        ]
    })
}

/// Any value, written in any way.
pub(crate) fn document() -> impl Strategy<Value = String> {
    (value(), prop::collection::vec(any::<u8>(), 1..64)).prop_map(|(value, choices)| Writer::write(&value, &choices))
}

/// Bytes that are near JSON: pieces of it in any order, objects whose keys meet, a sound document with some bytes
/// changed, or anything at all.
pub(crate) fn near_json() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: &str = "{ } [ ] : , \" \"a\" \"\\u0061\" \"b\": \"a\":1 0 - 1 .5 e E+ 9e999 12345678901234567890123 true false null \
        nul \t \u{b} \u{a0} \u{feff} \\ \\u \\ud83d \\ude00 \"\\ud83d\\ude00\" \"\\ud800\" \"\\u00Zz\" /**/ ' \0 é \"abcdefgh\u{1f}ijklmnop\"";
    let keys = one_of("\"a\" \"\\u0061\" \"b\" \"\\u0062\" \"c\" \"d\" \"\" \"e\\n\" \"f\\ud83d\\ude00\" \"f😀\"");
    let values = one_of("0 -1.5e3 1e400 \"\\ud800\" \"x\" [{}] {\"a\":{\"a\":1}} [1,] null 01");
    let members = prop::collection::vec((keys, prop_oneof![4 => Just("1"), 1 => values]), 0..7);
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0..3_u8, any::<u8>()), 0..4);
    prop_oneof![
        prop::collection::vec(one_of(PIECES), 0..24).prop_map(|pieces| pieces.concat().into_bytes()),
        members.prop_map(|members| {
            let members: Vec<_> = members.into_iter().map(|(key, value)| format!("{key}:{value}")).collect();
            format!("{{{}}}", members.join(",")).into_bytes()
        }),
        (document(), edits).prop_map(|(text, edits)| edited(text.into_bytes(), &edits)),
        prop::collection::vec(any::<u8>(), 0..64),
    ]
}

/// One of these words.
pub(crate) fn one_of(words: &'static str) -> impl Strategy<Value = &'static str> {
    prop::sample::select(words.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>())
}

fn edited(mut bytes: Vec<u8>, edits: &[(prop::sample::Index, u8, u8)]) -> Vec<u8> {
    for (place, how, byte) in edits {
        let at = place.index(bytes.len() + 1);
        match how {
            0 => bytes.insert(at, *byte),
            1 if at < bytes.len() => bytes[at] = *byte,
            _ if at < bytes.len() => drop(bytes.remove(at)),
            _ => {}
        }
    }
    bytes
}
