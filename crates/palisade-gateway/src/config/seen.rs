//! A file as it was when it was read, so that a later change can be told.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A file, and what the system says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    path: PathBuf,
    print: Option<Print>,
}

/// Differs when a file, or what its name leads to, is another one or was written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Print {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Seen {
    /// As it is now. Asked before it is read: what is written meanwhile is then a change.
    pub(crate) fn now(path: &Path) -> Self {
        let about = std::fs::metadata(path).ok();
        let print = about.map(|about| Print {
            device: about.dev(),
            inode: about.ino(),
            size: about.size(),
            modified: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
        });
        Self { path: path.to_owned(), print }
    }

    /// The same file as it is now.
    pub(crate) fn again(&self) -> Self {
        Self::now(&self.path)
    }
}
