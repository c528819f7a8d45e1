//! Claims of idempotency keys in Redis.
//!
//! 1. A claim under way belongs to the gateway that made it. When that one has not beaten for a while, the outcome of its
//!    claims is unknown, until it says more.
//! 2. What became of a deed is owed to Redis until it is written down. A claim whose answer nobody heard is taken back; its
//!    script does nothing when it is held up for longer than that.
//! 3. A caller has so many claims, and answers of so many bytes. Beyond these claims are kept, and answers are not.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use palisade_guard::digest::hex;
use palisade_guard::idempotency::{self, Answer, CLAIMS_OF_ONE, Deed, Down, End, Found, KEPT, Recorded, found};
use redis::Script;
use tokio_util::sync::CancellationToken;

use super::window::short;
use super::{ALIVE_MS, Away, Question, Redis};
use crate::time;

/// Claims that are under way here, or owed.
const MOST: usize = 100_000;
/// Bytes of answers that are owed; of more it is remembered only that there was one.
const OWED_BYTES: usize = 64 << 20;
/// Bytes of one caller's answers.
const BYTES_OF_ONE: usize = 64 << 20;
/// Between two attempts to pay what is owed.
const PAY: Duration = Duration::from_millis(500);
/// What is paid in one attempt.
const TOGETHER: usize = 256;
const SLOW: &str = "Redis does not answer";

/// Claims in Redis.
pub(crate) struct Claims(Arc<Desk>);

/// Where they are made and settled.
struct Desk {
    redis: Arc<Redis>,
    make: Script,
    settle: Script,
    lives: Script,
    kept: Mutex<Kept>,
}

/// What this gateway knows of its own.
#[derive(Default)]
struct Kept {
    /// Every attempt that stands in Redis, or may.
    attempts: HashMap<u64, Attempt>,
    /// Which of them has the claim.
    made: HashMap<[u8; 32], u64>,
    next: u64,
    /// Bytes of answers that are owed.
    bytes: usize,
}

#[derive(Clone)]
struct Attempt {
    deed: Deed,
    /// What is owed, and from when on it can be paid.
    owed: Option<(End, u64)>,
}

/// A question under way. Dropped before its answer, the claim is owed back.
struct Asked<'c> {
    desk: &'c Desk,
    number: u64,
    heard: bool,
}

impl Claims {
    /// Those in this Redis.
    pub(crate) fn begin(redis: Arc<Redis>, stop: CancellationToken) -> Arc<Self> {
        let desk = Arc::new(Desk {
            redis,
            make: Script::new(include_str!("claim.lua")),
            settle: Script::new(include_str!("settle.lua")),
            lives: Script::new(include_str!("lives.lua")),
            kept: Mutex::default(),
        });
        tokio::spawn(Arc::clone(&desk).pay(stop));
        Arc::new(Self(desk))
    }
}

impl Desk {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn make(&self, deed: Deed) -> Result<Found, Down> {
        let number = self.kept().attempt(deed.clone())?;
        let mut asked = Asked { desk: self, number, heard: false };
        let until = self.redis.time_ms().saturating_add(millis(self.redis.place().command * 2));
        let (owner, kept) = (self.owner(number), millis(KEPT).to_string());
        let (most, until) = (CLAIMS_OF_ONE.to_string(), until.to_string());
        let name = hex(&deed.claim);
        let arguments: [&[u8]; 6] =
            [&deed.content, owner.as_bytes(), name.as_bytes(), kept.as_bytes(), most.as_bytes(), until.as_bytes()];
        let told: Vec<Bytes> = self.ask(&self.make, &deed, &arguments).await.map_err(|Away| Down::Store(SLOW))?;
        let mut told = told.into_iter();
        let word = told.next().unwrap_or_default();
        match &word[..] {
            b"made" => {
                asked.heard = true;
                self.kept().made.insert(deed.claim, number);
                Ok(Found::Nothing)
            }
            // It was not made, and will not be.
            b"crowded" => asked.forgotten(Err(Down::Crowded)),
            b"late" => asked.forgotten(Err(Down::Store(SLOW))),
            b"found" => {
                let standing = asked.forgotten(Ok(Standing::read(told)))?;
                self.standing(&deed, standing).await
            }
            _ => Err(Down::Store("Redis gives no answer that is known")),
        }
    }

