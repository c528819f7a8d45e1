//! A test says which requirement it shows: `/// B2: …`, with an id of the list.
//!
//! 1. In `crates/palisade/tests/it`, which drives the built program, every test must.
//! 2. Anywhere else a test may say nothing; what it says must exist.
//! 3. An attack may stand beside it, as `P-` and its id in docs/threat-model.md: `/// E1, P-D21: …`.
//! 4. Every requirement that this version claims has at least one test.

use super::{Finding, Source};
use crate::requirements::{self, Since};

const DRIVES_THE_PROGRAM: &str = "crates/palisade/tests/it/";
const LIST: &str = "xtask/src/requirements.rs";
const ATTACKS: &str = "docs/threat-model.md";

pub(super) fn check(files: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut shown = Vec::new();
    let attacks = files.iter().find(|source| source.path == ATTACKS).map_or("", |source| source.text.as_str());
    for source in files.iter().filter(|source| source.is_rust() && !source.path.starts_with("xtask/")) {
        let must = source.path.starts_with(DRIVES_THE_PROGRAM);
        for (line, doc) in tests(&source.text) {
            let ids = ids(&doc);
            if must && ids.is_empty() {
                findings.push(Finding::at(source, line, "begins without the requirement it shows: `/// B2: …`"));
            }
            for id in ids {
                let known = if id.starts_with(ATTACK) {
                    attacks.contains(&format!("| {id} |"))
                } else {
                    requirements::since(&id).is_some()
                };
                if !known {
                    let says = format!("{id} is no requirement of {LIST} and no attack (P-…) of {ATTACKS}");
                    findings.push(Finding::at(source, line, says));
                }
                shown.push(id);
            }
        }
    }
    let claims = files.iter().find(|source| source.path == LIST);
    for (id, what) in requirements::LIST.iter().filter(|row| row.2 == Since::Now).map(|row| (row.0, row.1)) {
        if let Some(list) = claims.filter(|_| !shown.iter().any(|shown| shown == id)) {
            findings.push(Finding::whole(list, format!("no test shows {id}: {what}")));
        }
    }
    findings
}

/// The line and the first doc line of every test function.
fn tests(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let (mut doc, mut is_test) = (None, false);
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim_start();
        if let Some(words) = line.strip_prefix("///") {
            doc.get_or_insert_with(|| words.trim().to_owned());
        } else if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if !line.starts_with("#[") {
            if is_test && line.contains("fn ") {
                found.push((number, doc.take().unwrap_or_default()));
            }
            (doc, is_test) = (None, false);
        }
    }
    found
}

/// The ids in front of the colon: `A1, A3: …`. Words that are no ids are none.
fn ids(doc: &str) -> Vec<String> {
    let Some((front, _)) = doc.split_once(':') else { return Vec::new() };
    let words: Vec<&str> = front.split([',', ' ']).filter(|word| !word.is_empty() && *word != "and").collect();
    let all = !words.is_empty() && words.iter().all(|word| is_id(word));
    if all { words.into_iter().map(str::to_owned).collect() } else { Vec::new() }
}

/// What stands before the id of an attack.
const ATTACK: &str = "P-";

/// A capital letter and a number, of an attack with its mark.
fn is_id(word: &str) -> bool {
    let word = word.strip_prefix(ATTACK).unwrap_or(word);
    let (letter, number) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
    letter.chars().all(|ch| ch.is_ascii_uppercase()) && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::{check, ids, tests};

    const SILENT: &str = "#[test]\nfn a() {}\n";
    const UNKNOWN: &str = "/// Z9: x\n#[tokio::test(start_paused = true)]\nasync fn a() {}\n";
    const GOOD: &str = "/// A1, A3: x\n/// more: words\n#[test]\nfn a() {}\n";

    #[test]
    fn a_test_without_a_requirement_is_found() {
        assert_eq!(check(&file("crates/palisade/tests/it/a.rs", SILENT)).len(), 1);
        assert!(check(&file("crates/palisade-guard/src/a.rs", SILENT)).is_empty());
        for path in ["crates/palisade/tests/it/a.rs", "crates/palisade-guard/src/a.rs"] {
            assert_eq!(check(&file(path, UNKNOWN)).len(), 1);
            assert!(check(&file(path, GOOD)).is_empty());
        }
    }

    #[test]
    fn a_claim_without_a_test_is_found() {
        let mut files = file("xtask/src/requirements.rs", "");
        let claims = check(&files).len();
        assert!(claims > 10);
        files.extend(file("crates/palisade/tests/it/a.rs", GOOD));
        assert_eq!(check(&files).len(), claims - 2);
    }

    #[test]
    fn an_attack_must_be_in_the_threat_model() {
        let mut files = file("crates/palisade/tests/it/a.rs", "/// E1, P-D21: x\n#[test]\nfn a() {}\n");
        assert_eq!(check(&files).len(), 1);
        files.extend(file("docs/threat-model.md", "| P-D21 | x |\n"));
        assert!(check(&files).is_empty());
    }

    #[test]
    fn docs_are_read() {
        assert_eq!(tests(GOOD), [(4, "A1, A3: x".to_owned())]);
        assert_eq!(tests("/// not of a test\nfn a() {}\n"), []);
        assert_eq!(ids("A1 and B2: x"), ["A1", "B2"]);
        assert!(ids("one thing: another").is_empty() && ids("no colon").is_empty());
    }
}
