//! `palisade store`: what can be typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `palisade store`
#[derive(Debug, Subcommand)]
pub(crate) enum Store {
    /// Make the tables of a store, or bring them up to date; a gateway does so too, if it has the right
    Migrate {
        /// The configuration file, which says where the store is
        #[arg(long, value_name = "FILE", default_value = "palisade.toml")]
        config: PathBuf,
    },
    /// Copy everything in one store into another, which must be empty. Stop the gateways first
    #[command(after_help = "Example, from the file beside the journal to the server that new.toml names:\n  \
                            palisade store copy sqlite:/var/lib/palisade/palisade.db new.toml")]
    Copy(Copy),
}

/// `palisade store copy`
#[derive(Debug, Args)]
pub(crate) struct Copy {
    /// From: a configuration file with the store in it, or sqlite:FILE
    #[arg(value_name = "FROM")]
    pub(crate) from: String,
    /// To: a configuration file with the store in it, or sqlite:FILE
    #[arg(value_name = "TO")]
    pub(crate) to: String,
    /// Answer with JSON on standard output
    #[arg(long)]
    pub(crate) json: bool,
}
