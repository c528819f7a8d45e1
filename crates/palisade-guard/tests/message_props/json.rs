//! Strict JSON against an independent reader: whatever the bytes, both see the same document.

use palisade_guard::message::json::{Bounds, Fault, Kind, Outline, find, scan, text_of};
use proptest::prelude::*;
use serde_json::{Map, Value};

use crate::documents::{Unique, Writer, document, near_json, text, value};

const BOUNDS: Bounds = Bounds { depth: 64, nodes: 100_000, lone_surrogates: false };

/// Every outlined member is the value that the other reader has there, and none is missing.
fn same(text: &[u8], outline: &Outline, parent: Option<u32>, depth: usize, value: &Value) -> Result<(), TestCaseError> {
    let children: Vec<_> = outline.children(parent).collect();
    let expected: Vec<&Value> = match value {
        Value::Array(elements) => elements.iter().collect(),
        Value::Object(members) => {
            let key = |member| String::from_utf8(outline.key(text, member).to_vec()).unwrap();
            children.iter().filter_map(|(_, member)| members.get(&key(member))).collect()
        }
        _ => Vec::new(),
    };
    let whole = value.as_object().map_or(expected.len(), Map::len);
    prop_assert_eq!((children.len(), expected.len()), (whole, whole));
    for ((index, member), value) in children.into_iter().zip(expected) {
        prop_assert_eq!(&serde_json::from_slice::<Value>(&text[member.value.clone()]).unwrap(), value);
        prop_assert_eq!(member.kind, kind(value, &text[member.value.clone()]));
        // The outline ends at the fourth level and at a tool's arguments.
        let arguments = depth == 2 && outline.key(text, member) == b"arguments";
        if depth < 4 && !arguments {
            same(text, outline, Some(index), depth + 1, value)?;
        }
    }
    Ok(())
}

fn kind(value: &Value, text: &[u8]) -> Kind {
    match value {
        Value::Null => Kind::Null,
        Value::Bool(_) => Kind::Bool,
        Value::Number(_) if text.iter().all(|byte| matches!(byte, b'-' | b'0'..=b'9')) => Kind::Integer,
        Value::Number(_) => Kind::Number,
        Value::String(_) => Kind::String,
        Value::Array(_) => Kind::Array,
        Value::Object(_) => Kind::Object,
    }
}

/// A member of an object, never of an array: what a pointer means by `0` there, a path does not.
fn at<'v>(value: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, name| value.as_object()?.get(name))
}

proptest! {
    /// E1: what passes is JSON to an independent reader, with no key twice; what is JSON so passes.
    #[test]
    fn both_readers_accept_the_same(text in near_json()) {
        let theirs = serde_json::from_slice::<Unique>(&text).map_err(|error| error.to_string());
        // RFC 8259 has no largest number; only who computes with it has.
        let says = |what| theirs.as_ref().err().is_some_and(|error| error.contains(what) || error.contains("out of range"));
        match scan(&text, BOUNDS) {
            Ok(_) => prop_assert!(theirs.is_ok() || says("out of range"), "{theirs:?}"),
            Err(Fault::DuplicateKey(_)) => prop_assert!(says("duplicate key"), "{theirs:?}"),
            Err(fault) => prop_assert!(theirs.is_err(), "{fault:?}"),
        }
    }

    /// E1: every span of the outline is the value that an independent reader has there.
    #[test]
    fn spans_are_the_values(text in document()) {
        let outline = scan(text.as_bytes(), BOUNDS).unwrap();
        let whole: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(outline.span.clone(), text.len() - text.trim_start().len()..text.trim_end().len());
        prop_assert_eq!(outline.root, kind(&whole, &text.as_bytes()[outline.span.clone()]));
        same(text.as_bytes(), &outline, None, 1, &whole)?;
    }

    /// E1: a path leads to the same value, or to none, as deep as the document goes.
    #[test]
    fn paths_lead_to_the_values(document in value(), choices in prop::collection::vec(any::<u8>(), 1..32), turns in prop::collection::vec(any::<prop::sample::Index>(), 0..7), astray in prop::option::of("[a-z]{1,3}")) {
        let text = Writer::write(&document, &choices);
        let whole: Value = serde_json::from_str(&text).unwrap();
        let (mut path, mut here) = (Vec::new(), &whole);
        for turn in &turns {
            let Some(members) = here.as_object().filter(|members| !members.is_empty()) else { break };
            let (key, value) = members.iter().nth(turn.index(members.len())).unwrap();
            path.push(key.clone());
            here = value;
        }
        path.extend(astray);
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        let span = scan(text.as_bytes(), BOUNDS).unwrap().span;
        let found = find(text.as_bytes(), span, &names).map(|(span, _)| serde_json::from_str(&text[span]).unwrap());
        prop_assert_eq!(found.as_ref(), at(&whole, &path));
    }

    /// E1: a string comes back as it was, however it is escaped.
    #[test]
    fn escapes_are_undone(text in text(), choices in prop::collection::vec(4..=u8::MAX, 1..32)) {
        let written = Writer::write(&Value::from(text.as_str()), &choices);
        prop_assert!(scan(written.as_bytes(), BOUNDS).is_ok(), "{written}");
        prop_assert_eq!(text_of(written.as_bytes()), text.as_str());
        let standard = serde_json::to_string(&text).unwrap();
        prop_assert_eq!(text_of(standard.as_bytes()), text);
    }

    /// E1: two keys are the same key however each is escaped, in small objects and in large ones.
    #[test]
    fn a_key_in_other_letters_is_the_same_key(twice in text(), others in prop::collection::btree_set(text(), 0..40), choices in prop::collection::vec(4..=u8::MAX, 1..32)) {
        let mut keys: Vec<&str> = others.iter().map(String::as_str).filter(|other| *other != twice).collect();
        let written = |keys: &[&str]| Writer::write_keys(keys, &choices);
        keys.push(&twice);
        prop_assert!(scan(written(&keys).as_bytes(), BOUNDS).is_ok());
        keys.insert(choices.len() % keys.len(), &twice);
        prop_assert!(matches!(scan(written(&keys).as_bytes(), BOUNDS), Err(Fault::DuplicateKey(_))));
    }
}
