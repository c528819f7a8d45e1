//! `palisade keys`: the same operations as REST, on the store itself. A gateway need not run; one that does sees each
//! change within a second.

mod generate;
mod say;

use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use palisade_gateway::config::{self, Config, Flags, Start, StorePlace};
use palisade_gateway::keys::{Asker, Book, Error, Rotation, View};
use palisade_gateway::store::Store;
use tokio::runtime::Builder;

use crate::cli::{Desk, Keys, One};
use crate::say::{EX_CONFIG, err, faults};

/// Does it.
pub(crate) fn keys(command: &Keys) -> ExitCode {
    let desk = match command {
        Keys::Generate { format } => return generate::generate(*format),
        Keys::Create(create) => &create.desk,
        Keys::Rotate(rotate) => &rotate.desk,
        Keys::Show(One { desk, .. })
        | Keys::Revoke(One { desk, .. })
        | Keys::Usage(One { desk, .. })
        | Keys::List(desk)
        | Keys::Verify(desk) => desk,
    };
    let config = match settings(&desk.config) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let Ok(runtime) = Builder::new_current_thread().enable_all().build() else {
        err("fault: nothing can be run here");
        return ExitCode::FAILURE;
    };
    runtime.block_on(async {
        let servers: Vec<Arc<str>> = config.servers.iter().map(|server| Arc::clone(&server.name)).collect();
        let place = config.store.place.clone();
        let opened = async {
            let store = Store::open(&place).await.map_err(Error::Store)?;
            let book = Book::open(store.clone(), Some(&config.store), config.auth.form.clone()).await?;
            Ok::<_, Error>((store, book))
        };
        let (store, book) = match opened.await {
            Ok(opened) => opened,
            Err(error) => {
                err(format_args!("fault: {}: {error}", error.setting()));
                return ExitCode::from(EX_CONFIG);
            }
        };
        let done = run(command, desk, &book, &servers).await;
        store.close().await;
        done.unwrap_or_else(|error| {
            err(format_args!("palisade keys: {error}"));
            ExitCode::FAILURE
        })
    })
}

/// What of the settings concerns keys. The rest may need files and variables that only the gateway has.
pub(super) fn settings(file: &Path) -> Result<Config, ExitCode> {
    let flags = Flags { tends_keys: true, ..Flags::default() };
    let file = (file.exists() || file != Path::new("palisade.toml")).then_some(file);
    let config =
        config::load(&flags, file, &config::env::system(), Start::File).map_err(|found| faults(&found))?.config;
    if config.store.place == StorePlace::Memory {
        err("fault: store.url: there is no store that outlives this command; set it to \"sqlite:FILE\" (DATABASE_URL)");
        return Err(ExitCode::from(EX_CONFIG));
    }
    Ok(config)
}

async fn run(command: &Keys, desk: &Desk, book: &Book, servers: &[Arc<str>]) -> Result<ExitCode, Error> {
    let who = format!("uid:{}", rustix::process::getuid().as_raw());
    // Whoever can write the store can write anything into it.
    let by = Asker { who: &who, holds: None };
    match command {
        Keys::Create(create) => say::issued(desk, &book.create(&create.wanted(), servers, by).await?),
        Keys::List(_) => say::list(desk, &every(book).await?),
        Keys::Show(one) => say::view(desk, &book.show(id(&one.id)).await?),
        Keys::Rotate(rotate) => {
            let grace = palisade_gateway::keys::grace(&rotate.grace)?;
            let how = Rotation { grace, expires: rotate.expires.as_deref(), end_older: rotate.end_older };
            say::issued(desk, &book.rotate(id(&rotate.id), how, by).await?);
        }
        Keys::Revoke(one) => say::revoked(desk, &book.revoke(id(&one.id), by).await?),
        Keys::Usage(one) => say::used(desk, &book.usage(id(&one.id)).await?),
        Keys::Verify(_) => return Ok(say::verified(desk, &book.verify(from_input()?.trim()).await?)),
        Keys::Generate { .. } => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Every key, page after page.
async fn every(book: &Book) -> Result<Vec<View>, Error> {
    let mut page = book.list(None).await?;
    let mut keys = std::mem::take(&mut page.keys);
    while let Some(next) = page.next {
        page = book.list(Some(&next)).await?;
        keys.append(&mut page.keys);
    }
    Ok(keys)
}

/// An id as it stands in records, or by itself.
fn id(text: &str) -> &str {
    text.strip_prefix("managed:").unwrap_or(text)
}

/// The key on standard input: never an argument, which every process could read.
pub(super) fn from_input() -> Result<String, Error> {
    const LONGEST: u64 = 16 << 10;
    let mut text = String::new();
    let unreadable = |_| Error::Unreadable;
    std::io::stdin().take(LONGEST).read_to_string(&mut text).map_err(unreadable)?;
    Ok(text)
}
