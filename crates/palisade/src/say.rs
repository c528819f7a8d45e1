//! Words for people on the terminal. Writing may fail, because a pipe was closed or a disk is full; that must not end
//! the gateway, so failures are dropped here and nowhere else.

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

/// The exit code for a configuration that cannot be used (`EX_CONFIG`, sysexits.h).
pub(crate) const EX_CONFIG: u8 = 78;

/// One line on stdout.
pub(crate) fn out(line: impl Display) {
    drop(writeln!(std::io::stdout(), "{line}"));
}

/// One line on stderr.
pub(crate) fn err(line: impl Display) {
    drop(writeln!(std::io::stderr(), "{line}"));
}

/// Every fault, then the exit code for them.
pub(crate) fn faults(faults: &[palisade_gateway::config::Fault]) -> ExitCode {
    for fault in faults {
        err(format_args!("fault: {fault}"));
    }
    ExitCode::from(EX_CONFIG)
}
