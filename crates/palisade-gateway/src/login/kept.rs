//! What is kept of a login, in memory and in a file that nobody else may read.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use palisade_guard::token::Document;
use serde_json::json;
use zeroize::Zeroizing;

use crate::random;

/// What is kept of a login. It cannot be printed.
#[derive(Clone, Default)]
pub(super) struct Kept {
    /// Who gave the tokens; nobody else ever gets them, nor the name of the client.
    pub(super) issuer: String,
    pub(super) client_id: String,
    /// The port of the address that was registered.
    pub(super) port: u16,
    pub(super) access: Zeroizing<String>,
    pub(super) refresh: Option<Zeroizing<String>>,
    /// When to refresh it, in seconds since 1970.
    pub(super) due: Option<u64>,
    /// Every scope that was asked for.
    pub(super) scopes: BTreeSet<String>,
}

/// The largest file, and the values and keys in it.
const LARGEST: u64 = 64 * 1024;
const NODES: usize = 256;

/// Reads what is kept of a login at `resource`; none where there is no file yet.
pub(super) fn read(path: &Path, resource: &str) -> io::Result<Option<Kept>> {
    let wrong = |what: &str| io::Error::other(format!("{} {what}", path.display()));
    // Opening a pipe would wait for whoever writes to it.
    if path.metadata().is_ok_and(|about| !about.is_file()) {
        return Err(wrong("is no file"));
    }
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|error| wrong(&format!("cannot be read ({error})")))?,
    };
    let about = file.metadata()?;
    if about.mode() & 0o077 != 0 {
        return Err(wrong("may be used by others: set its mode to 600"));
    }
    let mut text = Zeroizing::new(Vec::new());
    file.take(LARGEST).read_to_end(&mut text)?;
    let document = Document::read(&text, NODES).ok_or_else(|| wrong("holds no login: remove it"))?;
    if document.text("resource").ok().flatten().as_deref() != Some(resource) {
        return Err(wrong("holds a login at another server"));
    }
    parse(&document).map(Some).ok_or_else(|| wrong("holds no login: remove it"))
}

fn parse(document: &Document<'_>) -> Option<Kept> {
    let text = |name: &str| document.text(name).ok().flatten().map(std::borrow::Cow::into_owned);
    Some(Kept {
        issuer: text("issuer")?,
        client_id: text("client_id")?,
        port: document.seconds("port").ok()??.try_into().ok()?,
        access: Zeroizing::new(text("access_token")?),
        refresh: text("refresh_token").map(Zeroizing::new),
        due: document.seconds("refresh_at").ok().flatten(),
        scopes: document.texts("scopes").ok()??.into_iter().map(std::borrow::Cow::into_owned).collect(),
    })
}

/// Writes it whole, or leaves the file as it is.
pub(super) fn write(path: &Path, resource: &str, kept: &Kept) -> io::Result<()> {
    let document = json!({
        "resource": resource, "issuer": kept.issuer, "client_id": kept.client_id, "port": kept.port,
        "access_token": kept.access.as_str(), "scopes": kept.scopes, "refresh_at": kept.due,
        "refresh_token": kept.refresh.as_deref(),
    });
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", random::new_key()));
    let fresh = path.with_file_name(name);
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh).and_then(|mut file| {
        file.write_all(Zeroizing::new(document.to_string()).as_bytes())?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    });
    if written.is_err() {
        drop(fs::remove_file(&fresh));
    }
    written
}
