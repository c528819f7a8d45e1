//! What the order tools have in common: sides, and quantities and prices within their bounds.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::market::{PRICE_PLACES, QUANTITY_PLACES};
use crate::{
    decimal::{Decimal, show},
    refusal::{Code, Refusal},
};

/// Which way an order goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Side {
    Buy,
    Sell,
    Long,
    Short,
}

impl Side {
    /// Whether the order adds to what is held: buy and long do, sell and short take away.
    pub(crate) fn adds(self) -> bool {
        matches!(self, Self::Buy | Self::Long)
    }
}

/// The quantity in hundred-millionths: above 0, at most 10^12, at most 8 decimal places.
pub(crate) fn quantity(decimal: Decimal) -> Result<i128, Refusal> {
    within("quantity", decimal, QUANTITY_PLACES, 10_i128.pow(12))
}

/// The price in millionths: above 0, at most 10^9, at most 6 decimal places.
pub(crate) fn price(decimal: Decimal) -> Result<i128, Refusal> {
    within("price", decimal, PRICE_PLACES, 10_i128.pow(9))
}

/// What a quantity looks like to a schema; exact places and bounds of text are [`quantity`]'s to check.
pub(super) fn quantity_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": ["string", "number"],
        "pattern": r"^[0-9]{1,13}(\.[0-9]{1,8})?$",
        "exclusiveMinimum": 0,
        "maximum": 1_000_000_000_000_u64,
    })
}

/// What a price looks like to a schema, where there may be none.
pub(super) fn price_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": ["string", "number", "null"],
        "pattern": r"^[0-9]{1,10}(\.[0-9]{1,6})?$",
        "exclusiveMinimum": 0,
        "maximum": 1_000_000_000,
    })
}

fn within(name: &str, decimal: Decimal, places: u32, most: i128) -> Result<i128, Refusal> {
    let refuse = |problem: String| {
        let (units, scale) = decimal.parts();
        let details = json!({
            "argument": name, "value": show(units, scale), "above": "0", "at_most": most.to_string(),
            "decimal_places": places,
        });
        Err(Refusal::new(Code::InvalidArgs, format!("{name}: {problem}"), details))
    };
    let (units, scale) = decimal.parts();
    if units <= 0 {
        return refuse("must be above 0".to_owned());
    }
    if scale > places {
        return refuse(format!("has {scale} decimal places, {places} are allowed"));
    }
    let steps = decimal.in_steps_of(places).filter(|&steps| steps <= most * 10_i128.pow(places));
    steps.map_or_else(|| refuse(format!("must be at most {most}")), Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    /// E3: quantity > 0, ≤ 1e12, ≤ 8 places, exact at each edge.
    #[test]
    fn quantity_bounds() {
        assert_eq!(quantity(decimal("0.00000001")), Ok(1));
        assert_eq!(quantity(decimal("1000000000000")), Ok(10_i128.pow(20)));
        for (text, problem) in [
            ("0", "quantity: must be above 0"),
            ("-1", "quantity: must be above 0"),
            ("0.000000001", "quantity: has 9 decimal places, 8 are allowed"),
            ("1000000000000.00000001", "quantity: must be at most 1000000000000"),
            ("99999999999999999999999999999999999999", "quantity: must be at most 1000000000000"),
        ] {
            assert_eq!(quantity(decimal(text)).unwrap_err().message, problem);
        }
    }

    /// E3: price > 0, ≤ 1e9, ≤ 6 places, exact at each edge.
    #[test]
    fn price_bounds() {
        assert_eq!(price(decimal("0.000001")), Ok(1));
        assert_eq!(price(decimal("1000000000.0000000")), Ok(10_i128.pow(15)));
        assert!(price(decimal("0.0000001")).unwrap_err().message.contains("7 decimal places"));
        assert!(price(decimal("1000000000.000001")).unwrap_err().message.contains("at most 1000000000"));
    }
}
