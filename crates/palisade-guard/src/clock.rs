//! The only form in which time reaches a judgement: handed in, never asked for.

use std::fmt;

/// One instant, on two clocks: the monotonic one that limits count on, and the wall clock that records show.
///
/// A wall clock can be set back or forward by an operator or an attacker; nothing that admits a call may depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Milliseconds since the process started. Never goes back.
    pub monotonic_ms: u64,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub unix_ms: u64,
}

impl Moment {
    /// The wall clock as RFC 3339 in UTC with milliseconds: `2026-07-28T09:30:00.000Z`.
    pub const fn rfc3339(self) -> Rfc3339 {
        Rfc3339(self.unix_ms)
    }
}

/// Milliseconds since the Unix epoch, shown as RFC 3339 (section 5.6) in UTC.
#[derive(Debug, Clone, Copy)]
pub struct Rfc3339(pub u64);

impl Rfc3339 {
    /// The 24 characters. Written by hand: every record has two of them.
    pub fn text(self) -> [u8; 24] {
        let (days, ms) = (self.0 / DAY_MS, self.0 % DAY_MS);
        let (year, month, day) = civil(days);
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let fields = [
            (0..4, year % 10_000),
            (5..7, month),
            (8..10, day),
            (11..13, ms / 3_600_000),
            (14..16, ms / 60_000 % 60),
            (17..19, ms / 1000 % 60),
            (20..23, ms % 1000),
        ];
        for (place, value) in fields {
            let mut rest = value;
            for digit in text.get_mut(place).unwrap_or_default().iter_mut().rev() {
                *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
                rest /= 10;
            }
        }
        text
    }
}

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.text()).unwrap_or_default())
    }
}

const DAY_MS: u64 = 86_400_000;

/// Days since 1970-01-01 to year, month and day of the Gregorian calendar: counted in 400-year eras that
/// begin on 1 March, so that the leap day is the last of its year.
const fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::Rfc3339;

    fn check(unix_ms: u64, want: &str) {
        assert_eq!(Rfc3339(unix_ms).to_string(), want);
    }

    /// G1: every record carries an RFC 3339 time in UTC.
    #[test]
    fn wall_clock_is_written_as_rfc3339() {
        check(0, "1970-01-01T00:00:00.000Z");
        check(951_782_400_000, "2000-02-29T00:00:00.000Z");
        check(1_785_231_000_123, "2026-07-28T09:30:00.123Z");
        check(4_107_542_399_999, "2100-02-28T23:59:59.999Z");
        check(4_107_542_400_000, "2100-03-01T00:00:00.000Z");
    }
}
