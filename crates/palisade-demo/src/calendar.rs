//! Dates and times as RFC 3339 text, for the proleptic Gregorian calendar from 1970 to 9999.
//!
//! Leap seconds do not exist here, as in Unix time: `23:59:60` is refused.

const SECONDS_PER_DAY: i64 = 86_400;
/// 9999-12-31T23:59:59Z, the last moment that four digits of year can write.
pub(crate) const LAST_SECOND: i64 = 253_402_300_799;

/// Writes the moment `unix_seconds` as seen `offset_minutes` east of UTC; `Z` when that is zero.
pub(crate) fn rfc3339(unix_seconds: i64, offset_minutes: i64) -> String {
    let local = unix_seconds.saturating_add(offset_minutes.saturating_mul(60)).clamp(0, LAST_SECOND);
    let (year, month, day) = date_of(local.div_euclid(SECONDS_PER_DAY));
    let second = local.rem_euclid(SECONDS_PER_DAY);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let zone = offset_text(offset_minutes);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{zone}")
}

/// Writes an offset as RFC 3339 does: `Z`, `+02:00`, `-05:30`.
pub(crate) fn offset_text(offset_minutes: i64) -> String {
    if offset_minutes == 0 {
        return "Z".to_owned();
    }
    let sign = if offset_minutes < 0 { '-' } else { '+' };
    let minutes = offset_minutes.unsigned_abs();
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

/// The English name of the day that holds `unix_seconds` at that offset.
pub(crate) fn weekday(unix_seconds: i64, offset_minutes: i64) -> &'static str {
    let days = unix_seconds.saturating_add(offset_minutes.saturating_mul(60)).div_euclid(SECONDS_PER_DAY);
    match days.rem_euclid(7) {
        0 => "Thursday", // 1970-01-01
        1 => "Friday",
        2 => "Saturday",
        3 => "Sunday",
        4 => "Monday",
        5 => "Tuesday",
        _ => "Wednesday",
    }
}

/// Reads `Z` or `±hh:mm` as minutes east of UTC.
pub(crate) fn parse_offset(text: &str) -> Option<i64> {
    if text == "Z" || text == "z" {
        return Some(0);
    }
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 60 + minutes))
}

/// Reads an RFC 3339 date-time as Unix seconds; a fraction of a second is dropped.
pub(crate) fn parse_rfc3339(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(['T', 't'])?;
    let mut date = date.splitn(3, '-');
    let (year, month, day) = (digits(date.next()?, 4)?, digits(date.next()?, 2)?, digits(date.next()?, 2)?);
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=month_length(year, month)).contains(&day) {
        return None;
    }
    let (time, zone) = time.split_at_checked(time.find(['Z', 'z', '+', '-'])?)?;
    let whole = match time.split_once('.') {
        Some((_, "")) => return None,
        Some((whole, fraction)) if fraction.bytes().all(|byte| byte.is_ascii_digit()) => whole,
        Some(_) => return None,
        None => time,
    };
    let mut clock = whole.splitn(3, ':');
    let (hour, minute, second) = (digits(clock.next()?, 2)?, digits(clock.next()?, 2)?, digits(clock.next()?, 2)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let local = days_before(year, month, day) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second;
    Some(local - parse_offset(zone)? * 60)
}

fn digits(text: &str, count: usize) -> Option<i64> {
    (text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn month_length(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to the first of January of `year`.
fn days_before_year(year: i64) -> i64 {
    let past = year - 1;
    let leap_days = |years: i64| years / 4 - years / 100 + years / 400;
    (year - 1970) * 365 + leap_days(past) - leap_days(1969)
}

fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let months: i64 = (1..month).map(|month| month_length(year, month)).sum();
    days_before_year(year) + months + day - 1
}

fn date_of(days: i64) -> (i64, i64, i64) {
    // A guess that is never too late; up to 9999 it is at most some twenty years too early.
    let mut year = 1970 + days / 366;
    while days_before_year(year + 1) <= days {
        year += 1;
    }
    let mut rest = days - days_before_year(year);
    let mut month = 1;
    while month < 12 && rest >= month_length(year, month) {
        rest -= month_length(year, month);
        month += 1;
    }
    (year, month, rest + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// K1: known moments are written right, leap days and both ends of the range included.
    #[test]
    fn writes_known_moments() {
        assert_eq!(rfc3339(0, 0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_782_400, 0), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(1_785_196_800, 0), "2026-07-28T00:00:00Z");
        assert_eq!(rfc3339(1_785_196_800, 330), "2026-07-28T05:30:00+05:30");
        assert_eq!(rfc3339(1_785_196_800, -90), "2026-07-27T22:30:00-01:30");
        assert_eq!(rfc3339(LAST_SECOND, 0), "9999-12-31T23:59:59Z");
    }

    /// K1: reading is the inverse of writing, in every month of the range.
    #[test]
    fn reads_back_what_was_written() {
        for day in (0..=(LAST_SECOND / SECONDS_PER_DAY)).step_by(17) {
            let moment = day * SECONDS_PER_DAY + 12_345;
            assert_eq!(parse_rfc3339(&rfc3339(moment, 0)), Some(moment));
        }
    }

    /// K1: offsets, fractions and lower case are read as RFC 3339 says.
    #[test]
    fn reads_offsets_and_fractions() {
        assert_eq!(parse_rfc3339("2026-07-28T02:00:00.999+02:00"), Some(1_785_196_800));
        assert_eq!(parse_rfc3339("2026-07-28t00:00:00z"), Some(1_785_196_800));
    }

    /// E3: what is not a date-time is refused, never guessed.
    #[test]
    fn refuses_what_is_no_date_time() {
        for text in [
            "",
            "T",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T23:59:60Z",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00.Z",
            "2026-01-01 00:00:00Z",
            "2026-1-1T00:00:00Z",
            "2026-01-01T00:00:00+0200",
            "2026-01-01T00:00:00+24:00",
            "+026-01-01T00:00:00Z",
            "２０２６-01-01T00:00:00Z",
        ] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
    }

    /// K1: the weekday follows the offset.
    #[test]
    fn knows_weekdays() {
        assert_eq!(weekday(0, 0), "Thursday");
        assert_eq!(weekday(1_785_196_800, 0), "Tuesday");
        assert_eq!(weekday(1_785_196_800, -1), "Monday");
    }
}
