//! The environment is read in one file of the gateway, so that its table of variables is complete.
//!
//! The `palisade` command hands its own environment and arguments in; demo and test servers read nothing of it.

use super::{Finding, Source, lines_with};

const ALLOWED: &str = "crates/palisade-gateway/src/config/env.rs";
const FOLDERS: [&str; 2] = ["crates/palisade-guard/src/", "crates/palisade-gateway/src/"];
const WORDS: [&str; 3] = ["std::env", "env::var", "env::args"];

pub(super) fn check(files: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let judged = files.iter().filter(|source| {
        let inside = FOLDERS.iter().any(|folder| source.path.starts_with(folder));
        inside && source.path != ALLOWED && source.is_rust() && !source.is_test()
    });
    for source in judged {
        let mut lines: Vec<usize> = lines_with(&source.product(), &WORDS).into_iter().map(|(line, _)| line).collect();
        lines.dedup();
        findings.extend(
            lines.into_iter().map(|line| Finding::at(source, line, format!("only {ALLOWED} reads the environment"))),
        );
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::{ALLOWED, check};

    #[test]
    fn a_second_reader_is_found() {
        let text = "fn a() { std::env::var(\"A\"); }\n";
        assert_eq!(check(&file("crates/palisade-gateway/src/a.rs", text)).len(), 1);
        assert!(check(&file(ALLOWED, text)).is_empty());
        assert!(check(&file("crates/palisade/src/main.rs", text)).is_empty());
        assert!(
            check(&file("crates/palisade-gateway/src/a.rs", "const V: &str = env!(\"CARGO_PKG_VERSION\");")).is_empty()
        );
    }
}
