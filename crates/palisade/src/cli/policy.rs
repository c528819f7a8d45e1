//! `palisade policy`

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ConfigFile;

/// `palisade policy`
#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Say everything that is wrong with the rules, those that can never match too, or that nothing is
    Check(ConfigFile),
    /// Say which rule decides a call, and show it
    #[command(
        after_help = "Example:\n  palisade policy explain --caller key:ci --tool bank/pay --args '{\"amount\": 5}'"
    )]
    Explain(Box<Explain>),
    /// Decide the cases of a file, and compare: exit code 1 if one differs
    Test {
        /// The cases, in TOML
        file: PathBuf,
        /// Which policy
        #[command(flatten)]
        config: ConfigFile,
    },
}

/// `palisade policy explain`
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// Which policy
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    /// Who calls, by the name that the journal has: key:NAME, client:NAME
    #[arg(long, value_name = "NAME")]
    pub(crate) caller: String,
    /// A group of the caller, beside those that the configuration knows; may be repeated
    #[arg(long = "group", value_name = "GROUP")]
    pub(crate) groups: Vec<String>,
    /// The tool that is called
    #[arg(long, value_name = "SERVER/TOOL", required_unless_present_any = ["resource", "prompt"])]
    pub(crate) tool: Option<String>,
    /// The resource that is read, instead
    #[arg(long, value_name = "SERVER/URI", conflicts_with = "tool")]
    pub(crate) resource: Option<String>,
    /// The prompt that is fetched, instead
    #[arg(long, value_name = "SERVER/PROMPT", conflicts_with_all = ["tool", "resource"])]
    pub(crate) prompt: Option<String>,
    /// The arguments
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub(crate) args: String,
    /// Where the caller is
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub(crate) address: IpAddr,
    /// How the caller was verified: none, key, `managed_key`, token, signature or certificate
    #[arg(long, value_name = "WORD", default_value = "key")]
    pub(crate) method: String,
    /// When, in seconds since 1970; without it now
    #[arg(long, value_name = "SECONDS")]
    pub(crate) time: Option<u64>,
}
