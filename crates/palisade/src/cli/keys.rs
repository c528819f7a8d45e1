//! `palisade keys`: what can be typed.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use palisade_gateway::keys::Wanted;

/// `palisade keys`
#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Make a managed key; it is printed once, on standard output
    #[command(after_help = "Examples:\n  palisade keys create ci --expires 90d\n  \
                            palisade keys create search-agent --server files --scope 'mcp:tools:call:files/read_*'\n  \
                            palisade keys create admin --scope palisade:keys:write --allow-ip 10.0.0.0/8")]
    Create(Box<Create>),
    /// List managed keys, the newest first
    List(Desk),
    /// Show everything about a managed key but its secret
    Show(One),
    /// Give a managed key another secret; the one before works on for a while
    Rotate(Rotate),
    /// Withdraw a managed key for good: every gateway on this store refuses it within a second
    Revoke(One),
    /// Show how often a managed key was used, and when last
    Usage(One),
    /// Read a key from standard input and say whether it is a managed key, and whether it works
    Verify(Desk),
    /// Make a key of 32 random bytes for the settings, and the hash under which a gateway knows it
    Generate {
        /// How it is printed
        #[arg(long, value_enum, default_value = "text")]
        format: KeyFormat,
    },
}

/// Which store, and how to answer.
#[derive(Debug, Args)]
pub(crate) struct Desk {
    /// The configuration file, which says where the store is
    #[arg(long, value_name = "FILE", default_value = "palisade.toml")]
    pub(crate) config: PathBuf,
    /// Answer with JSON on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

/// One key.
#[derive(Debug, Args)]
pub(crate) struct One {
    /// Its public id
    pub(crate) id: String,
    /// Which store, and how to answer
    #[command(flatten)]
    pub(crate) desk: Desk,
}

/// `palisade keys create`
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// What it is called: a-z, 0-9, "_" and "-"
    name: String,
    /// What it may do, like mcp:tools:call:SERVER/TOOL or palisade:keys:read; may be repeated; without it every MCP method
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// A group its holder is in; may be repeated
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// A server it may call; may be repeated; without it all
    #[arg(long = "server", value_name = "NAME")]
    servers: Vec<String>,
    /// When it ends, from now on, like 90d; without it never
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    /// A network it may be used from; may be repeated; without it from everywhere
    #[arg(long = "allow-ip", value_name = "CIDR")]
    allow: Vec<String>,
    /// A network it may not be used from; may be repeated
    #[arg(long = "deny-ip", value_name = "CIDR")]
    deny: Vec<String>,
    /// Calls in any 60 seconds, like 500/min
    #[arg(long, value_name = "N/min", value_parser = per_minute)]
    limit: Option<u32>,
    /// Whom to ask about it
    #[arg(long, value_name = "WHO")]
    owner: Option<String>,
    /// Which store, and how to answer
    #[command(flatten)]
    pub(crate) desk: Desk,
}

impl Create {
    /// What is wanted.
    pub(crate) fn wanted(&self) -> Wanted {
        let listed = |list: &Vec<String>| (!list.is_empty()).then(|| list.clone());
        Wanted {
            name: self.name.clone(),
            owner: self.owner.clone(),
            expires: self.expires.clone(),
            servers: listed(&self.servers),
            scopes: listed(&self.scopes),
            groups: self.groups.clone(),
            allow: self.allow.clone(),
            deny: self.deny.clone(),
            limit_per_minute: self.limit,
        }
    }
}

/// `palisade keys rotate`
#[derive(Debug, Args)]
pub(crate) struct Rotate {
    /// Its public id
    pub(crate) id: String,
    /// How long the secret before works on; 0s ends it, and every other before it, now
    #[arg(long, value_name = "TIME", default_value = "24h")]
    pub(crate) grace: String,
    /// When the key ends, from now on; without it when it would have
    #[arg(long, value_name = "TIME")]
    pub(crate) expires: Option<String>,
    /// End a secret that works on after an earlier rotation; without this the rotation is refused until that one's time is over
    #[arg(long)]
    pub(crate) end_older: bool,
    /// Which store, and how to answer
    #[command(flatten)]
    pub(crate) desk: Desk,
}

/// How a new key is printed.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum KeyFormat {
    /// The key alone on stdout, the hash on stderr
    Text,
    /// One JSON object on stdout
    Json,
}

fn per_minute(text: &str) -> Result<u32, String> {
    let number = text.strip_suffix("/min").unwrap_or(text);
    number.parse().map_err(|_| "write a number of calls in a minute, like 500/min".to_owned())
}
