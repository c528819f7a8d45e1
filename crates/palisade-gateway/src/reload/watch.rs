//! Whether a file has changed: asked once a second, by what the system says about it.
//!
//! Asking is the one way that sees every kind of change with one piece of code: a write in place, an editor's rename, a
//! symbolic link that Kubernetes turns to another folder, a network file system. It costs a few microseconds a second,
//! and no dependency.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// A file that was just written may be written on: it counts as changed when two looks in a row agree.
const SETTLES: Duration = Duration::from_millis(100);
/// One that is written for ever is read all the same, after so many looks.
const LOOKS: usize = 10;

/// Files, and how they were when they were last looked at.
pub(super) struct Watch {
    files: Vec<PathBuf>,
    seen: Vec<Option<Print>>,
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

impl Print {
    fn of(path: &Path) -> Option<Self> {
        let about = std::fs::metadata(path).ok()?;
        Some(Self {
            device: about.dev(),
            inode: about.ino(),
            size: about.size(),
            modified: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
        })
    }
}

impl Watch {
    /// As the files are now.
    pub(super) async fn new(files: Vec<PathBuf>) -> Self {
        let mut watch = Self { files, seen: Vec::new() };
        watch.look().await;
        watch
    }

    /// Other files from now on. What they were when the old ones were last looked at counts, where it is known.
    pub(super) async fn set(&mut self, files: Vec<PathBuf>) {
        let now = prints(&files).await;
        let known = |path: &PathBuf| self.files.iter().position(|old| old == path).and_then(|at| self.seen.get(at));
        self.seen = files.iter().zip(now).map(|(path, now)| known(path).copied().unwrap_or(now)).collect();
        self.files = files;
    }

    /// Takes the files as they are now for known.
    pub(super) async fn look(&mut self) {
        self.seen = prints(&self.files).await;
    }

    /// Waits until a file has changed and has settled. Safe to drop half-way.
    pub(super) async fn changed(&self) {
        loop {
            tokio::time::sleep(EVERY).await;
            let mut now = prints(&self.files).await;
            if now == self.seen {
                continue;
            }
            for _ in 0..LOOKS {
                tokio::time::sleep(SETTLES).await;
                let next = prints(&self.files).await;
                if std::mem::replace(&mut now, next) == now {
                    break;
                }
            }
            if now != self.seen {
                return;
            }
        }
    }
}

/// On a thread of its own: a disk may be slow, and a network file system may hang.
async fn prints(files: &[PathBuf]) -> Vec<Option<Print>> {
    let files = files.to_vec();
    let looked = tokio::task::spawn_blocking(move || files.iter().map(|path| Print::of(path)).collect()).await;
    looked.unwrap_or_default()
}
