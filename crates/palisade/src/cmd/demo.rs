//! `palisade demo`: the built-in servers behind the gate.

use std::process::ExitCode;
use std::sync::Arc;

use palisade_demo::{Server, Toolset};
use palisade_gateway::InProcess;
use palisade_gateway::config::{self, Start};

use super::serve::{self, Plan};
use crate::cli::Demo;
use crate::say;

/// Runs until it is told to stop.
pub(crate) fn demo(arguments: Box<Demo>) -> ExitCode {
    let mut flags = serve::flags(arguments.settings);
    flags.in_process = true;
    let server = Server::new(Toolset::All);
    let serve_one: InProcess = Arc::new(move |pipe| {
        let (reader, writer) = tokio::io::split(pipe);
        let server = server.clone();
        tokio::spawn(async move {
            if let Err(error) = server.serve(reader, writer).await {
                tracing::debug!(%error, "a demo session ended");
            }
        });
    });
    match config::load(&flags, None, &config::env::system(), Start::AdHoc) {
        Ok(loaded) => {
            let in_process = vec![(Arc::from("demo"), serve_one)];
            serve::serve(Plan { loaded, source: None, in_process, greeting: true })
        }
        Err(faults) => say::faults(&faults),
    }
}
