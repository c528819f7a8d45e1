//! A file is one thought: at most 400 lines of product code, and better 150. Tests do not count.

use super::{Finding, Source};

const MOST: usize = 400;
/// How many of the longest files are shown, so that nobody is surprised by the limit.
const SHOWN: usize = 5;

pub(super) fn check(files: &[Source]) -> Vec<Finding> {
    let long = counted(files).filter(|(_, lines)| *lines > MOST);
    long.map(|(source, lines)| Finding::whole(source, format!("has {lines} lines without tests, more than {MOST}")))
        .collect()
}

/// The longest files, in one line.
pub(super) fn longest(files: &[Source]) -> String {
    let mut all: Vec<_> = counted(files).map(|(source, lines)| (lines, source.path.as_str())).collect();
    all.sort_by(|one, other| other.cmp(one));
    let shown: Vec<_> = all.iter().take(SHOWN).map(|(lines, path)| format!("{path} {lines}")).collect();
    format!("longest files: {}", shown.join(", "))
}

fn counted(files: &[Source]) -> impl Iterator<Item = (&Source, usize)> {
    let product = files.iter().filter(|source| source.is_crate_source() && !source.is_test());
    product.map(|source| (source, source.product().lines().count()))
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::{check, longest};

    #[test]
    fn a_long_file_is_found() {
        let long = "fn a() {}\n".repeat(401);
        assert_eq!(check(&file("crates/x/src/a.rs", &long)).len(), 1);
        assert!(check(&file("crates/x/src/tests.rs", &long)).is_empty());
        let tests = format!("fn a() {{}}\n#[cfg(test)]\nmod tests {{\n{long}}}\n");
        assert!(check(&file("crates/x/src/a.rs", &tests)).is_empty());
        assert_eq!(longest(&file("crates/x/src/a.rs", &long)), "longest files: crates/x/src/a.rs 401");
    }
}
