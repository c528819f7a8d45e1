//! The pepper gives way to another one, and nobody is locked out.

use std::path::Path;

use super::{said_of, settings, text};
use crate::gate::{Gate, palisade, until, write_private};
use crate::reload::{CALL, is_open, streaming};

const OLD: &str = "b7Rk2vX9mN4pQ8tW1yB6dF3hJ5lS0zGaUe7ToPw3";
const NEW: &str = "h4Yc8sD1gK6jL3qZ9xV2bM7nA5wE0rTuIo4PfXs6";

/// A gateway with these peppers on the store in `store`, in front of one server called `files`.
fn gate(store: &Path, url: &str, pepper: &str, previous: Option<&str>) -> Gate {
    let previous = previous.map(|name| format!("previous_pepper = \"secret:file:{}/{name}\"\n", store.display()));
    let peppers =
        format!("pepper = \"secret:file:{}/{pepper}\"\n{}[limits]", store.display(), previous.unwrap_or_default());
    Gate::configured(&settings(store, &[("files", url)]).replace("[limits]", &peppers))
}

/// B3: with the new pepper and the one before every key works, the gateways with the two the other way round too, and
/// streams go on; what was used is kept under the new one and works without the old, what was not used does not.
#[test]
fn a_pepper_is_exchanged_while_keys_are_used() {
    let rogue = streaming();
    let (url, dir) = (rogue.url(), tempfile::tempdir().unwrap());
    let store = dir.path();
    write_private(&store.join("old"), OLD);
    write_private(&store.join("new"), NEW);

    let mut first = gate(store, &url, "old", None);
    let ((used, id), (unused, _)) = (first.make(&["used"]), first.make(&["unused"]));
    until("the keys to work", || (first.call(&used).status == 200).then_some(()));
    first.stop();

    let read = gate(store, &url, "old", Some("new"));
    let mut both = gate(store, &url, "new", Some("old"));
    let mut stream = both.open("POST", "files", &used, &[], CALL);
    assert_eq!((both.call(&used).status, read.call(&used).status), (200, 200));
    until("the key to be kept anew", || both.log.lock().unwrap().contains("under the new pepper").then_some(()));
    let made = both.make(&["made"]).0;
    for gate in [&both, &read] {
        until("keys of both peppers to work", || (gate.call(&made).status == 200).then_some(()));
        assert_eq!(gate.call(&used).status, 200);
    }
    assert!(is_open(&mut stream), "a stream goes on");
    assert!(!read.log.lock().unwrap().contains("under the new pepper"), "one is in force");
    assert_eq!(said_of(&both, &id)["state"], "active");
    both.stop();

    let alone = gate(store, &url, "new", None);
    assert_eq!((alone.call(&used).status, alone.call(&made).status), (200, 200));
    assert_eq!(alone.call(&unused).status, 401, "it was not used in time");
    let late = palisade().args(["keys", "list", "--config"]).arg(first.settings()).output().unwrap();
    assert!(text(&late.stderr).contains("is not the pepper"), "{}", text(&late.stderr));
}
