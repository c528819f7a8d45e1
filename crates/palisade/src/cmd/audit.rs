//! `palisade audit verify DIR`

use std::process::ExitCode;

use palisade_gateway::journal;

use crate::cli::Audit;
use crate::say;

/// Does it.
pub(crate) fn audit(command: &Audit) -> ExitCode {
    let Audit::Verify { dir } = command;
    match journal::verify(dir) {
        Ok(report) => {
            say::out(report);
            ExitCode::SUCCESS
        }
        Err(finding) => {
            say::err(format_args!("{}: {finding}", dir.display()));
            ExitCode::FAILURE
        }
    }
}
