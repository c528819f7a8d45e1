//! The threat model names the tests that show what it says; each of them must exist.

use super::{Finding, Source};

const PAGE: &str = "docs/threat-model.md";
/// How a test's place is written there, and the folder it means.
const PLACES: [(&str, &str); 3] = [
    ("it::", "crates/palisade/tests/it/"),
    ("guard::", "crates/palisade-guard/"),
    ("gateway::", "crates/palisade-gateway/"),
];

pub(super) fn check(files: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let Some(page) = files.iter().find(|source| source.path == PAGE) else { return findings };
    for (number, line) in (1..).zip(page.text.lines()) {
        // Every second part of a line stands between backticks.
        for name in line.split('`').skip(1).step_by(2) {
            let Some((mark, folder)) = PLACES.iter().find(|(mark, _)| name.starts_with(mark)) else { continue };
            let function = name.rsplit("::").next().filter(|_| name.len() > mark.len()).unwrap_or_default();
            if !function.is_empty() && !exists(files, folder, function) {
                findings.push(Finding::at(page, number, format!("names the test {name}, which does not exist")));
            }
        }
    }
    findings
}

fn exists(files: &[Source], folder: &str, function: &str) -> bool {
    let wanted = format!("fn {function}(");
    let mut inside = files.iter().filter(|source| source.is_rust() && source.path.starts_with(folder));
    inside.any(|source| source.text.contains(&wanted))
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::check;

    #[test]
    fn a_test_that_is_gone_is_found() {
        let mut files =
            file("docs/threat-model.md", "`it::` are tests.\n| `a` | `it::edge::hosts`, `guard::edge::x` |\n");
        files.extend(file("crates/palisade/tests/it/edge.rs", "fn hosts() {}\n"));
        assert_eq!(check(&files).len(), 1);
        files.extend(file("crates/palisade-guard/tests/edge.rs", "fn x() {}\n"));
        assert!(check(&files).is_empty());
    }
}
