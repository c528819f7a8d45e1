//! The guard touches no world: what a judgement must know is handed in, so that it can be tested and trusted alone.

use super::{Finding, Source, lines_with};

const GUARD: &str = "crates/palisade-guard/src/";
const WORLD: [&str; 11] = [
    "std::fs",
    "std::env",
    "std::process",
    "std::thread",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "SystemTime",
    "Instant",
    "tokio::",
    "::rand",
];

pub(super) fn check(files: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in files.iter().filter(|source| source.path.starts_with(GUARD) && source.is_rust() && !source.is_test())
    {
        for (line, word) in lines_with(&source.product(), &WORLD) {
            findings.push(Finding::at(source, line, format!("the guard touches no world, but this names {word}")));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::{WORLD, check};

    #[test]
    fn each_way_out_is_found() {
        for word in WORLD {
            let text = format!("//! {word} in words is no harm.\nuse {word}::x;\n");
            assert_eq!(check(&file("crates/palisade-guard/src/a.rs", &text)).len(), 1, "{word}");
            assert!(check(&file("crates/palisade-gateway/src/a.rs", &text)).is_empty(), "{word}");
        }
    }
}
