//! Strict JSON, one document at a time.

use super::super::json::{Bounds, Fault, Kind, find, scan, text_of};

const BOUNDS: Bounds = Bounds { depth: 8, nodes: 200, lone_surrogates: false };

fn accepts(text: &str) {
    assert!(scan(text.as_bytes(), BOUNDS).is_ok(), "{text:?}");
    assert!(serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok(), "serde_json refuses {text:?}");
}

fn refuses(text: impl AsRef<[u8]>, fault: Fault) {
    let text = text.as_ref();
    assert_eq!(scan(text, BOUNDS).err(), Some(fault), "{:?}", String::from_utf8_lossy(text));
}

/// E1: every form of a JSON value is read.
#[test]
fn sound_documents_pass() {
    for text in [
        "0",
        "-0",
        "1e1",
        "-1.5E+10",
        "123456789012345678901234567890",
        "true",
        "false",
        "null",
        "\"\"",
        "[]",
        "{}",
        " \t\r\n{ \"a\" : [ 1 , { } ] } ",
        r#"{"a":1,"A":2,"":3}"#,
        r#""\"\\\/\b\f\n\r\t\u0000\ud83d\ude00""#,
        "\"\u{7f}\u{2028}\u{10ffff}\"",
        r#""a long text without anything to look at, and then an escape \n""#,
    ] {
        accepts(text);
    }
}

/// E1: whatever is not exactly one value of RFC 8259 is refused, at the right place.
#[test]
fn unsound_documents_are_refused() {
    for (text, at) in [
        ("", 0),
        ("   ", 3),
        ("{", 1),
        ("[1", 2),
        ("[1,]", 3),
        ("{\"a\":1,}", 7),
        ("{a:1}", 1),
        ("{'a':1}", 1),
        ("01", 1),
        ("+1", 0),
        (".5", 0),
        ("1.", 2),
        ("1e", 2),
        ("-", 1),
        ("0x1", 1),
        ("NaN", 0),
        ("Infinity", 0),
        ("tru", 0),
        ("True", 0),
        ("1 2", 2),
        ("[1]x", 3),
        ("\"a", 2),
        ("\"\\x\"", 2),
        ("\"\\u12g4\"", 2),
        ("\"a\nb\"", 2),
        ("\"a\u{1f}\"", 2),
        ("{\"a\" 1}", 5),
        ("{\"a\":}", 5),
        ("[1 2]", 3),
        ("/**/1", 0),
        ("\u{feff}1", 0),
        ("[1\u{a0}]", 2),
    ] {
        refuses(text, Fault::Syntax(at));
    }
    refuses(b"\"\xff\"", Fault::NotUtf8(1));
    refuses(b"\"\xed\xa0\x80\"", Fault::NotUtf8(1));
}

/// E1, P-D8: no object names a key twice, however it is written and however many there are.
#[test]
fn a_key_stands_once() {
    refuses(r#"{"a":1,"a":2}"#, Fault::DuplicateKey(9));
    refuses(r#"{"a":1,"\u0061":2}"#, Fault::DuplicateKey(14));
    refuses(r#"{"x":[{"k":{},"b":2,"k":3}]}"#, Fault::DuplicateKey(22));
    let many = |last: &str| {
        let keys = (0..40).fold(String::new(), |keys, n| format!("{keys}\"k{n}\":0,"));
        format!("{{{keys}\"{last}\":0}}")
    };
    accepts(&many("k40"));
    for last in ["k0", "k15", "k16", "k39", "\\u006b7"] {
        assert!(matches!(scan(many(last).as_bytes(), BOUNDS), Err(Fault::DuplicateKey(_))), "{last}");
    }
}

/// E1: half a surrogate pair is refused from callers and let through from servers.
#[test]
fn lone_surrogates() {
    for text in [r#""\ud800""#, r#""\udc00""#, r#""\ud800\u0041""#, r#""\ud800\ud800""#, r#""\ud83d x""#] {
        assert!(matches!(scan(text.as_bytes(), BOUNDS), Err(Fault::LoneSurrogate(1))), "{text}");
        assert!(scan(text.as_bytes(), Bounds { lone_surrogates: true, ..BOUNDS }).is_ok(), "{text}");
    }
}

/// E1: undoing half a pair leaves what follows alone.
#[test]
fn text_after_half_a_pair_stays() {
    assert_eq!(text_of(br#""\ud83dabdc00 tail""#), "\u{fffd}abdc00 tail");
    assert_eq!(text_of(br#""\ud83d\ude00!""#), "\u{1f600}!");
}

/// A8: nesting and number of values are bounded before anything is built.
#[test]
fn bounds_hold() {
    accepts(&format!("{}{}", "[".repeat(8), "]".repeat(8)));
    refuses("[".repeat(9), Fault::TooDeep);
    refuses("[".repeat(1_000_000), Fault::TooDeep);
    accepts(&format!("[{}0]", "0,".repeat(198)));
    refuses(format!("[{}0]", "0,".repeat(199)), Fault::TooMany);
}

/// E1: the outline finds members near the root, escaped keys too, and leaves a tool's arguments alone.
#[test]
fn the_outline_is_where_things_stand() {
    let text = br#"{"params":{"n\u0061me":"x\ty","_meta":{"token":7},"arguments":{"deep":1}}}"#;
    let outline = scan(text, BOUNDS).unwrap();
    let (params, _) = outline.get(text, None, "params").unwrap();
    let (_, name) = outline.get(text, Some(params), "name").unwrap();
    assert_eq!(text_of(&text[name.value.clone()]), "x\ty");
    let (meta, _) = outline.get(text, Some(params), "_meta").unwrap();
    assert_eq!(outline.get(text, Some(meta), "token").unwrap().1.kind, Kind::Integer);
    let (arguments, member) = outline.get(text, Some(params), "arguments").unwrap();
    assert_eq!(outline.children(Some(arguments)).count(), 0);
    assert_eq!(&text[member.value.clone()], br#"{"deep":1}"#);
    let (deep, kind) = find(text, member.value.clone(), &["deep"]).unwrap();
    assert_eq!((&text[deep], kind), (b"1".as_slice(), Kind::Integer));
}
