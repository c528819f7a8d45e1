//! `execution.sim_quote`: what the made-up market would do with an order.
//!
//! 1. A market order is filled; the more of the depth it takes, the worse its average price (half a percent for all).
//! 2. A limit order is filled when that average is no worse than its price; else it rests.
//! 3. A stop order is filled like a market order when the market has reached its price; else it rests.
//! 4. An order for more than the depth fails with MCP-012.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    market::{NOTIONAL_PLACES, PRICE_PLACES, QUANTITY_PLACES, Symbol},
    order::{self, Side},
};
use crate::{
    decimal::{Decimal, show},
    refusal::{Code, Refusal},
};

/// The order to simulate.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// What is traded, such as EURUSD, BTC/USD or SPY.
    #[schemars(length(min = 1, max = 32))]
    symbol: String,
    /// Which way the order goes.
    side: Side,
    /// How the order is to be filled.
    #[serde(rename = "type")]
    kind: Kind,
    /// How much: above 0, at most 10^12, at most 8 decimal places. Text is exact.
    #[schemars(schema_with = "order::quantity_schema")]
    quantity: Decimal,
    /// The price of a limit or stop order: above 0, at most 10^9, at most 6 decimal places. Text is exact.
    #[serde(default)]
    #[schemars(schema_with = "order::price_schema")]
    price: Option<Decimal>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Market,
    Limit,
    Stop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Filled,
    Resting,
}

/// What would become of the order. Amounts are decimals in text.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Quote {
    symbol: &'static str,
    side: Side,
    #[serde(rename = "type")]
    kind: Kind,
    status: Outcome,
    /// What sellers get at once.
    bid: String,
    /// What buyers pay at once.
    ask: String,
    /// How much would be filled: all or nothing.
    filled_quantity: String,
    /// The average price of what is filled; absent while the order rests.
    #[serde(skip_serializing_if = "Option::is_none")]
    average_price: Option<String>,
    /// Filled quantity times average price.
    notional: String,
}

/// Simulates one order.
pub(crate) fn quote(arguments: &Arguments) -> Result<Quote, Refusal> {
    let symbol = Symbol::by_name(&arguments.symbol)?;
    let quantity = order::quantity(arguments.quantity)?;
    let wanted = wanted_price(arguments)?;
    let depth = symbol.depth * 10_i128.pow(QUANTITY_PLACES);
    if quantity > depth {
        let (asked, depth) = (show(quantity, QUANTITY_PLACES), show(depth, QUANTITY_PLACES));
        return Err(Refusal::new(
            Code::InsufficientLiquidity,
            format!("quantity: {asked} is more than the {depth} that the market for {} holds", symbol.name),
            json!({ "argument": "quantity", "requested": asked, "available": depth }),
        ));
    }
    let adds = arguments.side.adds();
    let average = average_price(symbol, adds, quantity, depth);
    let is_filled = match (arguments.kind, wanted) {
        (Kind::Limit, Some(limit)) => no_worse(adds, average, limit),
        // A stop waits for the market to move against the order: up for a buyer, down for a seller.
        (Kind::Stop, Some(stop)) if adds => symbol.ask() >= stop,
        (Kind::Stop, Some(stop)) => symbol.bid() <= stop,
        _ => true,
    };
    let filled = if is_filled { quantity } else { 0 };
    Ok(Quote {
        symbol: symbol.name,
        side: arguments.side,
        kind: arguments.kind,
        status: if is_filled { Outcome::Filled } else { Outcome::Resting },
        bid: show(symbol.bid(), PRICE_PLACES),
        ask: show(symbol.ask(), PRICE_PLACES),
        filled_quantity: show(filled, QUANTITY_PLACES),
        average_price: is_filled.then(|| show(average, PRICE_PLACES)),
        notional: show(filled * average, NOTIONAL_PLACES),
    })
}

/// Limit and stop orders need a price, and a market order must not have one that would be ignored.
fn wanted_price(arguments: &Arguments) -> Result<Option<i128>, Refusal> {
    match (arguments.kind, arguments.price) {
        (Kind::Market, None) => Ok(None),
        (Kind::Market, Some(_)) => Err(Refusal::argument("price", "a market order has none")),
        (Kind::Limit | Kind::Stop, Some(price)) => order::price(price).map(Some),
        (Kind::Limit | Kind::Stop, None) => Err(Refusal::argument("price", "a limit or stop order needs one")),
    }
}

