//! Redis that stops, dies, is full, takes nothing or knows nothing any more: what must be known is refused at once, the rest goes
//! on, and afterwards all is as before.

use std::time::{Duration, Instant};

use palisade_testkit::redis::{PASSWORD, RIGHTS, Redis};

use super::{shared, signed_gate, status};
use crate::gate::{Answer, Gate, KEY, output, until};
use crate::signed::Draft;
use crate::upstream::Upstream;

/// How long a refusal may take.
const AT_ONCE: Duration = Duration::from_millis(300);
/// How long it may take until all is as before.
const BACK: Duration = Duration::from_secs(5);

/// A gateway on a server of its own.
struct Scene {
    server: Redis,
    upstream: Upstream,
    gate: Gate,
}

impl Scene {
    fn new() -> Self {
        let (server, upstream) = (Redis::start(), Upstream::echo());
        let gate = signed_gate(&shared(&server), &upstream);
        let scene = Self { server, upstream, gate };
        scene.comes_back("before");
        scene
    }

    /// A signed call under this idempotency key, and how long it took.
    fn signed(&self, key: &str) -> (Answer, Duration) {
        let draft = Draft::call(key).signed(&self.gate);
        let began = Instant::now();
        let answer = draft.send(&self.gate);
        (answer, began.elapsed())
    }

    /// What needs Redis is refused at once and not run, and the rest goes on.
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
        assert!(quick >= 8, "{quick} of 10 were refused at once");
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
        let status = status(&self.gate);
        assert_eq!((&status["reachable"], status["why"].is_string()), (&false.into(), true), "{status}");
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
        assert_eq!(status(&self.gate)["reachable"], true);
    }
}

/// R8, D4, P-K4: a process that is held takes everything and answers nothing; nobody waits for it twice.
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

/// R8, D4, P-K1, P-K4: a server that dies and comes back with nothing.
#[test]
fn a_server_that_dies() {
    let mut scene = Scene::new();
    scene.server.kill();
    scene.fails_as_written("killed");
    scene.server.resume();
    scene.comes_back("killed");
}

/// R8, D4: a server that has no memory left, is a replica, or does not know us any more; each says so to the operator.
#[test]
fn a_server_that_takes_nothing() {
    let scene = Scene::new();
    let other = Redis::start();
    let port = other.port().to_string();
    let (set, reset, rights) = ("SETUSER", "reset", format!("on >{PASSWORD} {RIGHTS}"));
    let rights: Vec<&str> = ["ACL", set, "gate", reset].into_iter().chain(rights.split_whitespace()).collect();
    let troubles: [(&str, Vec<&str>, Vec<&str>); 4] = [
        ("is full", vec!["CONFIG", "SET", "maxmemory", "1"], vec!["CONFIG", "SET", "maxmemory", "0"]),
        ("is a replica", vec!["REPLICAOF", "127.0.0.1", &port], vec!["REPLICAOF", "NO", "ONE"]),
        ("does not know us", vec!["ACL", "DELUSER", "gate"], rights),
        (
            "would throw out",
            vec!["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"],
            vec!["CONFIG", "SET", "maxmemory-policy", "noeviction"],
        ),
    ];
    for (why, trouble, cure) in troubles {
        scene.server.ask(&trouble);
        until("the gateway to notice", || (scene.signed("notice").0.status == 503).then_some(()));
        scene.fails_as_written(why);
        let told = status(&scene.gate)["why"].to_string();
        assert!(told.contains(why), "{why}: {told}");
        scene.server.ask(&cure);
        scene.comes_back(why);
    }
    let log = scene.gate.log.lock().unwrap().clone();
    assert!(log.contains("Redis cannot be used") && log.contains("Redis answers"), "{log}");
    assert!(!log.contains(PASSWORD));
}

/// B4, R8, P-B14, P-K5, P-K6: whoever kept a request that was taken once cannot use it again after the data was thrown away,
/// lost with the server, or left behind by a failover.
#[test]
fn nothing_is_replayed() {
    let mut scene = Scene::new();
    let other = Redis::with("repl-diskless-sync-delay 0");
    let port = other.port().to_string();
    for loss in ["flush", "restart", "failover"] {
        // Nobody else has changed anything when it is taken.
        let kept = Draft::call(loss).signed(&scene.gate);
        let taken = until("it to be taken", || {
            let kept = Draft::call(loss).signed(&scene.gate);
            (kept.send(&scene.gate).status == 200).then_some(kept)
        });
        assert_eq!(taken.send(&scene.gate).status, 401, "used");
        drop(kept);
        match loss {
            "flush" => drop(scene.server.ask(&["FLUSHALL"])),
            "restart" => {
                scene.server.kill();
                scene.server.resume();
            }
            // What another had, which knows nothing of it, is everybody's from now on.
            _ => {
                scene.server.ask(&["REPLICAOF", "127.0.0.1", &port]);
                until("the other's data", || {
                    scene.server.ask(&["INFO", "replication"]).contains("master_link_status:up").then_some(())
                });
                scene.server.ask(&["REPLICAOF", "NO", "ONE"]);
            }
        }
        let began = Instant::now();
        while began.elapsed() < BACK {
            let again = taken.send(&scene.gate);
            assert_ne!(again.status, 200, "{loss}: {}", again.text());
            std::thread::sleep(Duration::from_millis(50));
        }
        scene.comes_back(&format!("after {loss}"));
    }
}

/// A13, D4, P-K2: what is wrong with Redis ends the start with its cure, and its password is in nothing that is said.
#[test]
fn what_will_not_do_does_not_start() {
    let (server, upstream) = (Redis::start(), Upstream::echo());
    let start = |settings: &str| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("palisade.toml");
        let text = crate::edge::config(&upstream.url(), settings).replace("DIR", &folder.path().display().to_string());
        crate::gate::write_private(&file, &text);
        let done = output(&["run", "--config", &file.display().to_string()], &[]);
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(!done.status.success() && !said.contains(PASSWORD), "{said}");
        said
    };
    server.ask(&["CONFIG", "SET", "maxmemory-policy", "volatile-ttl"]);
    let said = start(&shared(&server));
    assert!(
        said.contains("redis.url: Redis would throw out") && said.contains("maxmemory-policy noeviction"),
        "{said}"
    );
    server.ask(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    server.ask(&["ACL", "SETUSER", "gate", "-evalsha"]);
    assert!(start(&shared(&server)).contains("does not let its user do what is needed"));
    let said = start(&shared(&server).replace("gate@", "nobody@"));
    assert!(said.contains("does not know us; check the user of redis.url"), "{said}");
}