    /// What is found of a claim that stands.
    async fn standing(&self, deed: &Deed, standing: Standing) -> Result<Found, Down> {
        let end = match standing.end {
            None if self.lives(&standing.owner).await? => None,
            None => Some(End::Unknown),
            end => end,
        };
        Ok(found(&deed.content, &standing.content, end))
    }

    /// Whether the gateway that has a claim has beaten lately.
    async fn lives(&self, owner: &str) -> Result<bool, Down> {
        let gateway = owner.split('.').next().unwrap_or_default();
        // When Redis was away, nobody could beat.
        if gateway == self.redis.gateway || !self.redis.is_settled(time::now().monotonic_ms) {
            return Ok(true);
        }
        let key = self.redis.key("gateways");
        let question = Question { script: &self.lives, keys: &[&key] };
        let lives = self.redis.ask(question, &[gateway.as_bytes(), ALIVE_MS.to_string().as_bytes()]).await;
        lives.map_err(|Away| Down::Store(SLOW))
    }

    /// Writes down what became of an attempt.
    async fn write_down(&self, number: u64) -> Result<(), Down> {
        let Some((deed, end)) = self.kept().owed(number) else { return Ok(()) };
        let (stage, error, answer) = match &end {
            End::Undone => ("undone", None, Bytes::new()),
            End::Answered(Recorded { bytes, error }) => ("answered", *error, bytes.clone()),
            End::Unkept => ("unkept", None, Bytes::new()),
            End::Unknown => ("unknown", None, Bytes::new()),
        };
        let (owner, name) = (self.owner(number), hex(&deed.claim));
        let (kept, most) = (millis(KEPT).to_string(), BYTES_OF_ONE.to_string());
        let error = error.map(|error| error.to_string()).unwrap_or_default();
        let arguments: [&[u8]; 8] = [
            &deed.content,
            owner.as_bytes(),
            name.as_bytes(),
            kept.as_bytes(),
            stage.as_bytes(),
            error.as_bytes(),
            &answer,
            most.as_bytes(),
        ];
        let settled: Result<u8, Away> = self.ask(&self.settle, &deed, &arguments).await;
        settled.map_err(|Away| Down::Store(SLOW))?;
        self.kept().forget(number);
        Ok(())
    }

    /// Pays what is owed, now and then.
    async fn pay(self: Arc<Self>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(PAY) => {}
            }
            let now_ms = time::now().monotonic_ms;
            let due: Vec<u64> = self.kept().due(now_ms).take(TOGETHER).collect();
            for number in due {
                if self.write_down(number).await.is_err() {
                    break;
                }
            }
        }
    }

    async fn ask<T: redis::FromRedisValue>(
        &self,
        script: &Script,
        deed: &Deed,
        arguments: &[&[u8]],
    ) -> Result<T, Away> {
        let tag = short(&deed.caller);
        let [claim, all, weights] =
            [&*hex(&deed.claim), "all", "weights"].map(|name| self.redis.key(&format!("{{c{tag}}}:{name}")));
        self.redis.ask(Question { script, keys: &[&claim, &all, &weights] }, arguments).await
    }

    fn owner(&self, number: u64) -> String {
        format!("{}.{number}", self.redis.gateway)
    }
}

impl idempotency::Claims for Claims {
    fn claim(&self, deed: Deed, _now_ms: u64) -> Answer<Found> {
        let desk = Arc::clone(&self.0);
        Box::pin(async move { desk.make(deed).await })
    }

    fn settle(&self, claim: [u8; 32], end: End, _now_ms: u64) -> Answer<()> {
        // Owed from now on, whoever waits for it.
        let number = self.0.kept().ended(&claim, end);
        let desk = Arc::clone(&self.0);
        Box::pin(async move {
            match number {
                Some(number) => desk.write_down(number).await,
                None => Ok(()),
            }
        })
    }
}

impl Kept {
    fn attempt(&mut self, deed: Deed) -> Result<u64, Down> {
        if self.attempts.len() >= MOST {
            return Err(Down::Store("too many claims are under way"));
        }
        self.next += 1;
        self.attempts.insert(self.next, Attempt { deed, owed: None });
        Ok(self.next)
    }

