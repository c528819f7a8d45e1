//! The made-up market: its symbols, its intervals, and a price for every moment.
//!
//! Prices are whole millionths ([`PRICE_PLACES`]), quantities whole hundred-millionths ([`QUANTITY_PLACES`]); the two
//! multiplied have [`NOTIONAL_PLACES`]. A price is a few slow waves and a ripple around the symbol's base price, drawn
//! from a hash of symbol, interval and bar number: the same question always has the same answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::refusal::{Code, Refusal, quoted};

/// Decimal places of a quantity.
pub(crate) const QUANTITY_PLACES: u32 = 8;
/// Decimal places of a price.
pub(crate) const PRICE_PLACES: u32 = 6;
/// Decimal places of a quantity multiplied by a price.
pub(crate) const NOTIONAL_PLACES: u32 = QUANTITY_PLACES + PRICE_PLACES;

/// One thing that can be traded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Symbol {
    pub(crate) name: &'static str,
    /// The price around which it moves, in millionths.
    base: i128,
    /// Half of the distance between what buyers offer and sellers ask, in millionths.
    half_spread: i128,
    /// How much of it the market can take at once, in whole units.
    pub(crate) depth: i128,
    /// The Unix second of its first bar.
    pub(crate) listed: i64,
}

/// How long one bar is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) enum Interval {
    #[serde(rename = "1m")]
    Minute,
    #[serde(rename = "5m")]
    FiveMinutes,
    #[serde(rename = "15m")]
    QuarterHour,
    #[serde(rename = "1h")]
    Hour,
    #[serde(rename = "4h")]
    FourHours,
    #[serde(rename = "1d")]
    Day,
}

/// One bar, in millionths of price and whole units of volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bar {
    pub(crate) open: i128,
    pub(crate) high: i128,
    pub(crate) low: i128,
    pub(crate) close: i128,
    pub(crate) volume: i128,
}

impl Symbol {
    /// The symbol of that exact name, if the desk trades it.
    pub(crate) fn by_name(name: &str) -> Result<&'static Self, Refusal> {
        SYMBOLS.iter().find(|symbol| symbol.name == name).ok_or_else(|| {
            let allowed: Vec<_> = SYMBOLS.iter().map(|symbol| symbol.name).collect();
            let name = quoted(name);
            Refusal::new(
                Code::InvalidSymbol,
                format!("symbol: {name} is not traded here; use one of {}", allowed.join(", ")),
                json!({ "argument": "symbol", "allowed": allowed }),
            )
        })
    }

    /// The bar of that number, counted from 1970.
    pub(crate) fn bar(&self, interval: Interval, number: i64) -> Bar {
        let close = self.level(interval, number);
        let open = self.level(interval, number - 1);
        let wick = |salt| self.base * i128::from(draw(self.name, interval.seconds(), number, salt) % 1_500) / 1_000_000;
        let volume = 100 + draw(self.name, interval.seconds(), number, 3) % 100_000;
        Bar { open, high: open.max(close) + wick(1), low: open.min(close) - wick(2), close, volume: i128::from(volume) }
    }

    /// What a seller gets at once, in millionths.
    pub(crate) fn bid(&self) -> i128 {
        self.base - self.half_spread
    }

    /// What a buyer pays at once, in millionths.
    pub(crate) fn ask(&self) -> i128 {
        self.base + self.half_spread
    }

    /// What an account of that name is said to hold, in hundred-millionths: up to a hundredth of the depth, either way.
    pub(crate) fn held_by(&self, account: &str) -> i128 {
        let most = self.depth * 10_i128.pow(QUANTITY_PLACES) / 100;
        let share = i128::from(draw(self.name, 0, 0, draw(account, 0, 0, 4)) % 2_001) - 1_000;
        most * share / 1_000
    }

    /// The price at which that bar closes.
    fn level(&self, interval: Interval, number: i64) -> i128 {
        let wave = |length: i64, salt| {
            let (before, step) = (number.div_euclid(length), number.rem_euclid(length));
            let end = |at| i128::from(draw(self.name, interval.seconds(), at, salt) % 2_001) - 1_000;
            // From one knot to the next in a straight line.
            (end(before) * i128::from(length - step) + end(before + 1) * i128::from(step)) / i128::from(length)
        };
        let thousandths = wave(64, 5) * 40 + wave(16, 6) * 10 + wave(1, 7) * 2;
        self.base + self.base * thousandths / 1_000_000
    }
}

