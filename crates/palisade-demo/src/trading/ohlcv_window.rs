//! `features.ohlcv_window`: the last bars before a moment, and what can be read from them.
//!
//! Only finished bars count: with interval 1h and an end of 12:30, the last bar runs from 11:00 to 12:00. Asking for
//! bars from before the symbol was listed fails with MCP-010 and says how many there are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::market::{Bar, Interval, PRICE_PLACES, Symbol};
use crate::{
    calendar,
    decimal::show,
    refusal::{Code, Refusal, quoted},
};

/// Which bars.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// What is traded, such as EURUSD, BTC/USD or SPY.
    #[schemars(length(min = 1, max = 32))]
    symbol: String,
    /// The length of one bar.
    interval: Interval,
    /// How many bars, from 1 to 500; 20 without it.
    #[schemars(range(min = 1, max = 500))]
    bars: Option<i64>,
    /// The moment before which the bars end, as RFC 3339; 2026-01-01T00:00:00Z without it.
    #[schemars(length(max = 40), extend("format" = "date-time"))]
    end: Option<String>,
}

/// The bars, oldest first, and features of the whole window. Prices are decimals in text.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Window {
    symbol: &'static str,
    interval: Interval,
    bars: Vec<ShownBar>,
    features: Features,
}

#[derive(Debug, PartialEq, Serialize, JsonSchema)]
struct ShownBar {
    /// When the bar begins.
    time: String,
    open: String,
    high: String,
    low: String,
    close: String,
    /// Whole units traded.
    volume: i128,
}

/// What can be read from a window as a whole.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
struct Features {
    /// The highest price.
    high: String,
    /// The lowest price.
    low: String,
    /// The mean of all closes, cut after 6 places.
    mean_close: String,
    /// From the first open to the last close, in hundredths of a percent.
    change_basis_points: i128,
    /// All units traded.
    volume: i128,
}

/// Gives the bars that the arguments ask for.
pub(crate) fn window(arguments: &Arguments) -> Result<Window, Refusal> {
    let symbol = Symbol::by_name(&arguments.symbol)?;
    let wanted = arguments.bars.unwrap_or(20);
    if !(1..=MOST_BARS).contains(&wanted) {
        return Err(Refusal::argument("bars", format_args!("must be from 1 to {MOST_BARS}, not {wanted}")));
    }
    let end = arguments.end.as_deref().map_or(Ok(USUAL_END), end_of)?;
    let seconds = arguments.interval.seconds();
    let after_last = end.div_euclid(seconds);
    let available = (after_last - symbol.listed.div_euclid(seconds)).max(0);
    if available < wanted {
        return Err(Refusal::new(
            Code::InsufficientData,
            format!("bars: {wanted} were asked for, only {available} exist before that end"),
            json!({ "requested": wanted, "available": available, "first_bar": calendar::rfc3339(symbol.listed, 0) }),
        ));
    }
    let numbers = after_last - wanted..after_last;
    let bars: Vec<_> = numbers.map(|number| (number * seconds, symbol.bar(arguments.interval, number))).collect();
    Ok(Window {
        symbol: symbol.name,
        interval: arguments.interval,
        features: Features::of(&bars),
        bars: bars.into_iter().map(ShownBar::of).collect(),
    })
}

fn end_of(text: &str) -> Result<i64, Refusal> {
    calendar::parse_rfc3339(text).ok_or_else(|| {
        let text = quoted(text);
        Refusal::argument("end", format_args!("must be a date-time like 2026-01-01T00:00:00Z, not {text}"))
    })
}

impl ShownBar {
    fn of((begin, bar): (i64, Bar)) -> Self {
        let [open, high, low, close] = [bar.open, bar.high, bar.low, bar.close].map(|price| show(price, PRICE_PLACES));
        Self { time: calendar::rfc3339(begin, 0), open, high, low, close, volume: bar.volume }
    }
}