    /// A deed that was claimed here has ended.
    fn ended(&mut self, claim: &[u8; 32], end: End) -> Option<u64> {
        let number = self.made.remove(claim)?;
        self.owe(number, end, 0);
        Some(number)
    }

    fn owe(&mut self, number: u64, end: End, from_ms: u64) {
        let end = if self.bytes + weight(&end) > OWED_BYTES { End::Unkept } else { end };
        if let Some(attempt) = self.attempts.get_mut(&number) {
            self.bytes += weight(&end);
            attempt.owed = Some((end, from_ms));
        }
    }

    fn owed(&self, number: u64) -> Option<(Deed, End)> {
        let attempt = self.attempts.get(&number)?;
        Some((attempt.deed.clone(), attempt.owed.as_ref()?.0.clone()))
    }

    fn due(&self, now_ms: u64) -> impl Iterator<Item = u64> {
        let is_due = move |attempt: &Attempt| attempt.owed.as_ref().is_some_and(|(_, from_ms)| *from_ms <= now_ms);
        self.attempts.iter().filter(move |(_, attempt)| is_due(attempt)).map(|(number, _)| *number)
    }

    fn forget(&mut self, number: u64) {
        if let Some(Attempt { owed: Some((end, _)), .. }) = self.attempts.remove(&number) {
            self.bytes -= weight(&end);
        }
    }
}

fn weight(end: &End) -> usize {
    if let End::Answered(recorded) = end { recorded.bytes.len() } else { 0 }
}

impl Asked<'_> {
    /// Nothing stands in Redis of this attempt.
    fn forgotten<T>(&mut self, told: T) -> T {
        self.heard = true;
        self.desk.kept().forget(self.number);
        told
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if !self.heard {
            // Not before its script can do nothing any more.
            let from_ms = time::now().monotonic_ms + 3 * millis(self.desk.redis.place().command).unsigned_abs();
            self.desk.kept().owe(self.number, End::Undone, from_ms);
        }
    }
}

/// A claim as it stands in Redis.
struct Standing {
    content: [u8; 32],
    owner: String,
    end: Option<End>,
}

impl Standing {
    fn read(mut told: impl Iterator<Item = Bytes>) -> Self {
        let mut next = || told.next().unwrap_or_default();
        let (content, owner, stage, error, answer) = (next(), next(), next(), next(), next());
        let end = match &stage[..] {
            b"open" => None,
            b"answered" => {
                let error = std::str::from_utf8(&error).ok().and_then(|error| error.parse().ok());
                Some(End::Answered(Recorded { bytes: answer, error }))
            }
            b"unkept" => Some(End::Unkept),
            _ => Some(End::Unknown),
        };
        let content = content.first_chunk().copied().unwrap_or_default();
        Self { content, owner: String::from_utf8_lossy(&owner).into_owned(), end }
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use palisade_guard::digest::sha256;

    fn deed(number: usize) -> Deed {
        Deed { claim: sha256(&number.to_be_bytes()), content: [0; 32], caller: Arc::from("a") }
    }

    /// D5: what is under way or owed here has a most, in number and in bytes; what is paid makes room.
    #[test]
    fn what_is_owed_has_a_most() {
        let mut kept = Kept::default();
        for number in 0..MOST {
            assert!(kept.attempt(deed(number)).is_ok());
        }
        assert!(kept.attempt(deed(MOST)).is_err());
        let answer = End::Answered(Recorded { bytes: vec![0; OWED_BYTES].into(), error: None });
        kept.owe(1, answer.clone(), 0);
        kept.owe(2, answer.clone(), 0);
        assert_eq!(kept.owed(1).map(|(_, end)| end), Some(answer.clone()));
        assert_eq!(kept.owed(2).map(|(_, end)| end), Some(End::Unkept), "there is no room for a second one");
        kept.forget(1);
        let again = kept.attempt(deed(MOST)).unwrap();
        kept.owe(again, answer.clone(), 5);
        assert_eq!((kept.due(4).count(), kept.due(5).count()), (1, 2));
    }
}
