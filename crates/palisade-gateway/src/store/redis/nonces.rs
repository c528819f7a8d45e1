//! Nonces in Redis.
//!
//! 1. They are kept in [`PARTS`] parts, each in one place of a cluster. A part knows who had its data and since when: with
//!    another process, another line of replication or without its data it begins anew, and what was signed up to then is
//!    refused, for a failover may have lost the last uses.
//! 2. A part is looked at when the gateway finds Redis, so that it does not begin with somebody's request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use palisade_guard::clock::Moment;
use palisade_guard::digest::hex;
use palisade_guard::sign::WINDOW_S;
use palisade_guard::sign::nonces::{self, Answer, Down, KEPT_S, Seen, Use};
use redis::Script;
use tokio_util::sync::CancellationToken;

use super::{Away, Question, Redis};
use crate::time;

/// Parts that are kept apart.
const PARTS: u8 = 16;
/// A time that was signed longer ago is refused: between what guard lets pass and what is forgotten here, with as much room
/// for clocks that differ on either side.
const OLD_S: u64 = WINDOW_S + WINDOW_S / 2;
const SLOW: &str = "Redis does not answer";

/// Nonces in Redis.
pub(crate) struct Nonces {
    redis: Arc<Redis>,
    script: Script,
    /// The latest time that was let pass here.
    latest_s: AtomicU64,
}

impl Nonces {
    /// Those in this Redis.
    pub(crate) fn begin(redis: Arc<Redis>, stop: CancellationToken) -> Arc<Self> {
        let script = Script::new(include_str!("nonce.lua"));
        let nonces = Arc::new(Self { redis, script, latest_s: AtomicU64::new(0) });
        tokio::spawn(Arc::clone(&nonces).look(stop));
        nonces
    }

    /// Looks at every part with each beat.
    async fn look(self: Arc<Self>, stop: CancellationToken) {
        loop {
            self.look_once().await;
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.redis.next_beat() => {}
            }
        }
    }

    pub(super) async fn look_once(&self) {
        for part in 0..PARTS {
            if self.ask(part, None, time::now()).await.is_err() {
                return;
            }
        }
    }

    async fn ask(&self, part: u8, used: Option<Use>, now: Moment) -> Result<String, Away> {
        let since = self.redis.key(&format!("{{n{part}}}:since"));
        let nonce = used.map(|used| self.redis.key(&format!("{{n{part}}}:{}", hex(&used.once))));
        let keys: Vec<&str> = std::iter::once(since.as_str()).chain(nonce.as_deref()).collect();
        let signed = used.map_or(0, |used| used.timestamp);
        let numbers = [now.unix_ms / 1000, self.latest_s.load(Relaxed), KEPT_S, OLD_S, signed];
        let numbers = numbers.map(|number| number.to_string());
        let arguments = numbers.each_ref().map(String::as_bytes);
        self.redis.ask(Question { script: &self.script, keys: &keys }, &arguments).await
    }
}

impl nonces::Nonces for Nonces {
    fn insert(&self, used: Use, now: Moment) -> Answer<'_, Seen> {
        let [first, ..] = used.once;
        Box::pin(async move {
            match self.ask(first % PARTS, Some(used), now).await.map_err(|Away| Down(SLOW))?.as_str() {
                "first" => {
                    self.latest_s.fetch_max(used.timestamp, Relaxed);
                    Ok(Seen::First)
                }
                "again" => Ok(Seen::Again),
                "forgotten" => Ok(Seen::Forgotten),
                _ => Err(Down("Redis gives no answer that is known")),
            }
        })
    }
}
