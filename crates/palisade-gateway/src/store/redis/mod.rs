//! What gateways share in a Redis or Valkey: limits of callers, nonces, and claims of idempotency keys.
//!
//! 1. Each question is one script: looking and writing are one step, and time is Redis's own.
//! 2. Nobody waits longer than `redis.command_timeout`. Whoever waited for nothing takes the connection out of use; from
//!    then on nobody waits at all, until the one who looks after it ([`Redis::tend`]) has had an answer.
//! 3. A gateway beats once in a second. With each beat is looked at what must be true: that writes are taken, that nothing
//!    is thrown out to make room, and that the data is the same as before.
//! 4. Keys are a prefix and a digest; what belongs to one script has one `{tag}`, and so one node of a cluster.
//! 5. No error, line of a log or dump shows a password.

mod claims;
mod connect;
mod error;
mod nonces;
mod window;

use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use palisade_guard::clock::Moment;
use palisade_guard::digest::hex;
use redis::{FromRedisValue, Script, Value};
use serde_json::json;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::config;
use crate::{random, time};
pub(crate) use claims::Claims;
use connect::Wire;
pub use error::Error;
pub(crate) use nonces::Nonces;
pub(crate) use window::Window;

/// Between two beats.
const BEAT: Duration = Duration::from_secs(1);
/// Between two attempts to reach it.
const PAUSE: Duration = Duration::from_millis(250);
/// For how long a beat counts.
const ALIVE_MS: u64 = 10_000;
/// How long the windows need, after their data was lost, until they know all calls again.
const FULL_MS: u64 = 60_000;
/// The oldest version whose scripts can ask who has the data.
const OLDEST: u32 = 7;

/// A Redis that gateways share.
pub(crate) struct Redis {
    place: config::Redis,
    /// Who we are there.
    gateway: String,
    link: RwLock<Link>,
    failed: Notify,
    beaten: Notify,
    down: Mutex<Option<(Moment, String)>>,
    /// Its clock less ours, in milliseconds.
    ahead_ms: AtomicI64,
    /// Gateways that were seen at the last beat.
    gateways: AtomicU32,
    /// Until when its windows do not know all calls of the last minute, on our clock.
    partial_until_ms: AtomicU64,
    /// Since when it answers.
    back_ms: AtomicU64,
    beat: Script,
}

/// The connection in use, and which one it is.
#[derive(Default)]
struct Link {
    number: u64,
    wire: Option<Wire>,
}

/// It did not answer, or nobody asks it at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Away;

/// A script's question.
struct Question<'q> {
    script: &'q Script,
    keys: &'q [&'q str],
}

impl Redis {
    /// The one of this configuration. One that cannot be reached yet is looked for on; one that will not do is an error.
    pub(crate) async fn begin(place: config::Redis, stop: CancellationToken) -> Result<Arc<Self>, Error> {
        let redis = Arc::new(Self {
            place,
            gateway: hex(&random::bytes::<16>()),
            link: RwLock::default(),
            failed: Notify::new(),
            beaten: Notify::new(),
            down: Mutex::new(Some((time::now(), "it was not reached yet".to_owned()))),
            ahead_ms: AtomicI64::new(0),
            gateways: AtomicU32::new(0),
            partial_until_ms: AtomicU64::new(0),
            back_ms: AtomicU64::new(0),
            beat: Script::new(include_str!("beat.lua")),
        });
        let mut known = None;
        let opened = redis.opened(&mut known).await;
        match &opened {
            // Nobody has called yet: its windows know all there is.
            Ok(wire) => {
                redis.found(wire);
                redis.partial_until_ms.store(0, Relaxed);
            }
            Err(error) if error.lasts => return Err(error.clone()),
            Err(error) => redis.lost(error, true),
        }
        tokio::spawn(Arc::clone(&redis).tend(opened.ok(), known, stop));
        Ok(redis)
    }

    /// What is configured.
    pub(crate) const fn place(&self) -> &config::Redis {
        &self.place
    }

