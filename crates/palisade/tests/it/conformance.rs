//! The official conformance suite: no check is worse through the gateway than asked directly, in no revision.

use std::path::Path;
use std::process::Command;

use crate::harness::{Gateway, Process, Setup, built, parts, search_path};

/// A1: the project's own fixture is clean in four revisions and the tasks extension, and the gateway takes nothing away.
#[test]
fn nothing_regresses_through_the_gateway() {
    let mut fixture = Command::new(built("palisade-fixture"));
    fixture.args(["--listen", "127.0.0.1:0"]);
    let fixture = Process::start(fixture);
    let url = fixture.wait_for("listening on ");
    let verdicts = tempfile::tempdir().unwrap();

    suite(&[&url, "--ext", "--save", verdicts.path().to_str().unwrap()]);

    // The suite calls often from one address: what is tested here is the protocol, not the limits.
    let gateway = Setup::run().url(&url).config(WIDE).start();
    let key = format!("Authorization: Bearer {}", Gateway::KEY);
    suite(&[&gateway.mcp(), "-H", &key, "--ext", "--compare", verdicts.path().to_str().unwrap()]);
    gateway.stop();
}

/// Limits that no suite reaches.
const WIDE: &str =
    "environment = \"development\"\n[limits]\nper_caller_per_minute = 100000\naddress_ceiling_per_minute = 100000\n";

/// Runs the suite, which must be content.
fn suite(arguments: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../palisade-testkit/conformance/run.sh");
    let mut command = Command::new(script);
    command.args(arguments).env("PATH", search_path()).env("PALISADE_CACHE", parts().join("conformance"));
    let output = command.output().unwrap();
    let told = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    eprintln!("{told}");
    assert!(output.status.success(), "{arguments:?}: {}\n{told}", output.status);
}
