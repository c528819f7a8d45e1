//! The parser against its own cases, and against the HTTP working group's where they are at hand.

use super::{Bare, Content, dictionary};

/// B4: members, lists, parameters and each kind of value.
#[test]
fn a_dictionary_is_read() {
    let text = r#"sig=("@method" "a";x=?1);created=17;nonce="a\"b" , b=:aGk=:;t=tok/en, c"#;
    let members = dictionary(text).unwrap();
    assert_eq!(members.iter().map(|member| member.key.as_str()).collect::<Vec<_>>(), ["sig", "b", "c"]);
    assert_eq!(members[0].raw, r#"("@method" "a";x=?1);created=17;nonce="a\"b""#);
    let Content::Inner(items, parameters) = &members[0].content else { panic!("{members:?}") };
    assert_eq!(items[1].parameters, [("x".to_owned(), Bare::Boolean(true))]);
    assert_eq!(parameters[0], ("created".to_owned(), Bare::Integer(17)));
    assert_eq!(parameters[1], ("nonce".to_owned(), Bare::String("a\"b".to_owned())));
    let Content::Item(item) = &members[1].content else { panic!("{members:?}") };
    assert_eq!(item.value, Bare::Bytes(b"hi".to_vec()));
    assert_eq!(item.parameters, [("t".to_owned(), Bare::Token("tok/en".to_owned()))]);
    assert_eq!(dictionary(""), Some(vec![]));
}

/// B4: what is not of the grammar is nothing, and neither is a key that stands twice.
#[test]
fn everything_else_is_refused() {
    for text in [
        "a=1,",
        ",a=1",
        "a=1 b=2",
        "A=1",
        "a=",
        "a=(1",
        "a=(1\"x\")",
        "a=1;;b",
        "a=\"x",
        "a=\"\\n\"",
        "a=\"\u{e9}\"",
        "a=:aGk:",
        "a=:aGl=:",
        "a=?2",
        "a=--1",
        "a=1234567890123456",
        "a=1.5",
        "a=@1",
        "a=1,a=2",
        "a=1;b=1;b=2",
        "\ta=1",
        "a=%\"x\"",
    ] {
        assert_eq!(dictionary(text), None, "{text}");
    }
}

/// B4: the working group's cases: what must fail fails, and what is right is read, but for what we refuse on purpose.
#[test]
fn the_working_groups_cases() {
    let Some(corpora) = std::env::var_os("PALISADE_CORPORA") else { return };
    let folder = std::path::Path::new(&corpora).join("structured-fields");
    let (mut right, mut wrong) = (0, 0);
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let cases: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        for case in cases.as_array().unwrap().iter().filter(|case| case["header_type"] == "dictionary") {
            let lines: Vec<&str> = case["raw"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
            let read = dictionary(&lines.join(", ")).is_some();
            if case["must_fail"] == true {
                assert!(!read, "{}: {}", path.display(), case["name"]);
                wrong += 1;
            } else if case["can_fail"] != true && !is_left_out(case) {
                assert!(read, "{}: {}", path.display(), case["name"]);
                right += 1;
            }
        }
    }
    assert!(right > 100 && wrong > 100, "{right} right and {wrong} wrong cases were found");
}

/// Duplicate keys, decimals, dates, display strings.
fn is_left_out(case: &serde_json::Value) -> bool {
    let name = case["name"].as_str().unwrap();
    let expected = case["expected"].to_string();
    // `a,a=1`
    name.contains("duplicate")
        || name == "0x2c in dictionary key"
        || expected.contains("date")
        || expected.contains("displaystring")
        || expected.contains('.')
}
