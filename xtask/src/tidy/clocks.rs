//! The clock is read in one place, so that every judgement can be given a time of the test's choosing.
//!
//! tokio's own `Instant` drives timers alone and stands still in tests that pause it, so it may be asked anywhere.

use super::{Finding, Source, lines_with};

const FOLDERS: [&str; 3] = ["crates/palisade-guard/src/", "crates/palisade-gateway/src/", "crates/palisade/src/"];
const ALLOWED: [&str; 2] = [
    "crates/palisade-gateway/src/time.rs",
    // A process of its own, without the gateway's runtime: it measures the grace of a child and nothing else.
    "crates/palisade-gateway/src/upstream/stdio/keeper.rs",
];

pub(super) fn check(files: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let judged = files.iter().filter(|source| {
        let inside = FOLDERS.iter().any(|folder| source.path.starts_with(folder));
        inside && !ALLOWED.contains(&source.path.as_str()) && source.is_rust() && !source.is_test()
    });
    for source in judged {
        let code = source.product();
        let tokios = code.lines().any(|line| line.starts_with("use tokio::time::") && line.contains("Instant"));
        let words: &[&str] = if tokios { &["SystemTime::now"] } else { &["SystemTime::now", "Instant::now"] };
        for (line, word) in lines_with(&code, words) {
            findings.push(Finding::at(source, line, format!("asks {word}: only {} reads a clock", ALLOWED[0])));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::{ALLOWED, check};

    #[test]
    fn a_second_clock_is_found() {
        let text = "use std::time::Instant;\nfn a() { Instant::now(); }\n";
        assert_eq!(check(&file("crates/palisade-gateway/src/a.rs", text)).len(), 1);
        assert_eq!(check(&file("crates/palisade/src/a.rs", "let now = SystemTime::now();\n")).len(), 1);
        for path in ALLOWED {
            assert!(check(&file(path, text)).is_empty());
        }
    }

    #[test]
    fn a_timer_of_tokio_is_no_clock() {
        let text = "use tokio::time::{Instant, Sleep};\nfn a() { Instant::now(); }\n";
        assert!(check(&file("crates/palisade-gateway/src/a.rs", text)).is_empty());
        let both = format!("{text}fn b() {{ SystemTime::now(); }}\n");
        assert_eq!(check(&file("crates/palisade-gateway/src/a.rs", &both)).len(), 1);
    }
}
