//! The folder of a journal: segments, a lock, and a reserve for the day the disk is full.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::Error;

/// Where segments are made. A trait, because disks that fail must be tested.
pub(super) trait Storage: Send {
    /// Makes a new, empty segment.
    fn create(&self, number: u64) -> io::Result<Box<dyn Segment>>;
    /// Removes a segment that could not be begun.
    fn discard(&self, number: u64);
    /// Sets space aside, if there is none set aside.
    fn reserve(&self) -> io::Result<()>;
    /// Gives the space set aside back, for the last words.
    fn release(&self);
}

/// One file of lines.
pub(super) trait Segment: Send {
    /// Writes all of it, or fails.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Cuts what was written in part.
    fn cut(&mut self, length: u64) -> io::Result<()>;
    /// Something that waits until all written bytes are on the disk.
    fn sync(&self) -> io::Result<Box<dyn FnOnce() -> io::Result<()> + Send>>;
}

/// A folder on disk.
pub(super) struct Disk {
    dir: PathBuf,
    _lock: File,
}

const RESERVE: &str = "reserve";
const RESERVED: usize = 256 * 1024;
/// A symbolic link that somebody else put there is not followed (open(2), `O_NOFOLLOW`, whose number depends on the
/// processor).
const NO_FOLLOW: i32 = if cfg!(any(target_arch = "aarch64", target_arch = "arm", target_arch = "powerpc64")) {
    0o100_000
} else {
    0o400_000
};

impl Disk {
    /// Makes the folder if need be, and takes it for this process.
    pub(super) fn open(dir: &Path) -> Result<Self, Error> {
        let failed = |error| Error::Io(dir.to_owned(), error);
        let lock = lock(dir).map_err(failed)?.ok_or_else(|| Error::Locked(dir.to_owned()))?;
        Ok(Self { dir: dir.to_owned(), _lock: lock })
    }

    /// The folder.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }
}

/// Takes a folder; `None` when another process has it.
pub(super) fn lock(dir: &Path) -> io::Result<Option<File>> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let file = private().create(true).truncate(false).write(true).open(dir.join(".lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// How every file here is opened: for nobody else, and not through a link.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600).custom_flags(NO_FOLLOW);
    options
}

/// A segment's name; names sort as their numbers do.
pub(super) fn name(number: u64) -> String {
    format!("audit-{number:08}.jsonl")
}

/// The segments of a folder, oldest first, with their numbers.
pub(super) fn segments(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let number = path.file_name().and_then(|name| name.to_str()?.strip_prefix("audit-")?.strip_suffix(".jsonl"));
        if let Some(number) = number.and_then(|number| number.parse().ok()) {
            found.push((number, path));
        }
    }
    found.sort();
    Ok(found)
}

impl Storage for Disk {
    fn create(&self, number: u64) -> io::Result<Box<dyn Segment>> {
        let file = private().create_new(true).append(true).open(self.dir.join(name(number)))?;
        // The name itself must survive a power cut.
        File::open(&self.dir)?.sync_all()?;
        Ok(Box::new(file))
    }

    fn discard(&self, number: u64) {
        if let Err(error) = std::fs::remove_file(self.dir.join(name(number))) {
            tracing::debug!(%error, "a segment of the journal that could not be begun cannot be removed");
        }
    }

    fn reserve(&self) -> io::Result<()> {
        let path = self.dir.join(RESERVE);
        if path.metadata().is_ok_and(|found| usize::try_from(found.len()) == Ok(RESERVED)) {
            return Ok(());
        }
        let mut file = private().create(true).write(true).truncate(true).open(path)?;
        // Synced, or a disk that gives out space late would seem to have some.
        file.write_all(&vec![0; RESERVED]).and_then(|()| file.sync_all()).inspect_err(|_| self.release())
    }

    fn release(&self) {
        if let Err(error) = std::fs::remove_file(self.dir.join(RESERVE)) {
            tracing::debug!(%error, "the journal has no reserve");
        }
    }
}

impl Segment for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&self) -> io::Result<Box<dyn FnOnce() -> io::Result<()> + Send>> {
        let file = self.try_clone()?;
        Ok(Box::new(move || file.sync_data()))
    }
}
