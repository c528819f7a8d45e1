//! `palisade store`: its tables, and another place for it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use palisade_gateway::config::{Secret, StorePlace};
use palisade_gateway::keys;
use palisade_gateway::store::{self, Store};
use serde_json::{Map, Value};
use tokio::runtime::Builder;

use super::keys::settings;
use crate::cli::{StoreCopy, StoreWhat};
use crate::say::{EX_CONFIG, err, out};

/// A store, as it is named on the command line.
struct Named {
    place: StorePlace,
    pepper: Option<Secret>,
}

/// Does it.
pub(crate) fn store(command: &StoreWhat) -> ExitCode {
    let Ok(runtime) = Builder::new_current_thread().enable_all().build() else {
        err("fault: nothing can be run here");
        return ExitCode::FAILURE;
    };
    let done = match command {
        StoreWhat::Migrate { config } => runtime.block_on(migrate(config)),
        StoreWhat::Copy(copy) => runtime.block_on(copied(copy)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => exit,
    }
}

async fn migrate(config: &Path) -> Result<(), ExitCode> {
    let opened = open(&settings(config)?.store.place).await?;
    opened.close().await;
    err("The tables are up to date.");
    Ok(())
}

async fn copied(copy: &StoreCopy) -> Result<(), ExitCode> {
    let (from, to) = (named(&copy.from)?, named(&copy.to)?);
    if from.place == to.place {
        return Err(fault("is the same store twice; name two"));
    }
    if matches!(&from.place, StorePlace::File(path) if !path.exists()) {
        return Err(fault("is not there; name the store to copy from"));
    }
    let (source, target) = (open(&from.place).await?, open(&to.place).await?);
    // Keys are nothing under another pepper: to find that out afterwards would be too late.
    if let Some(pepper) = &to.pepper
        && !keys::fits(&source, pepper).await.map_err(|error| fault(&error.to_string()))?
    {
        return Err(fault("has keys that were made with another pepper; set store.pepper of the target to that one"));
    }
    let told = store::copy(&source, &target).await.map_err(|error| fault(&error.to_string()))?;
    source.close().await;
    target.close().await;
    if copy.json {
        out(Value::Object(
            told.into_iter().map(|(table, rows)| (table.to_owned(), rows.into())).collect::<Map<_, _>>(),
        ));
    } else {
        for (table, rows) in told {
            out(format_args!("{rows:>10} {table}"));
        }
        if let (StorePlace::File(from), StorePlace::File(to)) = (&from.place, &to.place) {
            let (from, to) = (from.with_extension("pepper"), to.with_extension("pepper"));
            err(format_args!(
                "The pepper is no part of it: without store.pepper, copy {} to {} too.",
                from.display(),
                to.display()
            ));
        }
    }
    Ok(())
}

async fn open(place: &StorePlace) -> Result<Store, ExitCode> {
    Store::open(place).await.map_err(|error| fault(&error.to_string()))
}

fn named(text: &str) -> Result<Named, ExitCode> {
    if let Some(path) = text.strip_prefix("sqlite:").filter(|path| !path.is_empty()) {
        return Ok(Named {
            place: StorePlace::File(PathBuf::from(path.strip_prefix("//").unwrap_or(path))),
            pepper: None,
        });
    }
    if text.contains("://") {
        return Err(fault("is a URL, which every process can read here; name a configuration file that holds it"));
    }
    let config = settings(Path::new(text))?.store;
    Ok(Named { place: config.place, pepper: config.pepper })
}

fn fault(problem: &str) -> ExitCode {
    err(format_args!("fault: store.url: {problem}"));
    ExitCode::from(EX_CONFIG)
}
