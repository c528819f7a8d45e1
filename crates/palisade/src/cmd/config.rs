//! `palisade config check | show | schema`

use std::path::Path;
use std::process::ExitCode;

use palisade_gateway::config::{self, Flags, Start};

use crate::cli::Config;
use crate::say;

/// Does it.
pub(crate) fn config(command: Config) -> ExitCode {
    match command {
        Config::Check(file) => check(&file.config),
        Config::Show(file) => show(&file.config),
        Config::Schema => {
            say::out(config::schema());
            ExitCode::SUCCESS
        }
    }
}

fn check(file: &Path) -> ExitCode {
    match config::load(&Flags::default(), Some(file), &config::env::system(), Start::File) {
        Ok(loaded) => {
            for note in &loaded.config.notes {
                say::err(format_args!("note: {note}"));
            }
            say::out(format_args!("{}: ok", file.display()));
            ExitCode::SUCCESS
        }
        Err(faults) => say::faults(&faults),
    }
}

fn show(file: &Path) -> ExitCode {
    // Without a file there is still the environment to show.
    let file = (file.exists() || file != Path::new("palisade.toml")).then_some(file);
    match config::load(&Flags::default(), file, &config::env::system(), Start::File) {
        Ok(loaded) => {
            say::out(config::show(&loaded).trim_end());
            ExitCode::SUCCESS
        }
        Err(faults) => say::faults(&faults),
    }
}
