//! `palisade run`: guard one server now, or what a file says.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use palisade_gateway::config::{self, Command, Secret, ServerFlag, Source, Start};

use super::serve::{self, Plan};
use crate::cli::Run;
use crate::say;

/// Runs until it is told to stop.
pub(crate) fn run(arguments: Box<Run>) -> ExitCode {
    let Run { config, url, environment, settings, command } = *arguments;
    let server = server(url, command);
    let ad_hoc = server.is_some() && config.is_none();
    let file = config.or_else(|| (!ad_hoc).then(|| PathBuf::from("palisade.toml")));
    if server.is_none() && config_is_missing(file.as_deref()) {
        say::err("fault: nothing to guard: give a command after --, or --url, or a palisade.toml (--config)");
        return ExitCode::from(say::EX_CONFIG);
    }
    let mut flags = serve::flags(settings);
    flags.servers.extend(server.map(|server| ("server".to_owned(), server)));
    flags.server_env = environment;
    let start = if ad_hoc { Start::AdHoc } else { Start::File };
    let vars = config::env::system();
    match config::load(&flags, file.as_deref(), &vars, start) {
        Ok(loaded) => {
            let reads = file.filter(|_| !ad_hoc);
            let source = reads.map(|file| Source { flags, file, vars, made: None });
            serve::serve(Plan { loaded, source, in_process: Vec::new(), greeting: ad_hoc })
        }
        Err(faults) => say::faults(&faults),
    }
}

/// The server that the command line names.
pub(super) fn server(url: Option<String>, command: Vec<String>) -> Option<ServerFlag> {
    match (url, command.is_empty()) {
        (Some(url), _) => Some(ServerFlag::Url(Secret::new(url))),
        (None, false) => Some(ServerFlag::Command(Command::new(command))),
        (None, true) => None,
    }
}

fn config_is_missing(file: Option<&Path>) -> bool {
    file.is_some_and(|file| file == Path::new("palisade.toml") && !file.exists())
}
