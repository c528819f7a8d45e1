//! PostgreSQL that stops, dies, is full or takes nothing: what needs it is refused at once, the rest goes on, and afterwards
//! all is as before.

use std::time::{Duration, Instant};

use palisade_testkit::postgres::Postgres;

use super::store;
use crate::gate::{Answer, Gate, KEY, output, signal, until};
use crate::once::NO_LIMITS;
use crate::signed::{Draft, signed_gate};
use crate::upstream::Upstream;

/// How long a refusal may take.
const AT_ONCE: Duration = Duration::from_millis(300);
/// How long it may take until all is as before.
const BACK: Duration = Duration::from_secs(5);

/// A gateway on a server of its own.
struct Scene {
    server: Postgres,
    upstream: Upstream,
    gate: Gate,
}

impl Scene {
    fn new() -> Self {
        let (server, upstream) = (Postgres::start(), Upstream::echo());
        let key = format!("[[auth.keys]]\nname = \"ci\"\nkey = \"{KEY}\"\n");
        let gate = signed_gate(&upstream.url(), "bearer", &format!("{key}{}\n{NO_LIMITS}", store(&server, "gate")));
        let scene = Self { server, upstream, gate };
        scene.works("before");
        scene
    }

    /// A signed call under this idempotency key, and how long it took.
    fn signed(&self, key: &str) -> (Answer, Duration) {
        let draft = Draft::call(key).signed(&self.gate);
        let began = Instant::now();
        let answer = draft.send(&self.gate);
        (answer, began.elapsed())
    }

    fn works(&self, key: &str) {
        let (answer, _) = self.signed(key);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// What needs the store is refused at once and not run, and the rest goes on.
    fn fails_as_written(&self, key: &str) {
        let before = self.upstream.calls().len();
        let mut quick = 0;
        for number in 0..10 {
            let (answer, took) = self.signed(&format!("{key} {number}"));
            assert_eq!((answer.status, answer.code().as_str()), (503, "MCP-003"), "{}", answer.text());
            assert!(took < 4 * AT_ONCE, "{took:?}");
            quick += usize::from(took < AT_ONCE);
        }
        // The machine of the tests has other work too.
        assert!(quick >= 5, "{quick} of 10 were refused at once");
        assert_eq!(self.upstream.calls().len(), before, "nothing is run");
        for _ in 0..5 {
            let began = Instant::now();
            let unsigned = Draft {
                headers: Draft::call("").headers.into_iter().filter(|(name, _)| *name != "idempotency-key").collect(),
                ..Draft::call("")
            };
            let answer = unsigned.with("x-api-key", KEY).send(&self.gate);
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert!(began.elapsed() < AT_ONCE, "it waits for nobody: {:?}", began.elapsed());
        }
    }

    /// It works again by itself, also for calls that were refused.
    fn comes_back(&self, key: &str) {
        let began = Instant::now();
        until("the gateway to be back", || (self.signed(&format!("{key} 0")).0.status == 200).then_some(()));
        assert!(began.elapsed() < BACK, "{:?}", began.elapsed());
        for number in 1..10 {
            let again = format!("{key} {number}");
            until("what was refused to be run", || (self.signed(&again).0.status == 200).then_some(()));
        }
        assert!(began.elapsed() < 2 * BACK, "{:?}", began.elapsed());
    }
}

/// R9, P-K8: processes that are held take everything and answer nothing.
#[test]
fn a_server_that_is_held() {
    let scene = Scene::new();
    for turn in 0..2 {
        let key = format!("held {turn}");
        scene.server.hold();
        scene.fails_as_written(&key);
        scene.server.go_on();
        scene.comes_back(&key);
    }
}

/// R9: a server that dies and comes back, with nothing half done.
#[test]
fn a_server_that_dies() {
    let mut scene = Scene::new();
    scene.server.kill();
    scene.fails_as_written("killed");
    scene.server.resume();
    scene.comes_back("killed");
}

/// R9: connections that the server closes are replaced, and nobody hears of it.
#[test]
fn connections_that_are_closed() {
    let scene = Scene::new();
    for turn in 0..5 {
        scene.server.sql("gate", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'gate'");
        scene.works(&format!("closed {turn}"));
    }
}

/// R9: a server that lets nobody in any more, and one that takes no writes.
#[test]
fn a_server_that_is_full_or_takes_nothing() {
    let scene = Scene::new();
    scene.server.sql("gate", "ALTER ROLE gate CONNECTION LIMIT 0");
    scene.server.sql("gate", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'gate'");
    scene.fails_as_written("full");
    scene.server.sql("gate", "ALTER ROLE gate CONNECTION LIMIT -1");
    scene.comes_back("full");

    scene.server.sql("gate", "ALTER SYSTEM SET default_transaction_read_only = on");
    scene.server.sql("gate", "SELECT pg_reload_conf()");
    until("the server to take nothing", || {
        (scene.server.sql("gate", "SHOW default_transaction_read_only") == "on").then_some(())
    });
    // Its processes read the new setting when they are asked the next time.
    drop(scene.signed("first"));
    scene.fails_as_written("read-only");
    scene.server.sql("gate", "ALTER SYSTEM RESET default_transaction_read_only");
    scene.server.sql("gate", "SELECT pg_reload_conf()");
    scene.comes_back("read-only");
}

/// R9, R24: a gateway that is held in the middle of its work holds up the others for a moment alone.
#[test]
fn another_gateway_that_is_held() {
    let scene = Scene::new();
    let key = format!("[[auth.keys]]\nname = \"ci\"\nkey = \"{KEY}\"\n");
    let settings = std::fs::read_to_string(scene.gate.dir.path().join("palisade.toml")).unwrap();
    let store = settings.split_once("[store]").map(|(_, rest)| format!("{key}[store]{rest}")).unwrap();
    let other = signed_gate(&scene.upstream.url(), "bearer", &store);
    for number in 0..50 {
        let bytes = Draft::call(&format!("busy {number}")).signed(&other).bytes(&other);
        std::io::Write::write_all(&mut other.connect(), &bytes).unwrap();
    }
    signal(other.pid(), "STOP");
    let began = Instant::now();
    let goes_on = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        until("the gateway to go on", || (scene.signed("beside").0.status == 200).then_some(()));
    }));
    signal(other.pid(), "CONT");
    goes_on.unwrap();
    assert!(began.elapsed() < BACK, "{:?}", began.elapsed());
}

