//! Gateways that share a store on PostgreSQL: what one does the others know, and what they do while it fails.

mod moved;
mod outage;
mod secrets;
mod storm;

use std::path::Path;
use std::time::{Duration, Instant};

use palisade_testkit::postgres::Postgres;

use crate::gate::{Gate, until, write_private};
use crate::managed_keys::settings;
use crate::once::one_wins;
use crate::upstream::Upstream;

/// The settings of a store in a new database of this server.
pub(crate) fn store(server: &Postgres, database: &str) -> String {
    let pepper = server.folder().join("pepper");
    if !pepper.exists() {
        write_private(&pepper, "dQ3vT8mN1xR6tY2wB9cD4fG7hJ5lP0sKz");
    }
    format!(
        "[store]\nurl = \"{}\"\npassword = \"secret:file:{}\"\npepper = \"secret:file:{}\"\n",
        server.database(database),
        server.password_file().display(),
        pepper.display()
    )
}

/// A gateway that takes managed keys, in front of one server called `files`.
fn gate(store: &str, upstream: &Upstream) -> Gate {
    Gate::configured(&with(store, upstream))
}

/// Its settings.
fn with(store: &str, upstream: &Upstream) -> String {
    let settings = settings(Path::new("DIR"), &[("files", &upstream.url())]);
    let (before, after) = settings.split_once("[store]\n").unwrap();
    let (_, after) = after.split_once('\n').unwrap();
    format!("{before}{store}{after}")
}

/// B3, I3, R24: a key that is made at one gateway works at all of them, and one that is withdrawn at one is refused by the
/// others within a second; three that start at once on an empty database make its tables once.
#[test]
fn gateways_on_one_server_agree_within_a_second() {
    let (server, upstream) = (Postgres::start(), Upstream::echo());
    let store = store(&server, "agree");
    let gates = std::thread::scope(|scope| {
        let starting: Vec<_> = (0..3).map(|_| scope.spawn(|| gate(&store, &upstream))).collect();
        starting.into_iter().map(|starting| starting.join().unwrap()).collect::<Vec<_>>()
    });
    let admin = gates[0].make(&["admin", "--scope", "palisade:keys:write", "--scope", "mcp:*"]).0;
    let bearer = format!("Bearer {admin}");
    for turn in 0..3 {
        let (key, id) = gates[1].make(&[&format!("agent-{turn}")]);
        let made = Instant::now();
        for gate in &gates {
            until("the keys to be known", || (gate.ping("files", &key).status == 200).then_some(()));
            until("the keys to be known", || (gate.ping("files", &admin).status == 200).then_some(()));
        }
        assert!(made.elapsed() < Duration::from_secs(1), "{:?}", made.elapsed());
        let asked = gates[turn].request("DELETE", &format!("/api/keys/{id}"), &[("Authorization", &bearer)], b"");
        let answer = gates[turn].raw(&asked);
        let revoked = Instant::now();
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(gates[turn].ping("files", &key).status, 401, "in the same process with the next call");
        for gate in &gates {
            until("the others to refuse it", || (gate.ping("files", &key).status == 401).then_some(()));
        }
        assert!(revoked.elapsed() < Duration::from_secs(1), "{:?}", revoked.elapsed());
    }
}

/// B4, D5, R24, P-B13: of two equal requests at the same instant to two gateways one wins, every time.
#[test]
fn one_of_two_wins() {
    let server = Postgres::start();
    one_wins(&store(&server, "once"), 200);
}

/// B3, R24: two gateways make and withdraw keys at the same time; of one name one is made, of one key all hear that it is
/// withdrawn, nobody waits for ever, and what both have in the end is the same.
#[test]
fn two_gateways_change_keys_at_once() {
    let (server, upstream) = (Postgres::start(), Upstream::echo());
    let store = store(&server, "changes");
    let gates = [gate(&store, &upstream), gate(&store, &upstream)];
    let admin = gates[0].make(&["admin", "--scope", "palisade:keys:write", "--scope", "mcp:*"]).0;
    for gate in &gates {
        until("the key to be known", || (gate.ping("files", &admin).status == 200).then_some(()));
    }
    let bearer = format!("Bearer {admin}");
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    for round in 0..20 {
        let body = format!("{{\"name\": \"round-{round}\"}}");
        let ask = |method: &str, path: &str, body: &str| {
            std::thread::scope(|scope| {
                let asked: Vec<_> = gates
                    .iter()
                    .map(|gate| scope.spawn(|| gate.raw(&gate.request(method, path, &headers, body.as_bytes()))))
                    .collect();
                asked.into_iter().map(|asked| asked.join().unwrap()).collect::<Vec<_>>()
            })
        };
        let made = ask("POST", "/api/keys", &body);
        let mut codes: Vec<_> = made.iter().map(|answer| answer.status).collect();
        codes.sort_unstable();
        assert_eq!(codes, [200, 409], "{} {}", made[0].text(), made[1].text());
        let won = made.iter().find(|answer| answer.status == 200).unwrap().json();
        let (id, key) = (won["id"].as_str().unwrap(), won["key"].as_str().unwrap());
        let gone = ask("DELETE", &format!("/api/keys/{id}"), "");
        assert!(gone.iter().all(|answer| answer.status == 200), "{} {}", gone[0].text(), gone[1].text());
        for gate in &gates {
            assert_eq!(gate.ping("files", key).status, 401);
        }
    }
    assert_eq!(server.sql("changes", "SELECT count(*), count(revoked) FROM palisade.keys"), "21|20");
}
