//! `palisade tokens`: what can be typed.

use clap::{Args, Subcommand, ValueEnum};
use palisade_gateway::tokens::{Purpose, Wanted};

use super::Desk;

/// `palisade tokens`
#[derive(Debug, Subcommand)]
pub(crate) enum Tokens {
    /// Make an access token and a refresh token; both are printed once, on standard output
    #[command(after_help = "Examples:\n  palisade tokens issue ci --scope 'mcp:tools:call:files/read_*'\n  \
                            palisade tokens issue admin --purpose api --scope palisade:tokens:write --json")]
    Issue(Box<Issue>),
    /// Read a refresh token from standard input and print the next pair; the one that was read is used up
    Refresh(Desk),
    /// Take back a token, a family of tokens, or all of a holder: every gateway on this store refuses them within a second
    Revoke(Revoke),
    /// Print the keys that verify tokens, as /.well-known/jwks.json has them
    Jwks(Desk),
    /// Put a new key in force; what the one before signed stays good for its time
    RotateKey(Desk),
}

/// `palisade tokens issue`
#[derive(Debug, Args)]
pub(crate) struct Issue {
    /// Whose it is: records call its holder token:SUBJECT
    subject: String,
    /// What it is for; one is no good for the other
    #[arg(long, value_enum, default_value = "mcp")]
    purpose: For,
    /// What it may do, like mcp:tools:call:SERVER/TOOL or palisade:keys:read; may be repeated; without it every MCP method
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// A server it may call; may be repeated; without it all
    #[arg(long = "server", value_name = "NAME")]
    servers: Vec<String>,
    /// A group its holder is in; may be repeated
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// Which store, and how to answer
    #[command(flatten)]
    pub(crate) desk: Desk,
}

/// What a token is for.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum For {
    /// The MCP endpoints
    Mcp,
    /// The administration
    Api,
}

/// `palisade tokens revoke`
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Revoke {
    /// What is taken back
    #[command(flatten)]
    pub(crate) what: What,
    /// Which store, and how to answer
    #[command(flatten)]
    pub(crate) desk: Desk,
}

/// What is taken back.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct What {
    /// One access token, by its id (`jti`)
    #[arg(long, value_name = "ID")]
    pub(crate) token: Option<String>,
    /// A token and all that followed it by refreshing
    #[arg(long, value_name = "FAMILY")]
    pub(crate) family: Option<String>,
    /// All tokens of a holder until now, as records call it: token:NAME, oauth:ISSUER:WHO
    #[arg(long, value_name = "HOLDER")]
    pub(crate) holder: Option<String>,
}

impl Issue {
    /// What the token is to be.
    pub(crate) fn wanted(&self) -> Wanted {
        let some = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
        Wanted {
            subject: self.subject.clone(),
            purpose: match self.purpose {
                For::Mcp => Purpose::Mcp,
                For::Api => Purpose::Api,
            },
            scopes: some(&self.scopes),
            servers: some(&self.servers),
            groups: self.groups.clone(),
        }
    }
}
