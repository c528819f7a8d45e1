//! What an answer says about a limit, admitted or refused.
//!
//! | field | value |
//! |---|---|
//! | `X-RateLimit-Limit` | calls per 60 s |
//! | `X-RateLimit-Remaining` | calls that would pass now |
//! | `X-RateLimit-Reset` | seconds until the whole limit is available again |
//! | `RateLimit-Policy` | `"caller";q=1000;w=60` |
//! | `RateLimit` | `"caller";r=999;t=60`: `t` seconds until more calls are available than now |
//!
//! The last two follow draft-ietf-httpapi-ratelimit-headers. Its `t` is not a reset (a sliding window has none); when
//! `r` is 0 it equals `Retry-After`, which the draft wants never to be earlier.

use super::Admission;
use crate::refusal::{Detail, Reason, Refusal};
use bytes::Bytes;
use http::{HeaderName, HeaderValue};

/// Whose limit an answer speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All calls of an address.
    Ceiling,
    /// Calls of an address that do not authenticate.
    Address,
    /// Calls of a verified caller.
    Caller,
}

impl Scope {
    /// The policy's name in fields and records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ceiling => "ceiling",
            Self::Address => "address",
            Self::Caller => "caller",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Ceiling, Self::Address, Self::Caller].into_iter().find(|scope| scope.name() == name)
    }
}

/// How a limit stands, in the units of the fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Whose limit.
    pub scope: Scope,
    /// Calls per 60 s.
    pub limit: u32,
    /// Calls that would pass now.
    pub remaining: u32,
    /// Whole seconds, rounded up, until more calls are available than now.
    pub retry_seconds: u64,
    /// Whole seconds, rounded up, until the whole limit is available.
    pub reset_seconds: u64,
}

impl Admission {
    /// How the limit stands after this call.
    pub const fn quota(&self) -> Quota {
        Quota {
            scope: self.scope,
            limit: self.limit,
            remaining: self.remaining,
            retry_seconds: self.retry_ms.div_ceil(1000),
            reset_seconds: self.reset_ms.div_ceil(1000),
        }
    }
}

impl Quota {
    /// How the limit stands that made this refusal; nothing if it is not about a limit.
    pub fn of(refusal: &Refusal) -> Option<Self> {
        if refusal.reason() != Reason::RateLimited {
            return None;
        }
        let number = |name| match refusal.details().iter().find(|(known, _)| *known == name)?.1 {
            Detail::Number(number) => Some(number),
            _ => None,
        };
        let scope = refusal.details().iter().find_map(|(name, detail)| match detail {
            Detail::Text(text) if *name == "scope" => Scope::named(text),
            _ => None,
        })?;
        Some(Self {
            scope,
            limit: number("limit")?.try_into().ok()?,
            remaining: number("remaining")?.try_into().ok()?,
            retry_seconds: refusal.retry_after_seconds()?,
            reset_seconds: number("reset_seconds")?,
        })
    }

    /// The five fields. All values stand in one allocation.
    pub fn fields(&self) -> [(HeaderName, HeaderValue); 5] {
        let (name, mut numbers) = (self.scope.name(), [itoa::Buffer::new(); 4]);
        let [limit, remaining, reset, retry] = &mut numbers;
        let (limit, remaining) = (limit.format(self.limit), remaining.format(self.remaining));
        let (reset, retry) = (reset.format(self.reset_seconds), retry.format(self.retry_seconds));
        let mut text = Vec::with_capacity(128);
        let ends = [
            write(&mut text, &[limit]),
            write(&mut text, &[remaining]),
            write(&mut text, &[reset]),
            write(&mut text, &["\"", name, "\";q=", limit, ";w=60"]),
            write(&mut text, &["\"", name, "\";r=", remaining, ";t=", retry]),
        ];
        let (text, mut start) = (Bytes::from(text), 0);
        let values = ends.map(|end| value(text.slice(std::mem::replace(&mut start, end)..end)));
        let [limit, remaining, reset, policy, standing] = values;
        [(X_LIMIT, limit), (X_REMAINING, remaining), (X_RESET, reset), (POLICY, policy), (STANDING, standing)]
    }
}

/// Appends the words. Returns where they end.
fn write(text: &mut Vec<u8>, words: &[&str]) -> usize {
    for word in words {
        text.extend_from_slice(word.as_bytes());
    }
    text.len()
}

/// Digits, letters and `";=` only: always a value.
fn value(text: Bytes) -> HeaderValue {
    HeaderValue::from_maybe_shared(text).unwrap_or_else(|_| HeaderValue::from_static("0"))
}

const X_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STANDING: HeaderName = HeaderName::from_static("ratelimit");

#[cfg(test)]
mod tests {
    use super::super::{Admission, Config, Limits};
    use super::{Quota, Scope};
    use crate::limit::subject::Subject;
    use crate::refusal::{Reason, Refusal};

    fn shown(quota: &Quota) -> Vec<String> {
        let line =
            |(name, value): &(http::HeaderName, http::HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
        quota.fields().iter().map(line).collect()
    }

    /// D1: an admission and a refusal carry the de-facto fields and those of the IETF draft.
    #[test]
    fn fields_of_an_answer() {
        let limits = Limits::new(Config { per_caller: 2, ..Config::default() }, [3; 16]);
        let alice = limits.subject_of("alice");
        let admitted = limits.caller(&alice, 2, 1000).unwrap().quota();
        assert_eq!(
            shown(&admitted),
            [
                "x-ratelimit-limit: 2",
                "x-ratelimit-remaining: 1",
                "x-ratelimit-reset: 60",
                "ratelimit-policy: \"caller\";q=2;w=60",
                "ratelimit: \"caller\";r=1;t=60",
            ]
        );
        limits.caller(&alice, 2, 11_000).unwrap();
        let refusal = limits.caller(&alice, 2, 21_500).unwrap_err();
        assert_eq!(refusal.retry_after_seconds(), Some(40));
        assert_eq!(
            shown(&Quota::of(&refusal).unwrap()),
            [
                "x-ratelimit-limit: 2",
                "x-ratelimit-remaining: 0",
                "x-ratelimit-reset: 50",
                "ratelimit-policy: \"caller\";q=2;w=60",
                "ratelimit: \"caller\";r=0;t=40",
            ]
        );
    }

    /// D1: every number fits, and each scope comes back from its refusal.
    #[test]
    fn extremes() {
        let admission = Admission {
            scope: Scope::Ceiling,
            limit: u32::MAX,
            remaining: u32::MAX,
            reset_ms: u64::MAX,
            retry_ms: u64::MAX,
        };
        assert!(shown(&admission.quota())[4].ends_with(";r=4294967295;t=18446744073709552"));

        let limits = Limits::new(Config { ceiling: 0, per_address: 0, per_caller: 0, capacity: 10 }, [3; 16]);
        let subject = Subject::address([127, 0, 0, 1].into());
        let refusals = [
            limits.arrive(&subject, 0).unwrap_err(),
            limits.unauthenticated(&subject, 0).unwrap_err(),
            limits.caller(&subject, 0, 0).unwrap_err(),
        ];
        let scopes = refusals.map(|refusal| Quota::of(&refusal).unwrap().scope);
        assert_eq!(scopes, [Scope::Ceiling, Scope::Address, Scope::Caller]);
        assert_eq!(Quota::of(&Refusal::new(Reason::Forbidden)), None);
    }
}
