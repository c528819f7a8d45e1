//! Every source file begins with `//!`: what it is and why, before any code.

use super::{Finding, Source};

pub(super) fn check(files: &[Source]) -> Vec<Finding> {
    let bare = files.iter().filter(|source| source.is_crate_source() && !source.text.starts_with("//! "));
    bare.map(|source| Finding::whole(source, "begins without `//!`: say what this file is and why")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::check;

    #[test]
    fn a_file_without_a_doc_is_found() {
        assert_eq!(check(&file("crates/x/src/a.rs", "use std::fs;\n")).len(), 1);
        assert!(check(&file("crates/x/src/a.rs", "//! What.\n")).is_empty());
        assert!(check(&file("crates/x/tests/a.rs", "use std::fs;\n")).is_empty());
    }
}
