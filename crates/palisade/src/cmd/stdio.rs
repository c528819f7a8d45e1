//! `palisade stdio`: in the place of a server that a desktop client would start.
//!
//! Standard output belongs to the protocol: whatever there is to say goes to standard error.

use std::process::ExitCode;

use palisade_gateway::config::{self, Flags, Loaded, Source, Start};
use palisade_gateway::login::Settings as Login;
use palisade_gateway::{StartError, serve_stdio};

use tokio::sync::Notify;

use super::signals::Signals;
use super::{dumps, run, serve};
use crate::cli::Stdio;
use crate::{logs, say};

/// Serves until the client is done.
pub(crate) fn stdio(arguments: Stdio) -> ExitCode {
    let Stdio { config, url, environment, audit_dir, log_level, log_format, command } = arguments;
    let server = run::server(url, command);
    if server.is_none() && config.is_none() {
        say::err("fault: nothing to guard: give a command after --, or --url, or --config");
        return ExitCode::from(say::EX_CONFIG);
    }
    let start = if config.is_none() { Start::AdHoc } else { Start::File };
    let flags = Flags {
        audit_dir,
        log_level,
        log_format,
        servers: server.map(|server| ("server".to_owned(), server)).into_iter().collect(),
        server_env: environment,
        stdio: true,
        ..Flags::default()
    };
    let vars = config::env::system();
    match config::load(&flags, config.as_deref(), &vars, start) {
        Ok(loaded) => serve(loaded, config.map(|file| Source { flags, file, vars, made: None }), None),
        Err(faults) => say::faults(&faults),
    }
}

/// A server elsewhere, to which the client of standard input has its own way through this process.
pub(super) struct Remote {
    /// How to log in there.
    pub(super) login: Option<Login>,
}

/// Serves at standard input and output until the client is done; logs in at servers that want it, where it is told how.
pub(super) fn serve(loaded: Loaded, source: Option<Source>, remote: Option<Remote>) -> ExitCode {
    let Loaded { config, origin, .. } = loaded;
    logs::begin(config.log);
    dumps::forbid(config.environment);
    for note in &config.notes {
        tracing::warn!("{note}");
    }
    let broken = |error: std::io::Error| serve::failed(&StartError::Pipes(error.to_string()));
    let journal_dir = match serve::journal_dir(&config) {
        Ok(dir) => dir,
        Err(exit) => return exit,
    };
    let (runtime, keeper) = match (serve::runtime(), std::env::current_exe()) {
        (Ok(runtime), Ok(keeper)) => (runtime, keeper),
        (Err(error), _) | (_, Err(error)) => return broken(error),
    };
    let start = palisade_gateway::Start {
        config,
        origin,
        source,
        journal_dir: journal_dir.path.clone(),
        keeper,
        environment: std::env::vars_os().collect(),
        in_process: Vec::new(),
        relays: remote.is_some(),
        login: remote.and_then(|remote| remote.login),
    };
    runtime.block_on(async {
        let Ok(mut signals) = Signals::new(false) else {
            say::err("fault: signals cannot be handled here");
            return ExitCode::FAILURE;
        };
        let stop = Notify::new();
        let serving = serve_stdio(start, stop.notified());
        tokio::pin!(serving);
        let served = tokio::select! {
            served = &mut serving => served,
            () = signals.stop() => {
                stop.notify_one();
                tokio::select! {
                    served = &mut serving => served,
                    // A second signal means now.
                    () = signals.stop() => return ExitCode::FAILURE,
                }
            }
        };
        served.map_or_else(|error| serve::failed(&error), |()| ExitCode::SUCCESS)
    })
}
