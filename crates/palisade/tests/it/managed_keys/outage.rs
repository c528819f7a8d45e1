//! A store that does not answer: believed for a while, then not, and again as soon as it answers. And two gateways on one
//! store, of which one writes each change down.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::settings;
use crate::gate::{Gate, KEY, OTHER, lines, until};
use crate::reload::{CALL, is_open, rest, streaming};
use crate::upstream::Upstream;

/// What the status page says of the store.
fn store(gate: &Gate) -> Value {
    gate.raw(&gate.request("GET", "/api/status", &[], b"")).json()["store"].clone()
}

/// Breaks the store, sees what becomes of callers, and mends it again.
fn outage<T>(break_it: impl FnOnce(&Path) -> T, mend: impl FnOnce(&Path, T)) {
    let rogue = streaming();
    let text = settings(Path::new("DIR"), &[("files", &rogue.url())]);
    let text = text.replace("[limits]", "max_staleness = \"4s\"\n[limits]");
    let gate = Gate::configured(&format!("{text}[[auth.keys]]\nname = \"fixed\"\nkey = \"{KEY}\"\n"));
    let (managed, _) = gate.make(&["agent"]);
    let token = gate.issued(&["ci"])["access_token"].as_str().unwrap().to_owned();
    let calls = |key: &str| gate.call(key).status;
    until("both to be known", || (calls(&managed) == 200 && calls(&token) == 200).then_some(()));
    let sound = store(&gate);
    assert_eq!((&sound["kind"], &sound["reachable"]), (&"sqlite".into(), &true.into()), "{sound}");
    assert_eq!((&sound["degraded_since"], &sound["too_old"]), (&Value::Null, &false.into()), "{sound}");
    let mut theirs = gate.open("POST", "files", &managed, &[], CALL);
    let mut fixed = gate.open("POST", "files", KEY, &[], CALL);

    let file = gate.dir.path().join("palisade.db");
    let broken = Instant::now();
    let how = break_it(&file);
    until("the status page to tell", || (store(&gate)["reachable"] == false).then_some(()));
    assert_eq!((calls(&managed), calls(&token)), (200, 200), "believed for a while");
    assert!(store(&gate)["degraded_since"].as_str().unwrap().starts_with("20"));
    until("what is known to be too old", || (calls(&managed) == 503).then_some(()));
    assert!(broken.elapsed() > Duration::from_secs(3), "{:?}", broken.elapsed());
    assert_eq!((calls(&token), calls(KEY), calls(OTHER)), (503, 200, 401));
    assert_eq!(gate.call(&managed).code(), "MCP-003");
    assert_eq!(store(&gate)["too_old"], true);
    let (said, _) = rest(&mut theirs);
    assert!(said.contains("the store cannot be read"), "{said}");
    assert!(is_open(&mut fixed), "a key of the configuration does not rest on the store");

    mend(&file, how);
    until("the store to be heard of again", || (calls(&managed) == 200 && calls(&token) == 200).then_some(()));
    assert_eq!((&store(&gate)["reachable"], &store(&gate)["degraded_since"]), (&true.into(), &Value::Null));
    let log = gate.log.lock().unwrap().clone();
    assert!(log.contains("the store does not answer") && log.contains("the store answers again"), "{log}");
}

/// I3, R9: the file is moved away and a folder stands in its place: what others withdraw is written somewhere else.
#[test]
fn a_store_that_was_moved_away_is_believed_for_a_while() {
    let aside = |file: &Path| file.with_extension("aside");
    outage(
        |file| {
            std::fs::rename(file, aside(file)).unwrap();
            std::fs::create_dir(file).unwrap();
        },
        |file, ()| {
            std::fs::remove_dir(file).unwrap();
            std::fs::rename(aside(file), file).unwrap();
        },
    );
}

/// Holds every lock of the store, as a process that hangs would.
const LOCK: &str = "import fcntl, sys\nf = open(sys.argv[1] + '-shm', 'r+b')\nfcntl.lockf(f, fcntl.LOCK_EX, 8, 120)\n\
                    print('locked', flush=True)\nsys.stdin.read()";

/// I3, R9, R24: another process holds the store's locks, and every reader waits in vain.
#[test]
fn a_store_that_is_locked_is_believed_for_a_while() {
    let lock = |file: &Path| -> Child {
        let mut python = Command::new("python3");
        python.args(["-c", LOCK]).arg(file).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = python.spawn().unwrap();
        let mut said = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "locked\n");
        holder
    };
    outage(lock, |_, mut holder| {
        drop(holder.stdin.take());
        assert!(holder.wait().unwrap().success());
    });
}

/// G2, R24: of two gateways on one store, one writes down each change that somebody makes, by the command or by REST.
#[test]
fn a_change_is_written_down_once() {
    let upstream = Upstream::echo();
    let mut one = Gate::configured(&settings(Path::new("DIR"), &[("files", &upstream.url())]));
    let mut two = Gate::configured(&settings(one.dir.path(), &[("files", &upstream.url())]));
    let admin = format!("Bearer {}", one.make(&["admin", "--scope", "palisade:keys:write", "--scope", "mcp:*"]).0);
    let made: Vec<String> = (0..8).map(|number| one.make(&[&format!("agent-{number}")]).1).collect();
    for (turn, id) in made.iter().enumerate() {
        let gate = if turn % 2 == 0 { &one } else { &two };
        let path = format!("/api/keys/{id}");
        let delete = || gate.raw(&gate.request("DELETE", &path, &[("Authorization", &admin)], b"")).status;
        until("the key to be revoked", || (delete() == 200).then_some(()));
    }
    let told = |one: &Gate, two: &Gate| {
        let mut told = BTreeMap::<(String, String), Vec<u64>>::new();
        for line in [one, two].iter().flat_map(|gate| lines(&gate.audit())).filter(|line| line["what"].is_string()) {
            let [what, target] = ["what", "target"].map(|name| line[name].as_str().unwrap().to_owned());
            told.entry((what, target)).or_default().push(line["number"].as_u64().unwrap());
        }
        told
    };
    until("every change to be told", || (told(&one, &two).len() > 2 * made.len()).then_some(()));
    // In order: whatever is under way is written to its end.
    one.stop();
    two.stop();
    let told = told(&one, &two);
    for id in &made {
        for what in ["key.create", "key.revoke"] {
            let lines = &told[&(what.to_owned(), format!("managed:{id}"))];
            assert_eq!(lines.len(), 1, "{what} {id}: {lines:?}");
        }
    }
}
