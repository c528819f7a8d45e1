//! A call that is sent again is not run again.
//!
//! 1. A call with an `Idempotency-Key` is claimed before it is sent. The claim is the caller's, for this server and this
//!    tool: nobody meets another's.
//! 2. The same call again hears the answer of the first. Another call under the same key is refused, and so is the same
//!    one while the first runs.
//! 3. What is known to have reached nobody is free again. Where that is not known, after a crash or a broken
//!    connection, the outcome is unknown, and says so for as long as the claim is kept: it is never run twice.
//! 4. Same means: the same parameters, byte for byte, but for the progress token. The id of the request is another one
//!    with each try, as the protocol asks for.

mod memory;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;

use crate::digest::sha256;
use crate::message::Message;
use crate::refusal::{Reason, Refusal};
use crate::sign::IDEMPOTENCY_KEY;

pub use memory::Memory;

/// How long a claim is kept.
pub const KEPT: Duration = Duration::from_hours(24);
/// The largest answer that is kept to be told again.
pub const ANSWER_BYTES: usize = 256 * 1024;
/// Claims of one caller in memory.
pub const CLAIMS_OF_ONE: usize = 50_000;
/// A key longer than this is refused.
const KEY_BYTES: usize = 255;

/// One call, as its claim knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// Caller, server, tool and key.
    pub claim: [u8; 32],
    /// What is to be done.
    pub content: [u8; 32],
    /// Whose it is.
    pub caller: Arc<str>,
}

/// An answer that is told again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The response, with the id of the request that was run.
    pub bytes: Bytes,
    /// `error.code`, if it is an error.
    pub error: Option<i64>,
}

/// What became of a deed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It was answered.
    Answered(Recorded),
    /// It was answered, and the answer is too large to be kept.
    Unkept,
    /// Nobody knows.
    Unknown,
    /// It reached nobody.
    Undone,
}

/// What a store found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing: the claim is made, and the deed may be done.
    Nothing,
    /// The same deed, under way.
    UnderWay,
    /// Another deed under the same key.
    Another,
    /// The same deed, which has ended; never [`End::Undone`].
    Ended(End),
}

/// Why a store cannot claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Down {
    /// It is full, or cannot be reached.
    Store(&'static str),
    /// The caller has [`CLAIMS_OF_ONE`].
    Crowded,
}

/// What a store answers, when it has made sure that it will not forget it.
pub type Answer<T> = Pin<Box<dyn Future<Output = Result<T, Down>> + Send>>;

/// Where claims are kept. Its futures stand on their own: an end must be written down also when nobody waits for it.
pub trait Claims: Send + Sync {
    /// Claims a deed, if nobody has.
    fn claim(&self, deed: Deed, now_ms: u64) -> Answer<Found>;
    /// Says what became of a deed that was claimed here.
    fn settle(&self, claim: [u8; 32], end: End, now_ms: u64) -> Answer<()>;
}

/// What is found where a claim stands with this content.
pub fn found(content: &[u8; 32], other: &[u8; 32], end: Option<End>) -> Found {
    match end {
        _ if content != other => Found::Another,
        None => Found::UnderWay,
        Some(end) => Found::Ended(end),
    }
}

/// The idempotency key of a request; `None` where it has none. Whoever signs, has one.
pub fn key(headers: &HeaderMap, demanded: bool) -> Result<Option<&str>, Refusal> {
    let mut values = headers.get_all(&IDEMPOTENCY_KEY).iter();
    let refusal = |words: &'static str| Refusal::new(Reason::IdempotencyKeyInvalid).says(words).at("Idempotency-Key");
    let Some(value) = values.next() else {
        return if demanded { Err(refusal("a signed tool call needs an Idempotency-Key")) } else { Ok(None) };
    };
    let text = value.to_str().unwrap_or_default();
    if values.next().is_some() || text.is_empty() || text.len() > KEY_BYTES {
        return Err(refusal("Idempotency-Key must be one text of 1 to 255 visible ASCII characters"));
    }
    Ok(Some(text))
}

/// What is to be claimed for a call.
pub fn deed(caller: &Arc<str>, server: &str, message: &Message, key: &str) -> Deed {
    let tool = message.target().map_or("", |tool| tool);
    let parts = [caller.as_bytes(), server.as_bytes(), tool.as_bytes(), key.as_bytes()];
    let mut scope = Vec::with_capacity(256);
    for part in parts {
        scope.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        scope.extend_from_slice(part);
    }
    Deed { claim: sha256(&scope), content: content(message), caller: Arc::clone(caller) }
}

/// The parameters without their progress token.
fn content(message: &Message) -> [u8; 32] {
    let bytes = message.bytes();
    let part = |from: usize, to: usize| bytes.get(from..to).unwrap_or_default();
    let Some(params) = message.params() else { return sha256(b"") };
    match message.progress_token() {
        Some(token) => {
            let around = [part(params.start, token.start), part(token.end, params.end)];
            // Where the token was stands in front: no two texts are joined alike.
            let at = u64::try_from(token.start - params.start).unwrap_or(u64::MAX);
            sha256(&[at.to_be_bytes().as_slice(), around.concat().as_slice()].concat())
        }
        None => sha256(part(params.start, params.end)),
    }
}

/// What a caller hears instead of a second run; the answer, where there is one.
pub fn judge(found: Result<Found, Down>) -> Result<Option<Recorded>, Refusal> {
    let conflict = |words: &'static str| Err(Refusal::new(Reason::IdempotencyConflict).says(words));
    match found {
        Ok(Found::Nothing) => Ok(None),
        Ok(Found::Ended(End::Answered(recorded))) => Ok(Some(recorded)),
        Ok(Found::Another) => conflict("this idempotency key was used for another call"),
        Ok(Found::UnderWay) => conflict("the first call with this idempotency key is still under way")
            .map_err(|refusal: Refusal| refusal.retry_after(Duration::from_secs(1))),
        Ok(Found::Ended(End::Unkept)) => conflict("the call was done, and its answer is too large to be told again"),
        Ok(Found::Ended(End::Unknown | End::Undone)) => {
            conflict("the outcome of the first call with this idempotency key is unknown: it is not run again")
        }
        Err(Down::Crowded) => Err(Refusal::new(Reason::NoCapacity)
            .says("too many idempotency keys are in use by this caller")
            .retry_after(Duration::from_hours(1))),
        Err(Down::Store(why)) => Err(Refusal::new(Reason::StoreUnavailable).because(why)),
    }
}

#[cfg(test)]
mod tests;
