//! A link from one page to another leads somewhere.

use std::path::{Component, Path, PathBuf};

use super::{Finding, Source};

pub(super) fn check(files: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in files.iter().filter(|source| Path::new(&source.path).extension().is_some_and(|kind| kind == "md")) {
        for (number, line) in (1..).zip(source.text.lines()) {
            let targets = line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
            for target in targets.filter(|target| !target.contains("://") && !target.starts_with(['#', '<'])) {
                if !exists(files, &source.path, target.split('#').next().unwrap_or_default()) {
                    findings.push(Finding::at(source, number, format!("links to {target}, which does not exist")));
                }
            }
        }
    }
    findings
}

/// Whether the target, seen from this page, is a file or a folder of the project.
fn exists(files: &[Source], page: &str, target: &str) -> bool {
    let mut path = PathBuf::from(page);
    path.pop();
    for part in Path::new(target).components() {
        match part {
            Component::ParentDir => drop(path.pop()),
            part => path.push(part),
        }
    }
    files.iter().any(|source| Path::new(&source.path).starts_with(&path))
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::check;

    #[test]
    fn a_dead_link_is_found() {
        let mut files = file("docs/a.md", "[b](../B.md) and [c](guide) and [d](https://example.com) and [e](#here)\n");
        assert_eq!(check(&files).len(), 2);
        files.extend(file("B.md", ""));
        files.extend(file("docs/guide/c.md", "[up](../a.md#part)\n"));
        assert!(check(&files).is_empty());
    }
}
