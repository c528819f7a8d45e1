//! The settings in README.md and in the guide are settings that the gateway takes: each block is loaded.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use palisade_gateway::config::{Flags, Start, Vars, load};

const PAGES: [&str; 2] = ["README.md", "docs/guide/getting-started.md"];

/// The blocks of TOML on a page.
fn blocks(page: &str) -> Vec<&str> {
    let after = page.split("\n```toml\n").skip(1);
    after.filter_map(|rest| rest.split_once("\n```")).map(|(block, _)| block).collect()
}

/// The certificate that pages speak of, and its key.
fn write_certificate(folder: &Path) {
    let made = rcgen::generate_simple_self_signed(["mcp.example.com".to_owned()]).unwrap();
    let tls = folder.join("tls");
    fs::create_dir_all(&tls).unwrap();
    fs::write(tls.join("server.pem"), made.cert.pem()).unwrap();
    fs::write(tls.join("server.key"), made.signing_key.serialize_pem()).unwrap();
    fs::set_permissions(tls.join("server.key"), fs::Permissions::from_mode(0o600)).unwrap();
}

/// Loads a block as the file of a folder that holds the keys which pages speak of.
fn faults(folder: &Path, block: &str) -> Vec<String> {
    let file = folder.join("palisade.toml");
    fs::write(&file, block).unwrap();
    match load(&Flags::default(), Some(&file), &Vars::new(), Start::File) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn every_block_of_settings_is_taken() {
    let folder = std::env::temp_dir().join(format!("palisade-documents-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let key = folder.join("alice.key");
    fs::write(&key, palisade_gateway::new_key()).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    write_certificate(&folder);
    for page in PAGES {
        let text = fs::read_to_string(super::root().join(page)).unwrap();
        let blocks = blocks(&text);
        assert!(!blocks.is_empty(), "{page}");
        for block in blocks {
            let mut faults = faults(&folder, block);
            if !block.contains("[servers.") {
                // A part of a file: what it leaves out is not its fault.
                faults.retain(|fault| !fault.starts_with("default: "));
            }
            assert!(faults.is_empty(), "{page}: {faults:#?}\n{block}");
        }
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_wrong_setting_in_a_document_is_found() {
    let folder = std::env::temp_dir().join(format!("palisade-wrong-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let page = "Text\n```toml\n[listen]\nhost = [\"a\"]\n```\nmore\n";
    let found = faults(&folder, blocks(page)[0]);
    assert!(found.iter().any(|fault| fault.contains("listen.host")), "{found:?}");
    fs::remove_dir_all(folder).unwrap();
}
