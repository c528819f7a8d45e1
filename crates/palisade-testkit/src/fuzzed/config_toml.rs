//! The configuration file: whatever it holds, it is a configuration or a list of faults, each one readable line.

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use palisade_gateway::config::{self, Flags, Start, Vars};

/// The one file that every input is written to.
static FILE: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("palisade-fuzz-{}.toml", std::process::id())));

/// Stands in every file as the value of a key, so it must stand in nothing that is shown.
const CANARY: &str = "mcp_CANARYq8sV1uWe5RtY7iO3aSdF6gHj2Kl";

/// Panics where something does not hold.
pub fn hold(input: &[u8]) {
    fs::write(&*FILE, input).expect("a file in the temporary folder");
    let vars = Vars::from([("API_KEY".to_owned(), CANARY.into())]);
    let load = || config::load(&Flags::default(), Some(&FILE), &vars, Start::File);
    match load() {
        Ok(loaded) => {
            let shown = config::show(&loaded);
            assert!(!shown.contains(CANARY) && !format!("{loaded:?}").contains(CANARY), "a secret is shown");
            assert!(!shown.chars().any(|ch| ch.is_control() && ch != '\n'), "{shown:?}");
            let again = load().expect("what loads once loads again");
            assert_eq!(config::show(&again), shown);
        }
        Err(faults) => {
            assert!(!faults.is_empty(), "refused without a reason");
            let report = config::report(&faults);
            assert_eq!(report.lines().count(), faults.len(), "a fault is one line: {report:?}");
            assert!(!report.chars().any(|ch| ch.is_control() && ch != '\n'), "{report:?}");
            assert!(!report.contains(CANARY), "a secret is shown");
            for fault in &faults {
                assert!(!fault.problem.is_empty() && !fault.cure.is_empty(), "{fault:?}");
            }
        }
    }
}
