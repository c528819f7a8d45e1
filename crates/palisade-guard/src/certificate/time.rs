//! The two ways in which certificates write a time (RFC 5280 section 4.1.2.5).

use super::der::Element;

const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Seconds since 1970; what lies before that is 1970.
pub(super) fn read(time: Element<'_>) -> Option<u64> {
    let (century, rest) = match time.tag {
        // RFC 5280: 50 to 99 are 1950 to 1999.
        UTC_TIME => (if two(time.content)? >= 50 { 19 } else { 20 }, time.content),
        GENERALIZED_TIME => (two(time.content)?, time.content.get(2..)?),
        _ => return None,
    };
    if rest.len() != 13 || rest.last() != Some(&b'Z') {
        return None;
    }
    let part = |at: usize| rest.get(at..).and_then(two);
    let (year, month, day) = (century * 100 + part(0)?, part(2)?, part(4)?);
    let (hour, minute, second) = (part(6)?, part(8)?, part(10)?);
    let fits = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 60;
    fits.then(|| u64::try_from(days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second).unwrap_or(0))
}

fn two(bytes: &[u8]) -> Option<i64> {
    let [tens, ones] = bytes.first_chunk()?;
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| i64::from(byte - b'0'));
    Some(digit(tens)? * 10 + digit(ones)?)
}

/// Days from 1970-01-01 in the Gregorian calendar: years begin in March, so that the leap day is a year's last.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}