impl Interval {
    /// Its length in seconds.
    pub(crate) fn seconds(self) -> i64 {
        match self {
            Self::Minute => 60,
            Self::FiveMinutes => 300,
            Self::QuarterHour => 900,
            Self::Hour => 3_600,
            Self::FourHours => 14_400,
            Self::Day => 86_400,
        }
    }
}

/// A number drawn from its arguments alone: FNV-1a over all of them, then mixed so that neighbours differ widely.
fn draw(name: &str, seconds: i64, number: i64, salt: u64) -> u64 {
    let numbers = seconds.to_le_bytes().into_iter().chain(number.to_le_bytes()).chain(salt.to_le_bytes());
    let sum = name
        .bytes()
        .chain(numbers)
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let mixed = (sum ^ (sum >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 29)
}

const fn symbol(name: &'static str, base: i128, half_spread: i128, depth: i128, listed: i64) -> Symbol {
    Symbol { name, base, half_spread, depth, listed }
}

const SYMBOLS: [Symbol; 8] = [
    symbol("EURUSD", 1_085_000, 50, 50_000_000, 946_684_800),
    symbol("GBPUSD", 1_270_000, 80, 30_000_000, 946_684_800),
    symbol("USDJPY", 151_250_000, 5_000, 40_000_000, 946_684_800),
    symbol("BTC/USD", 64_000_000_000, 5_000_000, 250, 1_262_304_000),
    symbol("ETH/USD", 3_100_000_000, 500_000, 4_000, 1_438_214_400),
    symbol("SPY", 520_000_000, 10_000, 900_000, 728_265_600),
    symbol("QQQ", 440_000_000, 10_000, 700_000, 921_024_000),
    symbol("AAPL", 190_000_000, 10_000, 600_000, 345_427_200),
];

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVALS: [Interval; 6] = [
        Interval::Minute,
        Interval::FiveMinutes,
        Interval::QuarterHour,
        Interval::Hour,
        Interval::FourHours,
        Interval::Day,
    ];

    /// K2: bars hang together: each opens where the one before closed, and high and low enclose both.
    #[test]
    fn bars_hang_together() {
        for symbol in &SYMBOLS {
            for interval in INTERVALS {
                for number in 20_000..20_300 {
                    let (before, bar) = (symbol.bar(interval, number - 1), symbol.bar(interval, number));
                    assert_eq!(bar.open, before.close);
                    assert!(bar.high >= bar.open.max(bar.close) && bar.low <= bar.open.min(bar.close));
                    assert!(bar.low > 0 && bar.volume > 0);
                }
            }
        }
    }

    /// K2: the data never changes from build to build, and differs by symbol, interval and bar.
    #[test]
    fn data_is_fixed() {
        let eurusd = Symbol::by_name("EURUSD").unwrap();
        let bar = eurusd.bar(Interval::Hour, 490_000);
        assert_eq!(bar, FIXED_BAR);
        assert_ne!(bar.close, eurusd.bar(Interval::Hour, 490_001).close);
        assert_ne!(bar.close, eurusd.bar(Interval::FourHours, 490_000).close);
        assert_ne!(eurusd.held_by("demo"), eurusd.held_by("conservative"));
    }

    const FIXED_BAR: Bar = Bar { open: 1_099_816, high: 1_101_787, low: 1_098_239, close: 1_101_717, volume: 17_595 };

    /// K2: MCP-015 for a symbol that is not on the list, in any other spelling too.
    #[test]
    fn symbols_are_by_allow_list() {
        for name in ["", "eurusd", "EUR/USD", "SPY ", "DOGE", "SPY\u{200b}"] {
            let refusal = Symbol::by_name(name).unwrap_err();
            assert_eq!(refusal.code, Code::InvalidSymbol, "{name}");
            assert!(refusal.message.contains("use one of EURUSD, GBPUSD"));
        }
    }
}