/// R9, B3: while the server is away managed keys are believed for the time that is set, and then not any more; keys of the
/// settings go on, and all works again when it is back.
#[test]
fn keys_are_not_believed_for_ever() {
    let (mut server, upstream) = (Postgres::start(), Upstream::echo());
    let settings = format!("{}max_staleness = \"3s\"\n", store(&server, "stale"));
    let gate = super::gate(&settings, &upstream);
    let (key, _) = gate.make(&["one"]);
    until("the key to be known", || (gate.ping("files", &key).status == 200).then_some(()));
    server.kill();
    let began = Instant::now();
    assert_eq!(gate.ping("files", &key).status, 200, "it is in memory");
    until("it to be too old", || (gate.ping("files", &key).status == 503).then_some(()));
    let believed = began.elapsed();
    assert!((Duration::from_secs(2)..Duration::from_secs(5)).contains(&believed), "{believed:?}");
    server.resume();
    let began = Instant::now();
    until("it to be believed again", || (gate.ping("files", &key).status == 200).then_some(()));
    assert!(began.elapsed() < BACK, "{:?}", began.elapsed());
}

/// R9, P-K10: a standby answers, and may not know yet what was withdrawn: it is not used, for reading neither; when it is
/// promoted, it is.
#[test]
fn a_standby_is_not_used() {
    let mut scene = Scene::new();
    scene.server.stand_by();
    scene.fails_as_written("standby");
    let config = scene.gate.dir.path().join("palisade.toml").display().to_string();
    let listed = output(&["keys", "list", "--config", &config], &[]);
    let said = String::from_utf8_lossy(&listed.stderr).into_owned();
    assert_eq!(listed.status.code(), Some(78), "{said}");
    assert!(said.contains("is a standby") && said.contains("name the primary in store.url"), "{said}");
    assert_eq!(scene.server.sql("gate", "SELECT pg_promote()"), "t");
    scene.comes_back("standby");
}
