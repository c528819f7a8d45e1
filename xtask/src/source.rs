//! The project's files, and Rust source without what is not code.

use std::fs;
use std::io;
use std::path::Path;

/// One text file of the project.
#[derive(Debug)]
pub(crate) struct Source {
    /// Where it is, from the root, with `/`.
    pub(crate) path: String,
    /// What it says.
    pub(crate) text: String,
}

/// What holds nothing of ours. In a second worktree `.git` is a file.
const SKIPPED: [&str; 4] = [".git", "target", "node_modules", ".palisade"];

/// Every text file under `root`, in the order of paths.
pub(crate) fn all(root: &Path) -> io::Result<Vec<Source>> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            if SKIPPED.iter().any(|skipped| entry.file_name() == *skipped) {
                continue;
            }
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                // What is not UTF-8 is no text.
                let Ok(text) = String::from_utf8(fs::read(&path)?) else { continue };
                let path = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
                found.push(Source { path, text });
            }
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

impl Source {
    /// Whether it is Rust.
    pub(crate) fn is_rust(&self) -> bool {
        Path::new(&self.path).extension().is_some_and(|extension| extension == "rs")
    }

    /// Whether it is Rust that becomes part of a crate: `crates/*/src` and `xtask/src`.
    pub(crate) fn is_crate_source(&self) -> bool {
        let mut parts = self.path.split('/');
        let inside = match parts.next() {
            Some("crates") => parts.nth(1) == Some("src"),
            Some("xtask") => parts.next() == Some("src"),
            _ => false,
        };
        inside && self.is_rust()
    }

    /// Whether it holds nothing but tests.
    pub(crate) fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        self.path.split('/').any(|part| part == "tests") || name == "tests.rs" || name.ends_with("_tests.rs")
    }

    /// Its code: comments and the contents of literals are spaces, lines stay where they are.
    pub(crate) fn code(&self) -> String {
        blanked(&self.text)
    }

    /// Its code without the tests at its end.
    pub(crate) fn product(&self) -> String {
        let mut code = self.code();
        if let Some(start) = tests_at(&code) {
            code.truncate(start);
        }
        code
    }
}

/// Where `#[cfg(test)] mod NAME {` begins; `mod NAME;` is a file of its own.
fn tests_at(code: &str) -> Option<usize> {
    const MARK: &str = "#[cfg(test)]";
    code.match_indices(MARK).map(|(at, _)| at).find(|at| {
        let rest = code.get(at + MARK.len()..).unwrap_or_default().trim_start();
        let name = rest.strip_prefix("mod ").unwrap_or_default();
        name.trim_start_matches(|ch: char| ch.is_alphanumeric() || ch == '_').trim_start().starts_with('{')
    })
}

/// The same text with spaces for comments and for what stands in quotes.
fn blanked(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    let mut word_before = false;
    while let Some(first) = rest.chars().next() {
        let (length, hidden) = token(rest, word_before);
        let (taken, after) = rest.split_at(length.max(first.len_utf8()));
        if hidden {
            code.extend(taken.chars().map(|ch| if ch == '\n' { '\n' } else { ' ' }));
        } else {
            code.push_str(taken);
        }
        word_before = !hidden && taken.ends_with(|ch: char| ch.is_alphanumeric() || ch == '_');
        rest = after;
    }
    code
}

/// How long the comment or literal is that begins here, and whether one does.
fn token(rest: &str, word_before: bool) -> (usize, bool) {
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), true);
    }
    if rest.starts_with("/*") {
        return (rest.find("*/").map_or(rest.len(), |at| at + 2), true);
    }
    if let (false, Some(length)) = (word_before, raw_string(rest)) {
        return (length, true);
    }
    if rest.starts_with('"') {
        return (quoted(rest, '"'), true);
    }
    // `'a'` is a character, `'a` a lifetime.
    let mut chars = rest.chars();
    match (chars.next(), chars.next(), chars.next()) {
        (Some('\''), Some('\\'), _) => (quoted(rest, '\''), true),
        (Some('\''), Some(inner), Some('\'')) => (2 + inner.len_utf8(), true),
        _ => (0, false),
    }
}

fn raw_string(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let body = after.get(hashes..)?.strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let from = rest.len() - body.len();
    Some(body.find(&end).map_or(rest.len(), |at| from + at + end.len()))
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, ch) in rest.char_indices().skip(1) {
        match ch {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ch if ch == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::Source;

    fn source(text: &str) -> Source {
        Source { path: "crates/x/src/a.rs".into(), text: text.into() }
    }

    #[test]
    fn comments_and_literals_are_no_code() {
        let text = "a // one\nb /* two\n */ \"th\\\"ree\" r#\"fo\"ur\"# '\\'' 'x' <'static> 'é'";
        let code = source(text).code();
        assert_eq!(code.lines().count(), text.lines().count());
        for hidden in ["one", "two", "th", "ree", "fo", "ur", "x", "é"] {
            assert!(!code.contains(hidden), "{hidden}: {code}");
        }
        assert!(code.contains("'static") && code.starts_with("a "));
    }

    #[test]
    fn tests_at_the_end_are_no_product() {
        let inline = source("fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() {}\n}\n");
        assert_eq!(inline.product(), "fn a() {}\n");
        let elsewhere = source("#[cfg(test)]\nmod tests;\nfn a() {}\n");
        assert!(elsewhere.product().contains("fn a()"));
    }

    #[test]
    fn places_are_told_apart() {
        let at = |path: &str| Source { path: path.into(), text: String::new() };
        assert!(at("crates/x/src/a.rs").is_crate_source() && at("xtask/src/a.rs").is_crate_source());
        assert!(!at("crates/x/tests/a.rs").is_crate_source() && !at("crates/x/src/a.md").is_crate_source());
        assert!(at("crates/x/src/a/tests.rs").is_test() && at("crates/x/src/a_tests.rs").is_test());
        assert!(at("crates/x/tests/it/a.rs").is_test() && !at("crates/x/src/a.rs").is_test());
    }
}