impl Features {
    fn of(bars: &[(i64, Bar)]) -> Self {
        let prices = || bars.iter().map(|(_, bar)| bar);
        let count = i128::try_from(bars.len()).unwrap_or(1).max(1);
        let closes: i128 = prices().map(|bar| bar.close).sum();
        let open = prices().next().map_or(1, |bar| bar.open);
        let close = prices().next_back().map_or(open, |bar| bar.close);
        Self {
            high: show(prices().map(|bar| bar.high).max().unwrap_or_default(), PRICE_PLACES),
            low: show(prices().map(|bar| bar.low).min().unwrap_or_default(), PRICE_PLACES),
            mean_close: show(closes / count, PRICE_PLACES),
            change_basis_points: (close - open) * 10_000 / open.max(1),
            volume: prices().map(|bar| bar.volume).sum(),
        }
    }
}

const MOST_BARS: i64 = 500;
/// 2026-01-01T00:00:00Z: a fixed moment, so that a call without an end has the same answer every day.
const USUAL_END: i64 = 1_767_225_600;

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json, to_value};

    use super::*;

    fn asked(arguments: Value) -> Result<Window, Refusal> {
        window(&from_value(arguments).unwrap())
    }

    /// K2: bars are whole intervals, oldest first, and end before the end.
    #[test]
    fn gives_finished_bars() {
        let end = "2026-03-01T12:30:00Z";
        let window = asked(json!({ "symbol": "BTC/USD", "interval": "1h", "bars": 3, "end": end })).unwrap();
        let times: Vec<_> = window.bars.iter().map(|bar| bar.time.as_str()).collect();
        assert_eq!(times, ["2026-03-01T09:00:00Z", "2026-03-01T10:00:00Z", "2026-03-01T11:00:00Z"]);
    }

    /// K2: two windows agree where they overlap, whatever their lengths.
    #[test]
    fn windows_agree() {
        let long = asked(json!({ "symbol": "SPY", "interval": "5m", "bars": 500 })).unwrap();
        let short = asked(json!({ "symbol": "SPY", "interval": "5m" })).unwrap();
        assert_eq!(long.bars.len(), 500);
        assert_eq!(long.bars[480..], short.bars[..]);
    }

    /// K2: features are those of the bars.
    #[test]
    fn features_follow_from_bars() {
        let bar = |open, high, low, close| Bar { open, high, low, close, volume: 5 };
        let bars =
            [(0, bar(1_000_000, 1_200_000, 900_000, 1_100_000)), (60, bar(1_100_000, 1_100_000, 800_000, 1_010_000))];
        let features = to_value(Features::of(&bars)).unwrap();
        let known = json!({
            "high": "1.2", "low": "0.8", "mean_close": "1.055", "change_basis_points": 100, "volume": 10,
        });
        assert_eq!(features, known);
    }

    /// K2: MCP-010 for bars from before the first, with how many there are.
    #[test]
    fn too_early_is_insufficient_data() {
        let arguments = json!({ "symbol": "ETH/USD", "interval": "1d", "bars": 5, "end": "2015-08-02T00:00:00Z" });
        let refusal = asked(arguments).unwrap_err();
        assert_eq!(refusal.code, Code::InsufficientData);
        assert_eq!(refusal.details["available"], 3);
        let before = json!({ "symbol": "ETH/USD", "interval": "1d", "end": "1999-01-01T00:00:00Z" });
        assert_eq!(asked(before).unwrap_err().details["available"], 0);
    }

    /// E3: counts and ends outside their bounds are refused by name.
    #[test]
    fn refuses_bad_arguments() {
        for bars in [0, -1, 501, i64::MAX] {
            let refusal = asked(json!({ "symbol": "SPY", "interval": "1m", "bars": bars })).unwrap_err();
            assert!(refusal.message.starts_with("bars: must be from 1 to 500"));
        }
        let refusal = asked(json!({ "symbol": "SPY", "interval": "1m", "end": "yesterday" })).unwrap_err();
        assert!(refusal.message.contains("not \"yesterday\""));
        assert!(from_value::<Arguments>(json!({ "symbol": "SPY", "interval": "2m" })).is_err());
        assert_eq!(asked(json!({ "symbol": "X", "interval": "1m" })).unwrap_err().code, Code::InvalidSymbol);
    }
}
