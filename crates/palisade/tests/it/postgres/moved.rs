//! A store that is moved from a file to a server, by the command.

use palisade_testkit::postgres::Postgres;

use super::{gate, store, with};
use crate::gate::{Gate, output, until, write_private};
use crate::upstream::Upstream;

/// I3: what was in the file is on the server, keys work on with the same pepper, and nothing is put over anything.
#[test]
fn keys_move_from_a_file_to_a_server() {
    let (server, upstream) = (Postgres::start(), Upstream::echo());
    let mut old = gate("[store]\nurl = \"sqlite:DIR/palisade.db\"\n", &upstream);
    let (key, id) = old.make(&["one"]);
    let (revoked, gone) = old.make(&["two"]);
    old.make(&["three"]);
    let keys = |config: &std::path::Path, arguments: &[&str]| {
        output(&[&["keys"], arguments, &["--config", &config.display().to_string()]].concat(), &[])
    };
    assert!(keys(&old.settings(), &["revoke", &gone]).status.success());
    until("the key to be used", || (old.ping("files", &key).status == 200).then_some(()));
    old.stop();

    let dir = tempfile::tempdir().unwrap();
    let (file, wrong) = (dir.path().join("palisade.toml"), dir.path().join("wrong.toml"));
    let to = with(&store(&server, "moved"), &upstream).replace("DIR", &dir.path().display().to_string());
    let pepper = server.folder().join("pepper").display().to_string();
    let right = old.dir.path().join("palisade.pepper").display().to_string();
    write_private(&wrong, &to);
    write_private(&file, &to.replace(&pepper, &right));
    let [file_name, wrong] = [&file, &wrong].map(|path| path.display().to_string());
    let from = format!("sqlite:{}/palisade.db", old.dir.path().display());
    let copy = |from: &str, to: &str| {
        let done = output(&["store", "copy", from, to, "--json"], &[]);
        let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        (done.status.code(), said)
    };
    let (code, said) = copy(&from, &wrong);
    assert!(code == Some(78) && said.contains("made with another pepper"), "{said}");
    let (code, said) = copy(&from, "postgres://gate:secret@localhost/moved");
    assert!(code == Some(78) && said.contains("every process can read here") && !said.contains("secret@"), "{said}");
    let migrated = output(&["store", "migrate", "--config", &file_name], &[]);
    assert!(migrated.status.success(), "{migrated:?}");
    let (code, said) = copy(&from, &file_name);
    let told: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &told["keys"]), (Some(0), &3.into()), "{said}");
    let (code, said) = copy(&from, &file_name);
    assert!(code == Some(78) && said.contains("has rows already (keys)"), "{said}");

    let mut line = crate::gate::palisade();
    line.arg("run").arg("--config").arg(&file);
    let new = Gate::start(line, dir);
    assert_eq!((new.ping("files", &key).status, new.ping("files", &revoked).status), (200, 401));
    let shown = keys(&file, &["show", &id, "--json"]);
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert!(shown["name"] == "one" && shown["uses"].as_u64() >= Some(1), "{shown}");
}
