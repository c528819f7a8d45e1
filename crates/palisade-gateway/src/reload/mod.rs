//! The configuration, read again while calls run: all of it is taken over, or nothing is and every fault is said.
//!
//! 1. It is asked for (SIGHUP, `palisade reload`), or one of its files has changed: see [`watch`].
//! 2. Files are read and servers are built on a thread of their own; calls go on meanwhile.
//! 3. The snapshot is exchanged in one step. Calls under way end as they began; streams are judged anew by [`ending`].
//! 4. Servers that are no longer there are stopped.
//!
//! However often it is asked for, there is one reload at a time, and a pause after each.
//!
//! [`ending`]: crate::ending

mod loads;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::config::{Origin, Seen, Source};
use crate::current::Current;
use crate::servers::Surroundings;
use crate::snapshot::Snapshot;
use crate::time;
use crate::upstream::Upstream;
pub(crate) use loads::Loads;
use watch::Watch;

/// What came of a reload: nothing more to say, or every fault, one on each line.
pub type Outcome = Result<(), Arc<[String]>>;

/// Questions that wait while a reload runs; the same reload answers all of them.
const ASKING: usize = 64;
/// Between two reloads.
const PAUSE: Duration = Duration::from_millis(200);

/// Asks for a reload.
#[derive(Debug, Clone)]
pub struct Asker(mpsc::Sender<oneshot::Sender<Outcome>>);

impl Asker {
    /// Asks, and leaves the answer to log and status page. With so many waiting already, one more changes nothing.
    pub fn ask(&self) {
        let (answer, _nobody) = oneshot::channel();
        drop(self.0.try_send(answer));
    }

    /// Asks, and waits for what comes of it. `None` where there is no file to read again.
    pub async fn reload(&self) -> Option<Outcome> {
        let (answer, outcome) = oneshot::channel();
        self.0.send(answer).await.ok()?;
        outcome.await.ok()
    }
}

/// A way to ask, and where the questions arrive.
pub(crate) fn asking() -> (Asker, mpsc::Receiver<oneshot::Sender<Outcome>>) {
    let (sender, receiver) = mpsc::channel(ASKING);
    (Asker(sender), receiver)
}

/// Reloads when it is asked to, and when a file has changed.
pub(crate) struct Reloader {
    pub(crate) source: Source,
    /// What the gateway was started with, for what cannot change.
    pub(crate) started: Origin,
    pub(crate) current: Current,
    pub(crate) around: Surroundings,
    pub(crate) questions: mpsc::Receiver<oneshot::Sender<Outcome>>,
}

impl Reloader {
    /// Runs until the gateway stops.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut watch = Watch::new(self.started.files.clone());
        let parts = Arc::new((self.source, self.started, self.around));
        loop {
            let mut asking = Vec::new();
            tokio::select! {
                () = stop.cancelled() => return,
                () = watch.changed() => {}
                Some(one) = self.questions.recv() => asking.push(one),
            }
            while let Ok(one) = self.questions.try_recv() {
                asking.push(one);
            }
            // Looked at before it is read: what is written meanwhile is a change of its own.
            watch.look().await;
            let outcome = match reload(&parts, &self.current).await {
                Ok(files) => {
                    watch = Watch::new(files);
                    Ok(())
                }
                Err(faults) => Err(Arc::from(faults)),
            };
            for one in asking {
                // Who asked may have gone.
                let _gone = one.send(Outcome::clone(&outcome));
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }
}

/// One reload: the files it read, or its faults.
async fn reload(parts: &Arc<(Source, Origin, Surroundings)>, current: &Current) -> Result<Vec<Seen>, Vec<String>> {
    let before = current.snapshot();
    let (parts, old) = (Arc::clone(parts), Arc::clone(&before));
    let built = tokio::task::spawn_blocking(move || build(&parts, &old)).await;
    let lasting = &before.lasting;
    let built = built.unwrap_or_else(|error| Err(vec![format!("the reload failed: {error}")]));
    let (snapshot, origin) = built.inspect_err(|faults| {
        for fault in faults {
            tracing::error!(%fault, "the configuration stays as it was");
        }
        lasting.loads.failed(faults);
    })?;
    let replaced = current.replace(snapshot);
    lasting.joined.judge(&current.snapshot());
    lasting.loads.loaded(origin.digest.clone());
    tracing::info!(digest = origin.digest.as_deref(), "the configuration is loaded");
    stop_what_is_gone(&replaced, &current.snapshot());
    Ok(origin.files)
}

/// Reads, checks and builds everything. Waits for disks, so it has a thread of its own.
fn build(
    (source, started, around): &(Source, Origin, Surroundings),
    before: &Snapshot,
) -> Result<(Snapshot, Origin), Vec<String>> {
    let said = |faults: Vec<crate::config::Fault>| faults.iter().map(ToString::to_string).collect::<Vec<_>>();
    let loaded = source.load().map_err(said)?;
    let fixed = loaded.origin.cannot_follow(started);
    if !fixed.is_empty() {
        return Err(said(fixed));
    }
    // As at the start: without a key of its own it rests on those of the store.
    if loaded.config.auth.wants_a_key() && !before.lasting.keys.has_one(time::now().unix_ms) {
        return Err(said(vec![source.no_key()]));
    }
    for note in &loaded.config.notes {
        tracing::warn!("{note}");
    }
    let built = Snapshot::build(loaded.config, &before.lasting, around, Some(before));
    built.map(|snapshot| (snapshot, loaded.origin)).map_err(|error| vec![error.to_string()])
}

/// Ends the children and sessions of servers that are not there any more. Calls on their way in them come to their end.
fn stop_what_is_gone(before: &Snapshot, now: &Snapshot) {
    for server in before.servers.values() {
        let kept = now.servers.get(&server.name).is_some_and(|now| now.upstream.is(&server.upstream));
        if kept {
            continue;
        }
        tracing::info!(server = %server.name, "the server of the configuration before is stopped");
        if let Upstream::Stdio(upstream) = &server.upstream {
            let upstream = Arc::clone(upstream);
            tokio::spawn(async move { upstream.stop().await });
        }
    }
}
