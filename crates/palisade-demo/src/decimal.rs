//! Decimal numbers as whole numbers of a decimal place, so that money never passes through binary fractions.
//!
//! A caller writes a decimal as text (`"0.1"`, always exact) or as a JSON number. A JSON number with more than
//! 15 significant digits is refused, because beyond that two different numbers can arrive as the same one.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

/// An exact decimal: `units` counted in steps of 10^-`places`, with no needless trailing zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    units: i128,
    places: u32,
}

impl Decimal {
    /// Reads `-12.5`, `0.001`, `7`: an optional minus, digits, and optionally a point and more digits.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let (negative, plain) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, fraction) = match plain.split_once('.') {
            Some((_, "")) => return Err("a decimal needs digits after its point"),
            Some((whole, fraction)) => (whole, fraction.trim_end_matches('0')),
            None => (plain, ""),
        };
        if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
            return Err("a decimal is written like 12.5: digits, and at most one point");
        }
        let units = format!("{whole}{fraction}").parse::<i128>().map_err(|_| "a decimal has at most 38 digits")?;
        let places = u32::try_from(fraction.len()).map_err(|_| "a decimal has at most 38 digits")?;
        if places > 38 {
            return Err("a decimal has at most 38 digits");
        }
        Ok(Self { units: if negative { -units } else { units }, places })
    }

    /// The number of steps of 10^-`places`; `None` when this number is finer or too large.
    pub(crate) fn in_steps_of(self, places: u32) -> Option<i128> {
        let finer = places.checked_sub(self.places)?;
        self.units.checked_mul(10_i128.checked_pow(finer)?)
    }

    /// The number as it stands: units, and how many of their digits come after the point.
    pub(crate) fn parts(self) -> (i128, u32) {
        (self.units, self.places)
    }
}

/// Writes `units` steps of 10^-`places` as short decimal text: `2.5`, `-0.01`, `7`.
pub(crate) fn show(units: i128, places: u32) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let width = usize::try_from(places).unwrap_or_default() + 1;
    let digits = format!("{:0>width$}", units.unsigned_abs());
    let (whole, fraction) = digits.split_at(digits.len() + 1 - width);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DecimalVisitor)
    }
}

impl JsonSchema for Decimal {
    fn schema_name() -> Cow<'static, str> {
        "Decimal".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "number"],
            "pattern": r"^-?[0-9]{1,38}(\.[0-9]{1,38})?$",
            "maxLength": 40,
        })
    }
}

struct DecimalVisitor;

impl de::Visitor<'_> for DecimalVisitor {
    type Value = Decimal;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a decimal as text or number")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Decimal, E> {
        Decimal::parse(text).map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Decimal, E> {
        Ok(Decimal { units: number.into(), places: 0 })
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Decimal, E> {
        Ok(Decimal { units: number.into(), places: 0 })
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Decimal, E> {
        // The shortest text that reads back as this number: what the caller wrote, up to 15 digits.
        let text = number.to_string();
        let significant = text.replace(['-', '.'], "");
        if significant.trim_matches('0').len() > 15 {
            return Err(E::custom("a number with more than 15 digits is not exact; write it as text"));
        }
        Decimal::parse(&text).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    /// E3: text is read exactly, and shown as short as it can be.
    #[test]
    fn text_is_exact() {
        for (text, steps) in [("0.1", 10_000_000), ("12.50", 1_250_000_000), ("-3", -300_000_000), ("0.00000001", 1)] {
            assert_eq!(Decimal::parse(text).unwrap().in_steps_of(8), Some(steps), "{text}");
        }
        assert_eq!(show(10_000_000, 8), "0.1");
        assert_eq!(show(-300_000_000, 8), "-3");
        assert_eq!(show(0, 8), "0");
        assert_eq!(show(123, 0), "123");
    }

    /// E3: a ninth decimal place does not vanish, it is refused; trailing zeros do not count as places.
    #[test]
    fn finer_than_asked_is_refused() {
        assert_eq!(Decimal::parse("0.000000001").unwrap().in_steps_of(8), None);
        assert_eq!(Decimal::parse("0.1000000000").unwrap().in_steps_of(8), Some(10_000_000));
    }

    /// E3: JSON numbers are read by what the caller wrote, exponents included.
    #[test]
    fn json_numbers_are_read() {
        for (number, steps) in
            [(json!(0.1), 10_000_000), (json!(1e-8), 1), (json!(7), 700_000_000), (json!(-2.5), -250_000_000)]
        {
            assert_eq!(from_value::<Decimal>(number).unwrap().in_steps_of(8), Some(steps));
        }
        let fault = from_value::<Decimal>(json!(0.123_456_789_012_345_67)).unwrap_err();
        assert!(fault.to_string().contains("write it as text"), "{fault}");
    }

    /// E3: everything else is refused.
    #[test]
    fn refuses_what_is_no_decimal() {
        for text in ["", "-", ".5", "5.", "1.2.3", "1e3", "+1", " 1", "0x1", "١", "NaN", "--1", &"9".repeat(39)] {
            assert!(Decimal::parse(text).is_err(), "{text}");
        }
        for value in [json!(null), json!(true), json!([1]), json!(1e300)] {
            assert!(from_value::<Decimal>(value).is_err());
        }
    }
}
