//! Arguments that a tool repeats in `Mcp-Param-*` headers (2026-07-28, transports, "Custom Headers").

use http::{HeaderMap, HeaderName};
use serde_json::Value;

use crate::message::json::{self, Kind};
use crate::message::{Message, headers};
use crate::refusal::Refusal;

/// One argument and the header that repeats it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    header: HeaderName,
    path: Vec<Box<str>>,
}

/// What a tool's input schema says is mirrored: properties with `x-mcp-header`, reached through `properties` alone.
/// Annotations that break the rules of the specification count as absent.
pub fn mirrors_of_schema(schema: &Value) -> Vec<Mirror> {
    let mut found = Vec::new();
    collect(schema, &mut Vec::new(), &mut found);
    found
}

/// A schema nested deeper than any real one is left alone.
const DEPTH: usize = 16;

fn collect(schema: &Value, path: &mut Vec<Box<str>>, found: &mut Vec<Mirror>) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    if path.len() >= DEPTH {
        return;
    }
    for (name, property) in properties {
        path.push(name.as_str().into());
        let plain = matches!(property.get("type").and_then(Value::as_str), Some("string" | "integer" | "boolean"));
        if let Some(annotation) = property.get("x-mcp-header").and_then(Value::as_str).filter(|_| plain)
            && let Ok(header) = HeaderName::try_from(format!("mcp-param-{annotation}"))
        {
            found.push(Mirror { header, path: path.clone() });
        }
        collect(property, path, found);
        path.pop();
    }
}

impl Mirror {
    /// Header and argument agree: both absent, or both there and equal.
    pub(super) fn judge(&self, message: &Message, headers: &HeaderMap) -> Result<(), Refusal> {
        let mut values = headers.get_all(&self.header).iter();
        let header = values.next();
        if values.next().is_some() {
            return Err(headers::mismatch(self.header.as_str(), "the header stands twice"));
        }
        let path: Vec<&str> = self.path.iter().map(AsRef::as_ref).collect();
        let argument = message.arguments().and_then(|span| json::find(message.bytes(), span, &path));
        let argument = argument.filter(|(_, kind)| *kind != Kind::Null);
        let (header, (span, kind)) = match (header, argument) {
            (None, None) => return Ok(()),
            (None, Some(_)) => return Err(headers::mismatch(self.header.as_str(), "the header is missing")),
            (Some(_), None) => return Err(headers::mismatch(self.header.as_str(), "the body has no such argument")),
            (Some(header), Some(argument)) => (header, argument),
        };
        let said = headers::decode(header, "Mcp-Param")?;
        let raw = message.bytes().get(span).unwrap_or_default();
        let equal = match kind {
            Kind::String => json::text_of(raw) == said,
            Kind::Integer | Kind::Number => same_number(&String::from_utf8_lossy(raw), &said),
            Kind::Bool => raw == said.as_bytes(),
            Kind::Object | Kind::Array | Kind::Null => false,
        };
        if equal { Ok(()) } else { Err(headers::mismatch(self.header.as_str(), "the header disagrees with the body")) }
    }
}

/// `42`, `42.0` and `4.2e1` are one number; texts too long to be honest are only equal when they are the same.
fn same_number(one: &str, other: &str) -> bool {
    one == other || matches!((exact(one), exact(other)), (Some(one), Some(other)) if one == other)
}

/// Digits without trailing zeros, and the power of ten they stand for.
fn exact(text: &str) -> Option<(bool, String, i64)> {
    if text.len() > 64 {
        return None;
    }
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (negative, mantissa) = mantissa.strip_prefix('-').map_or((false, mantissa), |rest| (true, rest));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let exponent = exponent.parse::<i64>().ok().filter(|exponent| exponent.abs() < 10_000)?;
    let power = exponent - i64::try_from(fraction.len()).ok()?;
    let kept = digits.trim_end_matches('0');
    let dropped = i64::try_from(digits.len() - kept.len()).ok()?;
    let kept = kept.trim_start_matches('0').to_owned();
    if kept.is_empty() {
        return Some((false, kept, 0));
    }
    Some((negative, kept, power + dropped))
}

#[cfg(test)]
mod tests {
    use super::{Mirror, mirrors_of_schema, same_number};
    use serde_json::json;

    /// E1: only primitive properties reached through `properties` are mirrored.
    #[test]
    fn mirrors_are_found_where_the_specification_puts_them() {
        let schema = json!({"properties": {
            "region": {"type": "string", "x-mcp-header": "Region"},
            "ratio": {"type": "number", "x-mcp-header": "Ratio"},
            "where": {"type": "object", "properties": {"zone": {"type": "integer", "x-mcp-header": "Zone"}}},
            "any": {"anyOf": [{"type": "string", "x-mcp-header": "Any"}]},
            "bad": {"type": "string", "x-mcp-header": "a b"},
        }});
        let mut found = mirrors_of_schema(&schema);
        found.sort_by(|a, b| a.header.as_str().cmp(b.header.as_str()));
        let mirror = |header: &str, path: &[&str]| Mirror {
            header: header.parse().unwrap(),
            path: path.iter().map(|part| (*part).into()).collect(),
        };
        assert_eq!(found, [mirror("mcp-param-region", &["region"]), mirror("mcp-param-zone", &["where", "zone"])]);
    }

    /// E1: numbers compare as numbers, without floating point.
    #[test]
    fn numbers_compare_by_value() {
        for (one, other) in [("42", "42.0"), ("42", "4.2e1"), ("0", "-0"), ("-10", "-1e1"), ("100", "1E2")] {
            assert!(same_number(one, other), "{one} {other}");
        }
        for (one, other) in
            [("42", "43"), ("42", "-42"), ("9007199254740993", "9007199254740992"), ("1", "1x"), ("1", "")]
        {
            assert!(!same_number(one, other), "{one} {other}");
        }
    }
}
