//! Signed requests: the command that signs, and clients in other languages that come to the same.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{program, python};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn vectors() -> PathBuf {
    repository().join("docs/reference/signature-vectors.json")
}

/// B4, P-B8: the Python and the TypeScript client come to the canonical forms and signatures of the published vectors.
#[test]
fn clients_in_other_languages_agree_with_the_vectors() {
    let examples = repository().join("examples");
    let mut in_python = Command::new(python());
    in_python.arg(examples.join("sign-python/check_vectors.py")).arg(vectors()).env("PYTHONDONTWRITEBYTECODE", "1");
    let mut in_typescript = Command::new(program("node"));
    in_typescript.args(["--experimental-strip-types", "--no-warnings"]);
    in_typescript.arg(examples.join("sign-typescript/check-vectors.ts")).arg(vectors());
    for mut command in [in_python, in_typescript] {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "6 vectors agree");
    }
}
