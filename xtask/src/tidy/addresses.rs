//! Nothing in the project names one machine: no home folder of somebody, no host packages came from.
//!
//! `Cargo.lock` is cargo's own text and names cargo's registry; it is not judged.

use super::{Finding, Source, lines_with};

/// Folders of one machine. Written in two parts, or this file would find itself.
const FOLDERS: [&str; 4] =
    [concat!("/ho", "me/"), concat!("/Us", "ers/"), concat!("/wo", "rk/"), concat!("/ro", "ot/")];
const HOSTS: [&str; 8] = [
    concat!("registry.", "npmjs"),
    concat!("py", "pi.org"),
    concat!("python", "hosted.org"),
    concat!("index.", "crates.io"),
    concat!("static.", "crates.io"),
    concat!("artifact", "ory"),
    concat!("codeart", "ifact"),
    concat!("proxy.", "golang"),
];

pub(super) fn check(files: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in files.iter().filter(|source| source.path != "Cargo.lock") {
        for (line, word) in lines_with(&source.text, &HOSTS) {
            findings.push(Finding::at(source, line, format!("names the host {word}")));
        }
        for (number, line) in (1..).zip(source.text.lines()) {
            for folder in FOLDERS.iter().filter(|folder| names(line, folder)) {
                findings.push(Finding::at(source, number, format!("names a folder of one machine: {folder}")));
            }
        }
    }
    findings
}

/// Whether a path begins with this folder: `a/home/b` is another one.
fn names(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line.get(..at).unwrap_or_default().chars().next_back();
        !before.is_some_and(|ch| ch.is_alphanumeric() || "._-~/}$*".contains(ch))
    })
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::{FOLDERS, HOSTS, check};

    #[test]
    fn a_machine_is_found() {
        for folder in FOLDERS {
            assert_eq!(check(&file("docs/a.md", &format!("see `{folder}me/x`\n"))).len(), 1, "{folder}");
            assert!(check(&file("docs/a.md", &format!("see `docs{folder}x`\n"))).is_empty(), "{folder}");
        }
        for host in HOSTS {
            assert_eq!(check(&file("a.json", &format!("https://{host}/x\n"))).len(), 1, "{host}");
            assert!(check(&file("Cargo.lock", host)).is_empty());
        }
    }
}
