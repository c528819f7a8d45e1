//! What production refuses: everything at once, before the socket opens.

use crate::gate::{output, write_private};

/// A13: every fault in one go, each with its cure, exit code 78.
#[test]
fn production_lists_every_fault() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("palisade.toml");
    let text = "[listen]\naddress = \"127.0.0.1:0\"\norigins = [\"*\"]\nhosts = [\"*\"]\ntrusted_proxies = [\"0.0.0.0/0\"]\n[auth]\nmode = \"none\"\n\
                [servers.a]\nurl = \"http://192.0.2.1/mcp\"\n[log]\nlevel = \"trace\"\n[limits]\nbdy = \"1MiB\"\n";
    write_private(&file, text);
    let output = output(&["run", "--config", file.to_str().unwrap()], &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{said}");
    let faults: Vec<_> = said.lines().filter(|line| line.starts_with("fault: ")).collect();
    for setting in [
        "listen.origins",
        "listen.hosts",
        "listen.trusted_proxies",
        "auth.mode",
        "servers.a.url",
        "log.level",
        "audit.dir",
    ] {
        assert!(faults.iter().any(|fault| fault.contains(setting)), "{setting} is missing:\n{said}");
    }
    let unknown = faults.iter().find(|fault| fault.contains("limits.bdy")).expect("the unknown key");
    assert!(unknown.contains("body"), "the nearest right name: {unknown}");
    assert!(!said.contains("listening"), "{said}");
}

/// A13: what is not one of the three words is refused, and a word of the environment wins over nothing else silently.
#[test]
fn the_environment_is_one_of_three_words() {
    for word in ["prod", "Production", "production ", "dev", ""] {
        let output = output(&["run", "--url", "http://127.0.0.1:9/mcp"], &[("ENVIRONMENT", word)]);
        assert_eq!(output.status.code(), Some(78), "{word:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let output =
        output(&["run", "--url", "http://127.0.0.1:9/mcp"], &[("DISABLE_AUTH", "true"), ("ENVIRONMENT", "production")]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78));
    assert!(said.contains("DISABLE_AUTH"), "{said}");
}

/// I1: a command that is not there is told before the socket opens.
#[test]
fn a_missing_program_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    let audit = dir.path().join("audit");
    let output = output(
        &["run", "--listen", "127.0.0.1:0", "--audit-dir", audit.to_str().unwrap(), "--", "no-such-program"],
        &[],
    );
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("no-such-program") && !said.contains("listening"), "{said}");
}

/// B2: no weak key, no empty key, and the fault never shows the key.
#[test]
fn weak_keys_do_not_start() {
    for key in ["changeme", "short", "password-password"] {
        let output =
            output(&["run", "--url", "http://127.0.0.1:9/mcp"], &[("API_KEY", key), ("ENVIRONMENT", "production")]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{key:?}: {said}");
        assert!(!said.contains(key), "{said}");
    }
}

/// I2: the shown configuration masks every secret and says where each value came from.
#[test]
fn shown_settings_hold_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("palisade.toml");
    let canary = "cN4rY8vB2nM6qW0eR3tZ7uI1oP5aS9dFg";
    let text = format!(
        "environment = \"development\"\n[[auth.keys]]\nname = \"a\"\nkey = \"{canary}\"\n[servers.a]\nurl = \"http://127.0.0.1:9/mcp\"\nheaders = {{ Authorization = \"Bearer {canary}\" }}\n"
    );
    write_private(&file, &text);
    let environment = [("API_KEY", "dQ7wE2rT5yU8iO1pA4sD6fG9hJ3kL0zX"), ("REDIS_PASSWORD", canary), ("PORT", "8765")];
    let output = output(&["config", "show", "--config", file.to_str().unwrap()], &environment);
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    assert!(!said.contains(canary) && !said.contains("dQ7wE2"), "{said}");
    assert!(said.contains("8765") && said.contains("PORT"), "{said}");
}
