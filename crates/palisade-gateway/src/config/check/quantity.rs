//! Sizes and durations: a whole number and a unit, nothing else.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::Check;

/// Milliseconds of a second.
pub(super) const SECOND: u64 = 1000;
/// Bytes of a mebibyte.
pub(super) const MIB: u64 = 1 << 20;

const SIZES: [(&str, u64); 7] = [
    ("KiB", 1 << 10),
    ("MiB", MIB),
    ("GiB", 1 << 30),
    ("kB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];
const DURATIONS: [(&str, u64); 5] =
    [("ms", 1), ("s", SECOND), ("m", 60 * SECOND), ("h", 3600 * SECOND), ("d", 86_400 * SECOND)];

impl Check<'_> {
    /// Bytes within a range.
    pub(super) fn size(&mut self, setting: &str, text: &str, range: RangeInclusive<u64>) -> u64 {
        let written = |bytes: u64| match bytes {
            whole if whole % MIB == 0 => format!("{}MiB", whole / MIB),
            bytes => format!("{}KiB", bytes / 1024),
        };
        match read(text, &SIZES) {
            None => self.fault(
                setting,
                format!("{text:?} is not a size"),
                "write a number and B, KiB, MiB or GiB, like \"10MiB\"",
            ),
            Some(size) if !range.contains(&size) => {
                let problem = format!("{text:?} is not from {} to {}", written(*range.start()), written(*range.end()));
                self.fault(setting, problem, "write a size in this range");
            }
            Some(size) => return size,
        }
        self.faults.tried(setting.to_owned());
        *range.start()
    }

    /// A duration of at least a millisecond and at most `most` of them.
    pub(super) fn duration(&mut self, setting: &str, text: &str, most: u64) -> Duration {
        match read(text, &DURATIONS) {
            None => self.fault(
                setting,
                format!("{text:?} is not a duration"),
                "write a number and ms, s, m, h or d, like \"30s\"",
            ),
            Some(0) => self.fault(setting, format!("{text:?} leaves no time at all"), "write at least \"1ms\""),
            Some(time) if time > most => {
                self.fault(setting, format!("{text:?} is more than {}s", most / SECOND), "write a shorter one");
            }
            Some(time) => return Duration::from_millis(time),
        }
        Duration::from_millis(1)
    }
}

/// The time that is written so.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    read(text, &DURATIONS).map(Duration::from_millis)
}

fn read(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let cut = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = text.split_at(cut);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

#[cfg(test)]
mod tests {
    use super::{DURATIONS, SIZES, read};

    /// I2: sizes and durations have one reading.
    #[test]
    fn a_number_and_a_unit() {
        let cases = [
            ("10MiB", Some(10 << 20)),
            ("1kB", Some(1000)),
            ("7B", Some(7)),
            ("10", None),
            ("10 MiB", None),
            ("-1B", None),
        ];
        for (text, want) in cases.into_iter().chain([
            ("1mib", None),
            ("", None),
            ("B", None),
            ("1.5GiB", None),
            ("99999999999GiB", None),
        ]) {
            assert_eq!(read(text, &SIZES), want, "{text}");
        }
        for (text, want) in
            [("500ms", Some(500)), ("2m", Some(120_000)), ("1d", Some(86_400_000)), ("1M", None), ("1m30s", None)]
        {
            assert_eq!(read(text, &DURATIONS), want, "{text}");
        }
    }
}
