//! The file of a store: for its owner alone, from its first moment on.
//!
//! Whoever can write it can make keys; whoever can read it knows who has one. So a file that others may use is not used,
//! and what somebody else put in its place is not followed.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::Error;
use crate::journal::private;

/// Makes the file, or checks the one that is there.
pub(super) fn prepare(path: &Path) -> Result<(), Error> {
    match private().write(true).create_new(true).open(path) {
        Ok(_) => {
            // The name itself must survive a power cut.
            let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| unusable(path, &error))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => check(path),
        Err(error) => Err(unusable(path, &error)),
    }
}

fn unusable(path: &Path, error: &io::Error) -> Error {
    let cure = "name a file in a folder that can be written (store.url)";
    Error::File(path.to_owned(), format!("cannot be made ({error})"), cure.to_owned())
}

/// Whether an existing file is ours, and ours alone. It is not opened: see the caveat of the module above.
pub(super) fn check(path: &Path) -> Result<(), Error> {
    let wrong = |problem: String, cure: String| Err(Error::File(path.to_owned(), problem, cure));
    let us = rustix::process::geteuid().as_raw();
    // The administrator may use a gateway's store; what it makes beside it, it gives to the gateway's user.
    let trusted = |owner: u32| owner == us || us == 0;
    let about = path.symlink_metadata().map_err(|error| unusable(path, &error))?;
    if about.is_symlink() && about.uid() != us && about.uid() != 0 {
        return wrong("is a symbolic link of another user".to_owned(), "remove it".to_owned());
    }
    let about = path.metadata().map_err(|error| unusable(path, &error))?;
    if !about.is_file() {
        return wrong("is not a file".to_owned(), "name a file (store.url)".to_owned());
    }
    if !trusted(about.uid()) {
        let cure = format!("run as that user, or chown {us} {}", path.display());
        return wrong(format!("belongs to another user ({})", about.uid()), cure);
    }
    let mode = about.mode() & 0o777;
    if mode & 0o077 != 0 {
        return wrong(format!("may be used by others (mode {mode:04o})"), format!("chmod 600 {}", path.display()));
    }
    Ok(())
}
