//! The trading desk: five tools over a made-up market.
//!
//! Every price, depth and position is derived from names and numbers by a fixed hash, so a test can know the answer.
//! Quantities and prices are counted in whole decimal steps (see [`market`]); no sum passes through binary fractions.
//! What fails for a reason of business fails with its own code, MCP-010 to MCP-015.

pub(crate) mod market;
pub(crate) mod ohlcv_window;
mod order;
pub(crate) mod position_limits_check;
pub(crate) mod shared_state;
pub(crate) mod sim_quote;

use crate::tool::{DemoTool, Effect, Sign};

/// The tools of this desk, in the order in which they are listed.
pub(crate) fn tools() -> Vec<DemoTool> {
    vec![ohlcv_window(), position_limits_check(), sim_quote(), shared_state_get(), shared_state_set()]
}

fn ohlcv_window() -> DemoTool {
    let sign = Sign {
        name: "features.ohlcv_window",
        title: "Price bars",
        description: "Gives the last price bars (open, high, low, close, volume) of a symbol before a moment, and a few \
                      features of that window. Made-up data. Symbols: EURUSD, GBPUSD, USDJPY, BTC/USD, ETH/USD, SPY, \
                      QQQ, AAPL.",
        effect: Effect::Pure,
    };
    DemoTool::new(&sign, |_, arguments| ohlcv_window::window(arguments))
}

fn position_limits_check() -> DemoTool {
    let sign = Sign {
        name: "risk.position_limits_check",
        title: "Position limits check",
        description: "Tells whether an order would keep an account within its limits, and which limits it would \
                      break. Accounts with limits: demo, conservative.",
        effect: Effect::Pure,
    };
    DemoTool::new(&sign, |_, arguments| position_limits_check::check(arguments))
}

fn sim_quote() -> DemoTool {
    let sign = Sign {
        name: "execution.sim_quote",
        title: "Simulated quote",
        description: "Simulates what would happen to an order in the made-up market: filled at which average price, \
                      or resting. Nothing is traded.",
        effect: Effect::Pure,
    };
    DemoTool::new(&sign, |_, arguments| sim_quote::quote(arguments))
}

fn shared_state_get() -> DemoTool {
    let sign = Sign {
        name: "storage.shared_state.get",
        title: "Read shared state",
        description: "Reads the value that is stored under a key, with its version.",
        effect: Effect::Reads,
    };
    DemoTool::new(&sign, |state, arguments| shared_state::get(&state.shelf(), arguments))
}

fn shared_state_set() -> DemoTool {
    let sign = Sign {
        name: "storage.shared_state.set",
        title: "Write shared state",
        description: "Stores a JSON value under a key, in place of the one before, and tells its new version. At most \
                      256 keys, and 16,384 bytes of JSON for each value.",
        effect: Effect::Overwrites,
    };
    DemoTool::new(&sign, |state, arguments| shared_state::set(&mut state.shelf(), arguments))
}