    /// Looks after the connection: makes one, beats through it, and makes another when it does not answer.
    async fn tend(self: Arc<Self>, mut wire: Option<Wire>, mut known: Option<String>, stop: CancellationToken) {
        loop {
            if let Some(open) = &mut wire {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(BEAT) => {}
                    () = self.failed.notified() => {}
                }
                match self.beat(open, &mut known).await {
                    Ok(()) => {
                        self.found(open);
                        self.beaten.notify_waiters();
                    }
                    Err(error) => {
                        self.lost(&error, false);
                        wire = None;
                    }
                }
                continue;
            }
            match self.opened(&mut known).await {
                Ok(open) => {
                    self.found(&open);
                    self.beaten.notify_waiters();
                    wire = Some(open);
                }
                Err(error) => {
                    self.lost(&error, false);
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(PAUSE) => {}
                    }
                }
            }
        }
    }

    /// A connection that can be used.
    async fn opened(&self, known: &mut Option<String>) -> Result<Wire, Error> {
        let mut wire = connect::open(&self.place).await?;
        self.beat(&mut wire, known).await?;
        Ok(wire)
    }

    /// Says that we live, and looks whether all is as it must be. `known` is who had the data the last time.
    async fn beat(&self, wire: &mut Wire, known: &mut Option<String>) -> Result<(), Error> {
        let patience = self.place.command;
        let asked = async {
            let mut info = redis::cmd("INFO");
            info.arg("server").arg("memory").arg("replication");
            let told: Value = info.query_async(wire).await?;
            let who = judged(&texts(told))?;
            let mut beat = self.beat.prepare_invoke();
            beat.key(self.key("gateways")).arg(&self.gateway).arg(ALIVE_MS);
            let (now_ms, gateways, knew): (i64, u32, bool) = beat.invoke_async(wire).await?;
            Ok::<_, Error>((who, now_ms, gateways, knew))
        };
        let (who, now_ms, gateways, knew) =
            tokio::time::timeout(patience * 2, asked).await.map_err(|_| Error::late())??;
        let ours = time::now().monotonic_ms;
        self.ahead_ms.store(now_ms - i64::try_from(ours).unwrap_or(i64::MAX), Relaxed);
        if known.as_ref().is_some_and(|before| !knew || *before != who) {
            self.partial_until_ms.store(ours + FULL_MS, Relaxed);
        }
        // After an outage the others have still to say that they live.
        let before = if self.is_whole(ours) { 0 } else { self.gateways.load(Relaxed) };
        self.gateways.store(gateways.max(before), Relaxed);
        *known = Some(who);
        Ok(())
    }

    /// It answers: from now on it is asked.
    fn found(&self, wire: &Wire) {
        let mut link = self.link.write().unwrap_or_else(PoisonError::into_inner);
        if link.wire.is_some() {
            return;
        }
        *link = Link { number: link.number + 1, wire: Some(wire.clone()) };
        drop(link);
        let now_ms = time::now().monotonic_ms;
        self.back_ms.store(now_ms, Relaxed);
        // What was let pass meanwhile it does not know.
        self.partial_until_ms.store(now_ms + FULL_MS, Relaxed);
        if self.down.lock().unwrap_or_else(PoisonError::into_inner).take().is_some() {
            tracing::warn!("Redis answers");
        }
    }

    /// It does not: from now on nobody asks.
    fn lost(&self, error: &Error, at_start: bool) {
        self.link.write().unwrap_or_else(PoisonError::into_inner).wire = None;
        self.partial_until_ms.store(u64::MAX, Relaxed);
        let mut down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        if at_start || down.is_none() {
            tracing::error!(%error, "Redis cannot be used: limits are counted here, nonces and claims are refused");
        }
        let since = down.as_ref().map_or_else(time::now, |(since, _)| *since);
        *down = Some((since, error.to_string()));
    }

    /// Asks, and waits for the answer no longer than anybody may.
    async fn ask<T: FromRedisValue>(&self, question: Question<'_>, arguments: &[&[u8]]) -> Result<T, Away> {
        let (number, wire) = {
            let link = self.link.read().unwrap_or_else(PoisonError::into_inner);
            (link.number, link.wire.clone())
        };
        let mut wire = wire.ok_or(Away)?;
        let mut invoked = question.script.prepare_invoke();
        for key in question.keys {
            invoked.key(*key);
        }
        for argument in arguments {
            invoked.arg(*argument);
        }
        let asked = tokio::time::timeout(self.place.command, invoked.invoke_async::<T>(&mut wire)).await;
        match asked {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => self.failed(number, &error.into()),
            Err(_) => self.failed(number, &Error::late()),
        }
    }

    /// Takes the connection out of use, unless it is another one by now, and has somebody look after it.
    fn failed<T>(&self, number: u64, error: &Error) -> Result<T, Away> {
        let is_in_use = {
            let link = self.link.read().unwrap_or_else(PoisonError::into_inner);
            link.number == number && link.wire.is_some()
        };
        if is_in_use {
            self.lost(error, false);
            self.failed.notify_one();
        }
        Err(Away)
    }

    /// Returns when it has answered the next time.
    async fn next_beat(&self) {
        self.beaten.notified().await;
    }

    /// A key of ours.
    fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.place.prefix)
    }

    /// What time it is there.
    fn time_ms(&self) -> i64 {
        let ours = i64::try_from(time::now().monotonic_ms).unwrap_or(i64::MAX);
        ours.saturating_add(self.ahead_ms.load(Relaxed))
    }

    /// Whether its windows know all calls of the last minute.
    pub(crate) fn is_whole(&self, now_ms: u64) -> bool {
        self.partial_until_ms.load(Relaxed) <= now_ms
    }

    /// Whether it has answered for so long that every gateway that lives has beaten.
    fn is_settled(&self, now_ms: u64) -> bool {
        self.back_ms.load(Relaxed) + ALIVE_MS <= now_ms
    }

    /// How many gateways share the limits, as far as that is known.
    pub(crate) fn replicas(&self) -> Option<u32> {
        let seen = self.gateways.load(Relaxed);
        self.place.replicas.or((seen > 0).then_some(seen))
    }

    /// For the status page.
    pub(crate) fn status(&self) -> serde_json::Value {
        let down = self.down.lock().unwrap_or_else(PoisonError::into_inner).clone();
        json!({
            "form": match self.place.form {
                config::RedisForm::Single => "single",
                config::RedisForm::Sentinel { .. } => "sentinel",
                config::RedisForm::Cluster => "cluster",
            },
            "keeps": self.place.keeps,
            "reachable": down.is_none(),
            "degraded_since": down.as_ref().map(|(since, _)| since.rfc3339().to_string()),
            "why": down.map(|(_, why)| why),
            "gateways": self.gateways.load(Relaxed),
            "limits_whole": self.is_whole(time::now().monotonic_ms),
        })
    }
}

