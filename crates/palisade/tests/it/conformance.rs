//! The official conformance suite: no check is worse through the gateway than asked directly, in no revision.

use std::path::Path;
use std::process::Command;

use crate::harness::{Gateway, Process, Setup, built, parts, search_path};

/// A1, A3: the project's own fixture is clean in four revisions and the tasks extension, and the gateway takes nothing
/// away from it.
#[test]
fn nothing_regresses_through_the_gateway() {
    let mut fixture = Command::new(built("palisade-fixture"));
    fixture.args(["--listen", "127.0.0.1:0"]);
    let fixture = Process::start(fixture);
    let url = fixture.wait_for("listening on ");
    let verdicts = tempfile::tempdir().unwrap();
    let verdicts = verdicts.path().to_str().unwrap();

    suite(&[&url, "--ext", "--save", verdicts]);
    through(Setup::run().url(&url), &["--compare", verdicts]);
}

/// A1, A3: behind the gateway, the fixture over stdio is as clean as a server that speaks HTTP itself. Compared check by
/// check it differs where the gateway is the one that speaks HTTP: it answers without a stream where no stream is needed.
#[test]
fn a_stdio_server_is_clean_through_the_gateway() {
    let fixture = built("palisade-fixture");
    through(Setup::run().command(&[fixture.to_str().unwrap(), "--stdio"]), &[]);
}

/// A1, A3: through the aggregate the fixture is clean too; beside it stands another server. Compared check by check it
/// differs where the gateway is the one that answers: a list needs no stream.
#[test]
fn nothing_regresses_through_the_aggregate() {
    let mut fixture = Command::new(built("palisade-fixture"));
    fixture.args(["--listen", "127.0.0.1:0"]);
    let fixture = Process::start(fixture);
    let url = fixture.wait_for("listening on ");
    let second = built("palisade-demo");
    let servers = format!("[servers.demo]\ncommand = [{second:?}, \"--stdio\"]\n[servers.fixture]\nurl = {url:?}\n");
    through_servers(Setup::run(), &servers, &[]);
}

/// The suite through a gateway, in every revision and with the tasks extension.
fn through(setup: Setup, arguments: &[&str]) {
    through_servers(setup, "", arguments);
}

fn through_servers(setup: Setup, servers: &str, arguments: &[&str]) {
    // The suite calls often from one address: what is tested here is the protocol, not the limits.
    let gateway = setup.config(format!("{WIDE}{servers}")).start();
    let key = format!("Authorization: Bearer {}", Gateway::KEY);
    suite(&[&[gateway.mcp().as_str(), "-H", &key, "--ext"], arguments].concat());
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
