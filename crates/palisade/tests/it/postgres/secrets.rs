//! What goes to the server and to the logs: TLS with whom it must be, and no secret anywhere.

use palisade_testkit::postgres::{PASSWORD, Postgres};

use super::{gate, store};
use crate::gate::{output, until, write_private};
use crate::tls::Authority;
use crate::upstream::Upstream;

/// I3, P-K10: over TLS the server must be certified for its name by the authority of the file, and by no other.
#[test]
fn the_server_must_be_certified() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let certificate = ours.server();
    let server = Postgres::with_tls(Some((&certificate.pem, &certificate.key)));
    let upstream = Upstream::echo();
    let plain = store(&server, "tls");
    let [right, wrong] = [("right.pem", &ours), ("wrong.pem", &other)].map(|(name, authority)| {
        let path = server.folder().join(name);
        write_private(&path, &authority.pem);
        path.display().to_string()
    });
    let over = |host: &str, ca: &str| {
        let url = plain.replace("@127.0.0.1:", &format!("@{host}:")).replace("/tls\"", "/tls?sslmode=verify-full\"");
        format!("{url}ca_file = \"{ca}\"\n")
    };
    let gate = gate(&over("localhost", &right), &upstream);
    let (key, _) = gate.make(&["one"]);
    until("the key to be known", || (gate.ping("files", &key).status == 200).then_some(()));
    let encrypted = server
        .sql("tls", "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'gate'");
    assert_eq!(encrypted, "t");
    let settings = std::fs::read_to_string(gate.settings()).unwrap();
    let file = gate.dir.path().join("wrong.toml");
    write_private(&file, &settings.replace(&right, &wrong));
    let refused = output(&["keys", "list", "--config", &file.display().to_string()], &[]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(78), "{said}");
    assert!(said.contains("cannot be spoken to over TLS") && said.contains("store.ca_file"), "{said}");
}

/// F2, I3, P-K7: neither the password nor a value of a statement is in a log, an error or a dump, also where everything is
/// logged and everything fails.
#[test]
fn no_secret_is_logged() {
    const CANARY: &str = "canary-owner-7Qd";
    let (mut server, upstream) = (Postgres::start(), Upstream::echo());
    let settings = format!("{}log_statements = true\n", store(&server, "secrets"));
    let gate = gate(&settings, &upstream);
    let (key, id) = gate.make(&["one", "--owner", CANARY]);
    until("the key to be known", || (gate.ping("files", &key).status == 200).then_some(()));
    server.sql("secrets", "ALTER TABLE palisade.keys ADD CONSTRAINT none CHECK (name <> 'none')");
    let keys = |arguments: &[&str]| {
        let config = gate.settings().display().to_string();
        let done = output(&[&["keys"], arguments, &["--config", &config]].concat(), &[]);
        format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr))
    };
    let mut seen = keys(&["create", "none", "--owner", CANARY]);
    assert!(seen.contains("SQLSTATE 23514"), "{seen}");
    let shown = output(&["config", "show", "--config", &gate.settings().display().to_string()], &[]);
    seen.push_str(&String::from_utf8_lossy(&shown.stdout));
    server.kill();
    until("the gateway to notice", || gate.log.lock().unwrap().contains("does not answer").then_some(()));
    server.resume();
    server.sql("postgres", "ALTER ROLE gate PASSWORD 'another'");
    seen.push_str(&keys(&["revoke", &id]));
    assert!(seen.contains("check the user of store.url, and store.password"), "{seen}");
    seen.push_str(&gate.log.lock().unwrap());
    assert!(seen.contains("INSERT INTO changes") || seen.contains("SELECT value FROM facts"), "statements are logged");
    let digest = key.rsplit('_').nth(1).unwrap();
    for secret in [PASSWORD, CANARY, digest] {
        let at = seen.find(secret).map(|at| seen[at.saturating_sub(200)..].chars().take(300).collect::<String>());
        assert_eq!(at, None, "{secret}");
    }
}
