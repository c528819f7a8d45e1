//! The pepper: the secret under which the store keeps its keys. Without it a copy of the store is worth nothing, neither
//! to find a key in it nor to put one into it.
//!
//! 1. It is configured (`store.pepper`), or stands in a file of its own beside the store, which is made with the store.
//! 2. The store remembers a mark of it. Another pepper than the one its keys were made with is a fault: a new one in
//!    silence would lock everybody out, and nobody would know why.
//! 3. It can be exchanged: the one before (`store.previous_pepper`) stays good, and each key is kept under the new one after
//!    its next use. The mark goes over with the first gateway that has the new one, and from then on that one is what keys
//!    are made and kept anew with; a gateway that has the two the other way round only reads.
//! 4. It is made under the store's own lock: of two processes that start at once, one makes it and both use it.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};

use aws_lc_rs::hmac;

use super::Error;
use crate::config::{Secret, private_file};
use crate::journal::{Durability, private};
use crate::random;
use crate::store::{Store, Writing, facts};

const MARK: &str = "keys.pepper";

/// What keys are made with, and what they are known by too.
pub(super) struct Peppers {
    pub(super) now: Secret,
    pub(super) before: Option<Secret>,
    /// The mark of the one in force.
    mark: String,
}

impl Peppers {
    /// A key of its own for each purpose (NIST SP 800-108, with HMAC in one step).
    pub(super) fn derived(&self, purpose: &[u8]) -> [u8; 32] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.now.reveal().as_bytes());
        let mut derived = [0; 32];
        derived.copy_from_slice(hmac::sign(&key, purpose).as_ref());
        derived
    }

    /// Whether the store's keys are to be kept under the one in force here.
    pub(super) async fn is_in_force(&self, writing: &mut Writing) -> Result<bool, Error> {
        Ok(facts::get(writing, MARK).await?.as_ref() == Some(&self.mark))
    }
}

/// Without the peppers.
impl std::fmt::Debug for Peppers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peppers").field("mark", &self.mark).finish_non_exhaustive()
    }
}

/// The pepper of this store.
pub(super) async fn of(store: &Store, configured: Option<&Secret>, before: Option<&Secret>) -> Result<Peppers, Error> {
    let mut writing = store.write(Durability::Strict).await?;
    let known = facts::get(&mut writing, MARK).await?;
    let pepper = match (configured, store.file()) {
        (Some(pepper), _) => pepper.clone(),
        (None, Some(file)) => beside(file, known.is_some())?,
        (None, None) => Secret::new(random::new_key()),
    };
    let mark = mark(&pepper);
    match known {
        Some(known) if known == mark => {}
        Some(known) if before.is_none_or(|before| known != self::mark(before)) => return Err(Error::OtherPepper),
        _ => {
            facts::set(&mut writing, MARK, &mark).await?;
            writing.commit().await?;
        }
    }
    Ok(Peppers { now: pepper, before: before.cloned(), mark })
}

/// Whether the keys of this store, if it has any, were made with this pepper.
pub async fn fits(store: &Store, pepper: &Secret) -> Result<bool, crate::store::Error> {
    let known = facts::get(&mut store.read().await?, MARK).await?;
    Ok(known.is_none_or(|known| known == mark(pepper)))
}

/// Enough to tell two peppers apart, and of no use to find one.
fn mark(pepper: &Secret) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, pepper.reveal().as_bytes());
    let mark = hmac::sign(&key, b"palisade pepper mark 1");
    format!("{:016x}", mark.as_ref().first_chunk().map_or(0, |first| u64::from_be_bytes(*first)))
}

/// The file beside the store, made if no key depends on it yet.
fn beside(store: &Path, is_known: bool) -> Result<Secret, Error> {
    let path = store.with_extension("pepper");
    let failed =
        |error: std::io::Error| Error::Pepper(path.clone(), format!("cannot be made ({error})"), String::new());
    match path.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound && is_known => {
            let cure = "put it back from its backup, or set store.pepper; without it no key in this store works";
            return Err(Error::Pepper(path, "is missing".to_owned(), cure.to_owned()));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => make(&path, store).map_err(failed)?,
        _ => {}
    }
    let text = private_file(&path).map_err(|(problem, cure)| Error::Pepper(PathBuf::new(), problem, cure))?;
    let pepper = Secret::new(text.reveal().trim().to_owned());
    if pepper.reveal().len() < 32 {
        let cure = "put it back from its backup";
        return Err(Error::Pepper(path, "holds less than a pepper".to_owned(), cure.to_owned()));
    }
    Ok(pepper)
}

/// Whole or not at all, and for nobody but the store's owner.
fn make(path: &Path, store: &Path) -> std::io::Result<()> {
    let draft = path.with_extension("pepper.new");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = private().write(true).create_new(true).open(&draft)?;
    writeln!(file, "{}", random::new_key())?;
    file.sync_all()?;
    let owner = store.metadata()?;
    if file.metadata()?.uid() != owner.uid() {
        chown(&draft, Some(owner.uid()), Some(owner.gid()))?;
    }
    fs::rename(&draft, path)?;
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
