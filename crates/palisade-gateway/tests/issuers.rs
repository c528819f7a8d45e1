//! What is said of settings of issuers that cannot be.
#![allow(clippy::unwrap_used, reason = "a test may")]

use palisade_gateway::config::{self, Flags, Start, Vars};

const BASE: &str = "environment = \"development\"\nservers.files.url = \"https://files.example.com/mcp\"\n";

fn said(issuers: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("palisade.toml");
    std::fs::write(&file, format!("{BASE}{issuers}")).unwrap();
    match config::load(&Flags::default(), Some(&file), &Vars::new(), Start::File) {
        Ok(_) => String::new(),
        Err(faults) => config::report(&faults),
    }
}

fn issuer(more: &str) -> String {
    format!("[[auth.issuers]]\nname = \"corp\"\nurl = \"https://login.example.com\"\n{more}\n")
}

/// B6, P-A18: an address that others can change, half a client, an algorithm without a public key, a scope that is none:
/// each is a fault that names its cure; their benign twins load.
#[test]
fn settings_of_issuers_are_judged() {
    let cases = [
        ("plain HTTP", "[[auth.issuers]]\nname = \"corp\"\nurl = \"http://login.example.com\"\n".to_owned()),
        ("plain HTTP", issuer("jwks = \"http://keys.example.com/jwks\"")),
        ("has neither scheme", issuer("jwks = \"keys\"")),
        ("as whom", issuer("introspection = \"https://login.example.com/introspect\"")),
        ("no algorithm with a public key", issuer("algorithms = [\"HS256\"]")),
        ("no algorithm with a public key", issuer("algorithms = [\"none\"]")),
        ("not a scope of ours", issuer("scopes = { read = [\"tools.read\"] }")),
        ("is more than 60s", issuer("leeway = \"61s\"")),
        ("is not a server", issuer("servers = [\"nobody\"]")),
        ("both jwks and jwks_file", issuer("jwks = \"https://h/\"\njwks_file = \"keys\"")),
        ("no usable set", issuer("jwks_file = \"nowhere.json\"")),
        ("name or the address of another", issuer("") + &issuer("")),
        ("not a name", "[[auth.issuers]]\nname = \"A b\"\nurl = \"https://h\"\n".to_owned()),
        ("whose tokens", "[[auth.issuers]]\nname = \"corp\"\n".to_owned()),
    ];
    for (words, toml) in &cases {
        let said = said(toml);
        assert!(said.contains(words), "{words}: {said}\n{toml}");
    }
    for good in [
        issuer(""),
        issuer(
            "algorithms = [\"RS256\", \"ES256\"]\nleeway = \"60s\"\nservers = [\"files\"]\nscopes = { \"*\" = [\"mcp:*\"] }",
        ),
        issuer("introspection = \"https://login.example.com/i\"\nclient_id = \"gate\"\nclient_secret = \"s\""),
        "[[auth.issuers]]\nname = \"here\"\nurl = \"http://127.0.0.1:9\"\n".to_owned(),
    ] {
        assert_eq!(said(&good), "", "{good}");
    }
}
