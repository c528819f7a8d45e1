//! Which folder of the guard may use which: the arrows between judgements.
//!
//! Stages share words, and the proof that an earlier stage made. They never call one another: they meet in the
//! gateway's pipeline, so that the order of a call is written in one place.

use super::{Finding, Source};

const GUARD: &str = "crates/palisade-guard/src/";

/// A folder, or file, and what of the crate it may use beside itself: a module, or one type of it.
const TABLE: &[(&str, &[&str])] = &[
    // Words.
    ("arrival", &[]),
    ("breaker", &[]),
    ("certificate", &["digest"]),
    ("clock", &[]),
    ("digest", &[]),
    ("host", &[]),
    ("framing", &[]),
    ("refusal", &[]),
    ("seal", &[]),
    ("naming", &[]),
    ("sign", &["clock", "digest"]),
    ("message", &["refusal"]),
    ("token", &["digest", "message::json"]),
    ("grant", &["message", "identify::IpLists"]),
    // Stages. A key carries IP lists of its own; a permit is the proof that validation rests on.
    ("edge", &["refusal"]),
    ("identify", &["refusal"]),
    ("limit", &["refusal"]),
    ("authenticate", &["certificate", "clock", "digest", "grant", "refusal", "sign", "token", "identify::IpLists"]),
    ("authorize", &["clock", "digest", "grant", "message", "refusal", "authenticate::Principal"]),
    ("validate", &["refusal", "message", "authorize::Permit"]),
    // The other side of it: we log in.
    ("login", &["digest", "host", "token", "authenticate::resource"]),
    ("idempotency", &["digest", "refusal", "message", "sign"]),
    ("audit", &["arrival", "clock", "digest", "message", "refusal"]),
];

pub(super) fn check(files: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in files.iter().filter(|source| source.is_rust() && !source.is_test()) {
        let Some(path) = source.path.strip_prefix(GUARD).filter(|path| *path != "lib.rs") else { continue };
        let folder = path.split('/').next().unwrap_or_default().trim_end_matches(".rs");
        let Some((_, allowed)) = TABLE.iter().find(|(name, _)| *name == folder) else {
            findings.push(Finding::whole(source, format!("{folder} has no row in xtask/src/tidy/folders.rs")));
            continue;
        };
        for used in uses(&source.product(), depth(path)) {
            let mut fits = allowed.iter().chain([&folder]).map(|name| name.split("::"));
            let fits = fits.any(|name| {
                used.iter().map(String::as_str).zip(name.clone()).all(|(a, b)| a == b) && used.len() >= name.count()
            });
            if !fits {
                let used = used.join("::");
                findings.push(Finding::whole(source, format!("uses crate::{used}, which {folder} may not")));
            }
        }
    }
    findings
}

/// How many `super::` lead from a file to the crate's root.
fn depth(path: &str) -> usize {
    path.split('/').count() - usize::from(path.ends_with("/mod.rs"))
}

/// Every path behind `crate::`, or behind as many `super::` as lead there; groups in braces taken apart.
fn uses(code: &str, depth: usize) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for mark in ["crate::".to_owned(), "super::".repeat(depth)] {
        for (at, mark) in code.match_indices(&mark) {
            paths(code.get(at + mark.len()..).unwrap_or_default(), &[], &mut found);
        }
    }
    found
}

/// The paths that begin here, below `above`; what is left of the text.
fn paths<'t>(text: &'t str, above: &[String], found: &mut Vec<Vec<String>>) -> &'t str {
    let text = text.trim_start();
    if let Some(mut inner) = text.strip_prefix('{') {
        loop {
            inner = paths(inner, above, found).trim_start();
            match inner.strip_prefix(',') {
                Some(next) if !next.trim_start().starts_with('}') => inner = next,
                _ => return inner.trim_start_matches(',').trim_start().strip_prefix('}').unwrap_or_default(),
            }
        }
    }
    let length = text.find(|ch: char| !ch.is_alphanumeric() && ch != '_' && ch != '*').unwrap_or(text.len());
    let (name, rest) = text.split_at(length);
    let mut path = above.to_vec();
    if name != "self" {
        path.push(name.to_owned());
    }
    if let Some(below) = rest.strip_prefix("::") {
        return paths(below, &path, found);
    }
    found.push(path);
    rest
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::{check, uses};

    fn count(folder: &str, text: &str) -> usize {
        check(&file(&format!("crates/palisade-guard/src/{folder}"), text)).len()
    }

    #[test]
    fn groups_are_taken_apart() {
        let joined = |code: &str| uses(code, 2).iter().map(|path| path.join("::")).collect::<Vec<_>>();
        assert_eq!(joined("use crate::a::{self, b::{c, d}, e};"), ["a", "a::b::c", "a::b::d", "a::e"]);
        assert_eq!(joined("x(crate::a::b(1), crate::c);"), ["a::b", "c"]);
        assert_eq!(joined("use super::super::a::b; use super::c;"), ["a::b"]);
        assert_eq!(joined("use crate::a::{\n    b,\n    c,\n};"), ["a::b", "a::c"]);
    }

    #[test]
    fn a_stage_that_uses_another_is_found() {
        assert_eq!(count("limit/mod.rs", "use crate::authorize::call;\n"), 1);
        assert_eq!(count("validate/mod.rs", "use crate::authorize::{Permit, call};\n"), 1);
        assert_eq!(count("validate/mod.rs", "use crate::authorize;\n"), 1);
        assert_eq!(count("validate/mod.rs", "use crate::{authorize::Permit, message::json};\n"), 0);
        assert_eq!(count("limit/mod.rs", "use crate::limit::window;\n"), 0);
        assert_eq!(count("refusal.rs", "use crate::message;\n"), 1);
        assert_eq!(count("limit/mod.rs", "use super::authorize::call;\n"), 1);
        assert_eq!(count("limit/window.rs", "use super::shard;\n"), 0);
    }

    #[test]
    fn tests_may_use_what_they_need_and_new_folders_need_a_row() {
        assert_eq!(count("limit/tests.rs", "use crate::authorize::call;\n"), 0);
        assert_eq!(count("limit/a.rs", "#[cfg(test)]\nmod tests {\nuse crate::authorize;\n}\n"), 0);
        assert_eq!(count("inspect/mod.rs", "//! New.\n"), 1);
    }
}
