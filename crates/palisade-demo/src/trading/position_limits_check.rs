//! `risk.position_limits_check`: would this order keep the account within its limits?
//!
//! A broken limit is an answer (`approved: false` and which one), not a failure. An account for which nobody has set
//! limits fails with MCP-011: a check without limits must never look like a pass.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    market::{NOTIONAL_PLACES, QUANTITY_PLACES, Symbol},
    order::{self, Side},
};
use crate::{
    decimal::{Decimal, show},
    refusal::{Code, Refusal, characters_between, quoted},
};

/// The order to check.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// What is traded, such as EURUSD, BTC/USD or SPY.
    #[schemars(length(min = 1, max = 32))]
    symbol: String,
    /// Which way the order goes.
    side: Side,
    /// How much: above 0, at most 10^12, at most 8 decimal places. Text is exact.
    #[schemars(schema_with = "order::quantity_schema")]
    quantity: Decimal,
    /// At what price: above 0, at most 10^9, at most 6 decimal places. Text is exact. The market's without it.
    #[serde(default)]
    #[schemars(schema_with = "order::price_schema")]
    price: Option<Decimal>,
    /// Whose limits: demo (the usual) or conservative.
    #[schemars(length(min = 1, max = 64))]
    account: Option<String>,
}

/// The outcome. Amounts are decimals in text.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Checked {
    /// Whether the order breaks no limit.
    approved: bool,
    /// The limits that it breaks.
    breaches: Vec<Breach>,
    /// What the account holds before.
    held: String,
    /// What it would hold after.
    held_after: String,
    /// Quantity times price of the order.
    notional: String,
}

#[derive(Debug, PartialEq, Serialize, JsonSchema)]
struct Breach {
    /// The limit: `order_notional` or `position`.
    limit: &'static str,
    /// What it allows.
    allowed: String,
    /// What the order would come to.
    requested: String,
}

struct Limits {
    account: &'static str,
    /// The most that one order may be worth, in whole units of money.
    order_notional: i128,
    /// The most that may be held either way, in thousandths of the market's depth.
    position_share: i128,
}

/// Checks one order.
pub(crate) fn check(arguments: &Arguments) -> Result<Checked, Refusal> {
    let symbol = Symbol::by_name(&arguments.symbol)?;
    let quantity = order::quantity(arguments.quantity)?;
    let adds = arguments.side.adds();
    let market = if adds { symbol.ask() } else { symbol.bid() };
    let price = arguments.price.map_or(Ok(market), order::price)?;
    let limits = limits_of(arguments.account.as_deref().unwrap_or("demo"))?;

    let held = symbol.held_by(limits.account);
    let held_after = if adds { held + quantity } else { held - quantity };
    // At most 10^20 times 10^15: far from what 128 bits hold.
    let notional = quantity * price;
    let most_held = symbol.depth * 10_i128.pow(QUANTITY_PLACES) * limits.position_share / 1_000;
    let breaches: Vec<_> = [
        breach("order_notional", limits.order_notional * 10_i128.pow(NOTIONAL_PLACES), notional, NOTIONAL_PLACES),
        breach("position", most_held, held_after.abs(), QUANTITY_PLACES),
    ]
    .into_iter()
    .flatten()
    .collect();
    Ok(Checked {
        approved: breaches.is_empty(),
        breaches,
        held: show(held, QUANTITY_PLACES),
        held_after: show(held_after, QUANTITY_PLACES),
        notional: show(notional, NOTIONAL_PLACES),
    })
}

fn breach(limit: &'static str, allowed: i128, requested: i128, places: u32) -> Option<Breach> {
    (requested > allowed).then(|| Breach { limit, allowed: show(allowed, places), requested: show(requested, places) })
}

fn limits_of(account: &str) -> Result<&'static Limits, Refusal> {
    characters_between("account", account, 1, 64)?;
    LIMITS.iter().find(|limits| limits.account == account).ok_or_else(|| {
        let configured: Vec<_> = LIMITS.iter().map(|limits| limits.account).collect();
        Refusal::new(
            Code::MissingConfiguration,
            format!("account: no limits are set for {}; there are some for {}", quoted(account), configured.join(", ")),
            json!({ "argument": "account", "configured": configured }),
        )
    })
}

const LIMITS: [Limits; 2] = [
    Limits { account: "demo", order_notional: 5_000_000, position_share: 200 },
    Limits { account: "conservative", order_notional: 100_000, position_share: 20 },
];

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value};

    use super::*;

    fn checked(arguments: Value) -> Result<Checked, Refusal> {
        check(&from_value(arguments).unwrap())
    }

    /// K2: a small order passes; quantity and price multiply exactly.
    #[test]
    fn a_small_order_passes() {
        let checked = checked(json!({ "symbol": "SPY", "side": "buy", "quantity": "0.1", "price": "0.2" })).unwrap();
        assert!(checked.approved && checked.breaches.is_empty());
        assert_eq!(checked.notional, "0.02");
    }

    /// K2: a limit may be reached, not passed, to the last decimal place.
    #[test]
    fn a_limit_may_be_reached() {
        let order = |quantity: &str| {
            checked(json!({
                "symbol": "EURUSD", "side": "buy", "quantity": quantity, "price": "1", "account": "conservative",
            }))
            .unwrap()
        };
        assert!(order("100000").approved);
        let passed = order("100000.00000001");
        assert!(!passed.approved);
        let breach = Breach { limit: "order_notional", allowed: "100000".into(), requested: "100000.00000001".into() };
        assert_eq!(passed.breaches, [breach]);
    }

    /// K2: buy and long add, sell and short take away; the largest allowed order does not overflow.
    #[test]
    fn sides_have_signs() {
        for (side, sign) in [("buy", 1), ("long", 1), ("sell", -1), ("short", -1)] {
            let order =
                json!({ "symbol": "SPY", "side": side, "quantity": 1_000_000_000_000_u64, "price": 1_000_000_000 });
            let checked = checked(order).unwrap();
            assert_eq!(checked.notional, "1000000000000000000000");
            let limits: Vec<_> = checked.breaches.iter().map(|breach| breach.limit).collect();
            assert_eq!(limits, ["order_notional", "position"]);
            assert_eq!(checked.held_after.starts_with('-'), sign < 0);
        }
    }

    /// K2: MCP-011 for an account without limits, MCP-015 for an unknown symbol.
    #[test]
    fn refuses_unknown_accounts_and_symbols() {
        let order = json!({ "symbol": "SPY", "side": "buy", "quantity": 1, "account": "nobody" });
        assert_eq!(checked(order).unwrap_err().code, Code::MissingConfiguration);
        let order = json!({ "symbol": "XYZ", "side": "buy", "quantity": 1 });
        assert_eq!(checked(order).unwrap_err().code, Code::InvalidSymbol);
        let order = json!({ "symbol": "SPY", "side": "buy", "quantity": 1, "price": 0 });
        assert_eq!(checked(order).unwrap_err().message, "price: must be above 0");
        assert!(from_value::<Arguments>(json!({ "symbol": "SPY", "side": "hold", "quantity": 1 })).is_err());
    }
}
