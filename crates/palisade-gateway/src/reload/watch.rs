//! Whether a file has changed: asked once a second, by what the system says about it.
//!
//! Asking is the one way that sees every kind of change with one piece of code: a write in place, an editor's rename, a
//! symbolic link that Kubernetes turns to another folder, a network file system. It costs a few microseconds a second,
//! and no dependency.

use std::time::Duration;

use crate::config::Seen;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// A file that was just written may be written on: it counts as changed when two looks in a row agree.
const SETTLES: Duration = Duration::from_millis(100);
/// One that is written for ever is read all the same, after so many looks.
const LOOKS: usize = 10;

/// Files, as they were when they were last read.
pub(super) struct Watch(Vec<Seen>);

impl Watch {
    /// Over these files.
    pub(super) const fn new(files: Vec<Seen>) -> Self {
        Self(files)
    }

    /// Takes the files as they are now for known.
    pub(super) async fn look(&mut self) {
        self.0 = again(&self.0).await;
    }

    /// Waits until a file has changed and has settled. Safe to drop half-way.
    pub(super) async fn changed(&self) {
        loop {
            tokio::time::sleep(EVERY).await;
            let mut now = again(&self.0).await;
            if now == self.0 {
                continue;
            }
            for _ in 0..LOOKS {
                tokio::time::sleep(SETTLES).await;
                let next = again(&self.0).await;
                if std::mem::replace(&mut now, next) == now {
                    break;
                }
            }
            if now != self.0 {
                return;
            }
        }
    }
}

/// The same files as they are now. On a thread of its own: a disk may be slow, and a network file system may hang.
async fn again(files: &[Seen]) -> Vec<Seen> {
    let files = files.to_vec();
    let looked = tokio::task::spawn_blocking(move || files.iter().map(Seen::again).collect()).await;
    looked.unwrap_or_default()
}
