//! `clock`: the time in UTC, and at an offset when one is asked for.
//!
//! There are no time zones here, only RFC 3339 offsets: a zone would need a database that changes every year.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    calendar,
    refusal::{Refusal, quoted},
};

/// Where the clock hangs.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// An offset from UTC as RFC 3339 writes it: Z, +02:00 or -05:30.
    #[schemars(length(min = 1, max = 6), regex(pattern = r"^(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"))]
    offset: Option<String>,
}

/// One moment, written in several ways.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Told {
    /// The moment in UTC.
    utc: String,
    /// The same moment at the offset that was asked for, UTC without one.
    local: String,
    /// The offset of `local`.
    offset: String,
    /// The day of the week at that offset.
    weekday: &'static str,
    /// Whole seconds since 1970-01-01T00:00:00Z.
    unix_seconds: i64,
}

/// Tells the moment `since_epoch` after 1970-01-01T00:00:00Z.
pub(crate) fn tell(since_epoch: Duration, arguments: &Arguments) -> Result<Told, Refusal> {
    let offset = arguments.offset.as_deref().unwrap_or("Z");
    let minutes = calendar::parse_offset(offset).ok_or_else(|| {
        Refusal::argument("offset", format_args!("must look like Z, +02:00 or -05:30, not {}", quoted(offset)))
    })?;
    let seconds = i64::try_from(since_epoch.as_secs()).unwrap_or(calendar::LAST_SECOND).min(calendar::LAST_SECOND);
    Ok(Told {
        utc: calendar::rfc3339(seconds, 0),
        local: calendar::rfc3339(seconds, minutes),
        offset: calendar::offset_text(minutes),
        weekday: calendar::weekday(seconds, minutes),
        unix_seconds: seconds,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(offset: Option<&str>) -> Result<Told, Refusal> {
        tell(Duration::from_millis(1_785_283_199_999), &Arguments { offset: offset.map(str::to_owned) })
    }

    /// K1: without an offset the clock shows UTC.
    #[test]
    fn tells_utc() {
        let told = told(None).unwrap();
        assert_eq!((told.utc.as_str(), told.local.as_str()), ("2026-07-28T23:59:59Z", "2026-07-28T23:59:59Z"));
        assert_eq!((told.weekday, told.unix_seconds), ("Tuesday", 1_785_283_199));
    }

    /// K1: an offset moves the hands and the day, not the moment.
    #[test]
    fn tells_local_time() {
        let told = told(Some("+05:30")).unwrap();
        assert_eq!(told.utc, "2026-07-28T23:59:59Z");
        assert_eq!((told.local.as_str(), told.weekday), ("2026-07-29T05:29:59+05:30", "Wednesday"));
    }

    /// E3: what is no offset is refused and quoted.
    #[test]
    fn refuses_other_offsets() {
        for offset in ["", "CET", "+2", "+24:00", "+02:60", "02:00", "Europe/Paris"] {
            let refusal = told(Some(offset)).unwrap_err();
            assert!(refusal.message.starts_with("offset: must look like"), "{offset}");
        }
    }
}
