//! Which tools a demo server offers.

use serde::Serialize;

use crate::{everyday, tool::DemoTool, trading};

/// The tools that one demo server serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Toolset {
    /// Calculator, system information, server status, clock, text tools and the orchestrator.
    Everyday,
    /// The trading desk: made-up prices, limits, quotes and a small shared state.
    Trading,
    /// Both of them.
    #[default]
    All,
}

impl Toolset {
    /// The tools of this set, in the order in which they are listed.
    pub(crate) fn tools(self) -> Vec<DemoTool> {
        match self {
            Self::Everyday => everyday::tools(),
            Self::Trading => trading::tools(),
            Self::All => everyday::tools().into_iter().chain(trading::tools()).collect(),
        }
    }
}
