//! Nothing is left for later without a name: no stubs, no tests that are skipped, no "for the moment".

use super::{Finding, Source, lines_with};

/// In code. Written in two parts, or this file would find itself.
const IN_CODE: [&str; 3] = [concat!("to", "do!"), concat!("unimple", "mented!"), concat!("#[ig", "nore")];
/// In comments, which are what is left of a line when its code is taken away.
const IN_COMMENTS: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("for ", "now")];

pub(super) fn check(files: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in files.iter().filter(|source| source.is_rust()) {
        let code = source.code();
        let comments: Vec<&str> = source.text.lines().filter_map(comment).collect();
        let mut found = lines_with(&code, &IN_CODE);
        found.extend(lines_with(&comments.join("\n"), &IN_COMMENTS).into_iter().map(|(_, word)| (0, word)));
        findings.extend(found.into_iter().map(|(line, word)| Finding::at(source, line, format!("holds {word:?}"))));
    }
    findings
}

/// The comment of a line that is nothing else.
fn comment(line: &str) -> Option<&str> {
    line.trim_start().strip_prefix("//")
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::{IN_CODE, IN_COMMENTS, check};

    #[test]
    fn what_was_left_is_found() {
        for word in IN_CODE {
            assert_eq!(check(&file("crates/x/src/a.rs", &format!("fn a() {{ {word}\n"))).len(), 1, "{word}");
            assert!(check(&file("crates/x/src/a.rs", &format!("const A: &str = \"{word}\";\n"))).is_empty());
        }
        for word in IN_COMMENTS {
            assert_eq!(check(&file("crates/x/src/a.rs", &format!("    // so {word} it is\n"))).len(), 1, "{word}");
            assert!(check(&file("crates/x/src/a.rs", &format!("fn a() {{ {word} }}\n"))).is_empty(), "{word}");
        }
    }
}