/// What one server says of itself; what each node does, of a cluster.
fn texts(told: Value) -> Vec<String> {
    match told {
        Value::Map(nodes) => nodes.into_iter().flat_map(|(_, told)| texts(told)).collect(),
        Value::Array(nodes) => nodes.into_iter().flat_map(texts).collect(),
        told => String::from_redis_value(told).into_iter().collect(),
    }
}

/// Who has the data, where all is as it must be.
fn judged(told: &[String]) -> Result<String, Error> {
    let mut who: Vec<String> = Vec::with_capacity(told.len());
    for told in told {
        let field = |name: &str| {
            let mut lines = told.lines().filter_map(|line| line.split_once(':'));
            lines.find(|(field, _)| *field == name).map(|(_, value)| value)
        };
        let version = field("redis_version").and_then(|version| version.split('.').next()?.parse::<u32>().ok());
        if version.is_none_or(|version| version < OLDEST) {
            return Err(Error::setting("is too old", "Redis 7 or newer is needed, or Valkey"));
        }
        if field("maxmemory_policy").is_some_and(|policy| policy != "noeviction") {
            let problem = "would throw out nonces and limits to make room";
            return Err(Error::setting(problem, "set maxmemory-policy noeviction there"));
        }
        who.push([field("run_id"), field("master_replid")].map(Option::unwrap_or_default).concat());
    }
    who.sort_unstable();
    if who.is_empty() { Err(Error::down("says nothing of itself", "let its user run INFO")) } else { Ok(who.concat()) }
}

#[cfg(test)]
mod tests;