/// Rounded against the order, as a market would.
fn average_price(symbol: &Symbol, adds: bool, quantity: i128, depth: i128) -> i128 {
    let best = if adds { symbol.ask() } else { symbol.bid() };
    let slip = (best * quantity * SLIP_BASIS_POINTS + depth * 10_000 - 1) / (depth * 10_000);
    if adds { best + slip } else { best - slip }
}

fn no_worse(adds: bool, average: i128, limit: i128) -> bool {
    if adds { average <= limit } else { average >= limit }
}

/// How far the average price moves when an order takes the whole depth.
const SLIP_BASIS_POINTS: i128 = 50;

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json, to_value};

    use super::*;

    fn quoted(arguments: Value) -> Result<Value, Refusal> {
        quote(&from_value(arguments).unwrap()).map(|quote| to_value(quote).unwrap())
    }

    fn order(side: &str, kind: &str, quantity: &str, price: Option<&str>) -> Value {
        let mut order = json!({ "symbol": "SPY", "side": side, "type": kind, "quantity": quantity });
        if let Some(price) = price {
            order["price"] = json!(price);
        }
        order
    }

    /// K2: a market order is filled, buyers above the ask and sellers below the bid, and notional is exact.
    #[test]
    fn market_orders_fill() {
        let bought = quoted(order("buy", "market", "9000", None)).unwrap();
        assert_eq!(bought["status"], "filled");
        assert_eq!((&bought["bid"], &bought["ask"]), (&json!("519.99"), &json!("520.01")));
        // A hundredth of the depth: half a hundredth of a percent.
        assert_eq!(bought["average_price"], "520.036001");
        assert_eq!(bought["notional"], "4680324.009");
        let sold = quoted(order("short", "market", "9000", None)).unwrap();
        assert_eq!(sold["average_price"], "519.964");
    }

    /// K2: a limit order fills at its price or better, and rests otherwise.
    #[test]
    fn limit_orders_wait() {
        for (side, price, status) in [
            ("buy", "520.036001", "filled"),
            ("buy", "520.036", "resting"),
            ("sell", "519.964", "filled"),
            ("sell", "519.964001", "resting"),
        ] {
            let quote = quoted(order(side, "limit", "9000", Some(price))).unwrap();
            assert_eq!(quote["status"], status, "{side} {price}");
        }
        let resting = quoted(order("long", "limit", "1", Some("1"))).unwrap();
        assert_eq!((&resting["filled_quantity"], &resting["notional"]), (&json!("0"), &json!("0")));
        assert!(resting.get("average_price").is_none());
    }

    /// K2: a stop order fills once the market has reached its price.
    #[test]
    fn stop_orders_wait() {
        for (side, price, status) in [
            ("buy", "520.01", "filled"),
            ("buy", "520.010001", "resting"),
            ("sell", "519.99", "filled"),
            ("sell", "519.989999", "resting"),
        ] {
            let quote = quoted(order(side, "stop", "1", Some(price))).unwrap();
            assert_eq!(quote["status"], status, "{side} {price}");
        }
    }

    /// K2: MCP-012 beyond the depth, and not at it.
    #[test]
    fn depth_is_the_limit() {
        assert_eq!(quoted(order("buy", "market", "900000", None)).unwrap()["status"], "filled");
        let refusal = quoted(order("buy", "market", "900000.00000001", None)).unwrap_err();
        assert_eq!(refusal.code, Code::InsufficientLiquidity);
        assert_eq!(refusal.details["available"], "900000");
    }

    /// K2: prices must fit the type of order; unknown types and extra arguments are refused.
    #[test]
    fn refuses_bad_orders() {
        assert!(quoted(order("buy", "limit", "1", None)).unwrap_err().message.contains("needs one"));
        assert!(quoted(order("buy", "market", "1", Some("5"))).unwrap_err().message.contains("has none"));
        assert_eq!(quoted(order("buy", "market", "0", None)).unwrap_err().code, Code::InvalidArgs);
        assert!(from_value::<Arguments>(order("buy", "iceberg", "1", None)).is_err());
        assert!(from_value::<Arguments>(json!({ "symbol": "SPY" })).is_err());
    }
}
