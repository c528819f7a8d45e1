//! Showing a person an address to log in at.

use std::io::IsTerminal;
use std::process::{Command, Stdio};

use crate::say;

/// What opens a browser.
const OPENER: &str = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };

/// Prints the address; where a person sits at a terminal, a browser opens too. It is an argument of its own, seen by no
/// shell of ours, and begins with `http`, so no program takes it for an option (CVE-2025-6514).
pub(super) fn show(address: &str) {
    say::err(format_args!("log in at {address}"));
    if !std::io::stderr().is_terminal() {
        return;
    }
    let mut opener = Command::new(OPENER);
    opener.arg(address).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Ok(mut child) = opener.spawn() {
        // Somebody must wait for it; how it ends matters to nobody, for the address was printed.
        std::thread::spawn(move || drop(child.wait()));
    }
}
