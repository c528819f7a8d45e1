//! `cargo xtask tidy`: every rule over every file. One file each; each has a test that shows it fires.

mod addresses;
mod clocks;
mod docs_name_tests;
mod environment;
mod folders;
mod leftovers;
mod length;
mod links;
mod module_doc;
mod tests_name_requirements;
mod world;

use std::fmt;
use std::io;
use std::path::Path;

use crate::source::{self, Source};
use crate::{err, out};

/// A rule that was broken, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    path: String,
    /// From 1; 0 for the file as a whole.
    line: usize,
    says: String,
}

impl Finding {
    fn whole(source: &Source, says: impl Into<String>) -> Self {
        Self { path: source.path.clone(), line: 0, says: says.into() }
    }

    fn at(source: &Source, line: usize, says: impl Into<String>) -> Self {
        Self { path: source.path.clone(), line, says: says.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.says),
            line => write!(f, "{}:{line}: {}", self.path, self.says),
        }
    }
}

/// Checks every rule. `Ok(false)` when one is broken.
pub(crate) fn run(root: &Path) -> io::Result<bool> {
    let files = source::all(root)?;
    let findings: Vec<Finding> = RULES.iter().flat_map(|rule| rule(&files)).collect();
    for finding in &findings {
        err(finding);
    }
    out(length::longest(&files));
    match findings.len() {
        0 => out(format_args!("tidy: {} files, {} rules, nothing found", files.len(), RULES.len())),
        number => err(format_args!("tidy: {number} found")),
    }
    Ok(findings.is_empty())
}

type Rule = fn(&[Source]) -> Vec<Finding>;

/// Every rule.
const RULES: [Rule; 11] = [
    module_doc::check,
    length::check,
    leftovers::check,
    folders::check,
    world::check,
    environment::check,
    clocks::check,
    tests_name_requirements::check,
    docs_name_tests::check,
    links::check,
    addresses::check,
];

/// The numbers of the lines that hold one of these words, and the word.
fn lines_with<'w>(text: &str, words: &[&'w str]) -> Vec<(usize, &'w str)> {
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        found.extend(words.iter().filter(|word| line.contains(*word)).map(|word| (number, *word)));
    }
    found
}

/// A file for the tests of rules.
#[cfg(test)]
fn file(path: &str, text: &str) -> Vec<Source> {
    vec![Source { path: path.into(), text: text.into() }]
}
