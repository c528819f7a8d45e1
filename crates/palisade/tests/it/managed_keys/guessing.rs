//! Guessing costs the guesser, and nobody else.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::{keys, said, settings};
use crate::gate::{Gate, begun, is_answered, palisade, until, write_private};
use crate::upstream::Upstream;

/// Sends a call with this key, or without one, and leaves the answer where it is.
fn send(gate: &Gate, key: Option<&str>) -> TcpStream {
    let bearer = key.map_or_else(String::new, |key| format!("Bearer {key}"));
    begun(gate, &gate.request("POST", "/mcp/files", &[("Authorization", &bearer)], super::PING))
}

/// P-A11, B3: the first wrong keys are told at once and the later ones wait, whichever kind of wrong they are; the owner of
/// a right key in the same block does not, nor does who brings none; and the end of the gateway waits for no penalty.
#[test]
fn wrong_keys_wait_and_right_ones_do_not() {
    let upstream = Upstream::echo();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("palisade.toml");
    let text = settings(dir.path(), &[("files", &upstream.url())]).replace("\"off\"", "\"60s\"");
    write_private(&file, &text.replace("DIR", &dir.path().display().to_string()));
    let made = said(&keys(&file, &["create", "owner", "--json"], ""));
    let (key, id) = (made["key"].as_str().unwrap(), made["id"].as_str().unwrap());
    let mut line = palisade();
    line.arg("run").arg("--config").arg(file);
    let mut gate = Gate::start(line, dir);
    let wrong = key.replace(id, "aaaaaaaaaaaa");
    let mut guesses: Vec<_> =
        (0..20).map(|turn| send(&gate, Some(if turn % 2 == 0 { "nobody" } else { &wrong }))).collect();
    // By their order of arrival, which is nearly that of sending: the first few are answered, the last wait for long.
    until("the first guesses to be told", || guesses.iter_mut().take(8).any(is_answered).then_some(()));
    for _ in 0..3 {
        assert_eq!(gate.call(key).status, 200, "the owner, in the same block");
        let mut nothing = send(&gate, None);
        until("who brings no key to be told", || is_answered(&mut nothing).then_some(()));
    }
    let waiting = guesses.iter_mut().map(is_answered).filter(|answered| !answered).count();
    assert!(waiting >= 5, "only {waiting} wait");
    let stopping = Instant::now();
    gate.stop();
    assert!(stopping.elapsed() < Duration::from_secs(20), "{:?}", stopping.elapsed());
    let refused = gate.verify().iter().filter(|line| line["reason"] == "Unauthenticated").count();
    assert!(refused >= 23, "each guess is recorded: {refused}");
}
