//! Windows of callers in Redis: the last 60 seconds, over all gateways.
//!
//! 1. It is the window of [`palisade_guard::limit::window`], written once more in the language of Redis; a property holds the
//!    two together. So in no 60 seconds are there more admissions than the limit.
//! 2. What is let pass is counted here too. When Redis is gone nobody begins with a fresh window, and when its data is lost
//!    each gateway still knows its own calls.
//! 3. While Redis does not answer, and for a minute after, a gateway lets pass its share of the limit and no more.

use std::sync::Arc;

use palisade_guard::digest::{hex, sha256};
use palisade_guard::limit::headers::Scope;
use palisade_guard::limit::subject::Subject;
use palisade_guard::limit::{Admission, Limits, told, window::Verdict};
use palisade_guard::refusal::{Reason, Refusal};
use redis::Script;

use super::{Away, Question, Redis};
use crate::config::OnFailure;

/// The windows of callers.
pub(crate) struct Window {
    redis: Arc<Redis>,
    script: Script,
}

impl Window {
    /// Those in this Redis.
    pub(crate) fn new(redis: Arc<Redis>) -> Self {
        Self { redis, script: Script::new(SCRIPT) }
    }

    /// Counts a call of `caller`, whom the windows here know as `subject`.
    pub(crate) async fn admit(
        &self,
        caller: &str,
        limit: u32,
        (here, subject): (&Limits, &Subject),
        now_ms: u64,
    ) -> Result<Admission, Refusal> {
        let share = || here.caller(subject, self.share(limit)?, now_ms);
        let refuses = self.redis.place().limits_on_failure == OnFailure::Refuse;
        if refuses || self.redis.is_whole(now_ms) {
            return match self.ask(caller, limit).await {
                Ok(verdict) => {
                    let admission = told(Scope::Caller, limit, verdict)?;
                    here.caller(subject, limit, now_ms)?;
                    Ok(admission)
                }
                Err(Away) if refuses => Err(away()),
                Err(Away) => share(),
            };
        }
        let share = share()?;
        let Ok(verdict) = self.ask(caller, limit).await else { return Ok(share) };
        let admission = told(Scope::Caller, limit, verdict)?;
        // What is told is what holds: the lesser of the two.
        Ok(if share.remaining < admission.remaining { share } else { admission })
    }

    /// What one gateway may let pass by itself. A limit that is smaller than the number of gateways is one for each.
    fn share(&self, limit: u32) -> Result<u32, Refusal> {
        match self.redis.replicas() {
            Some(gateways) => Ok((limit / gateways.max(1)).max(1)),
            // Nobody knows with how many it is shared.
            None => Err(away()),
        }
    }

    async fn ask(&self, caller: &str, limit: u32) -> Result<Verdict, Away> {
        let key = self.redis.key(&format!("w:{}", short(caller)));
        let question = Question { script: &self.script, keys: &[&key] };
        let answer: (u8, u32, u64, u64) = self.redis.ask(question, &[limit.to_string().as_bytes()]).await?;
        let (admitted, remaining, retry_ms, reset_ms) = answer;
        Ok(Verdict { admitted: admitted == 1, remaining, retry_ms, reset_ms })
    }
}

/// A caller's name, as keys have it.
pub(super) fn short(caller: &str) -> String {
    hex(sha256(caller.as_bytes()).get(..16).unwrap_or_default())
}

/// The script, which takes its time from Redis.
pub(super) const SCRIPT: &str = include_str!("window.lua");

fn away() -> Refusal {
    Refusal::new(Reason::StoreUnavailable).because("Redis does not answer, and limits cannot be counted")
}
