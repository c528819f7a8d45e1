//! What can be typed.

mod keys;
mod policy;
mod store;
mod tokens;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use keys::{Desk, KeyFormat, Keys, One};
pub(crate) use policy::{Explain, Policy};
pub(crate) use store::{Copy as StoreCopy, Store as StoreWhat};
pub(crate) use tokens::{Tokens, What as TokensWhat};

/// Stands in front of any MCP server and makes it safe to expose.
#[derive(Debug, Parser)]
#[command(name = "palisade", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Guard one server now, or what a configuration file says
    #[command(after_help = "Examples:\n  palisade run -- npx -y @modelcontextprotocol/server-everything\n  \
                            palisade run --url http://127.0.0.1:3000/mcp\n  palisade run --config palisade.toml")]
    Run(Box<Run>),
    /// Guard servers for a desktop client that starts this command and speaks MCP by standard input and output
    #[command(after_help = "Examples:\n  palisade stdio -- npx -y @modelcontextprotocol/server-everything\n  \
                            palisade stdio --config /etc/palisade.toml")]
    Stdio(Box<Stdio>),
    /// Guard the built-in demo servers: see in a minute what a gateway does
    Demo(Box<Demo>),
    /// Check, show or describe the configuration
    #[command(subcommand)]
    Config(Config),
    /// Check, explain and test who may do what
    #[command(subcommand)]
    Policy(Policy),
    /// Make, list, rotate and withdraw keys
    #[command(subcommand)]
    Keys(Keys),
    /// Connect a client that can only start commands to a server by HTTP, with a key or with signed requests
    #[command(after_help = "Example, in a client's configuration:\n  \
                            {\"command\": \"palisade\", \"args\": [\"connect\", \"https://mcp.example.com/mcp\", \
                            \"--signed\", \"--key-file\", \"/etc/desk.key\"]}")]
    Connect(Box<Connect>),
    /// Issue, refresh and take back tokens of our own
    #[command(subcommand)]
    Tokens(Tokens),
    /// Make the tables of a store, or copy it to another place
    #[command(subcommand)]
    Store(StoreWhat),
    /// Sign a request: print the headers to send with it
    #[command(
        after_help = "Example:\n  palisade sign POST https://mcp.example.com/mcp --key-file secret --body call.json |\n    \
                            curl -H @- --data-binary @call.json https://mcp.example.com/mcp"
    )]
    Sign(Box<Sign>),
    /// Verify the audit journal
    #[command(subcommand)]
    Audit(Audit),
    /// Ask a gateway whether it is ready: exit code 0 or 1, for container health checks
    Health(Health),
}

/// `palisade run`
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The configuration file; without --url and a command, palisade.toml in this folder
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Guard the Streamable HTTP server at this address
    #[arg(long, value_name = "URL", conflicts_with = "command")]
    pub(crate) url: Option<String>,
    /// A variable of this environment that the server may see, or NAME=VALUE to set one; may be repeated
    #[arg(long = "env", value_name = "NAME[=VALUE]")]
    pub(crate) environment: Vec<String>,
    /// Settings that every way of running has
    #[command(flatten)]
    pub(crate) settings: Settings,
    /// The command that starts the server, after `--`
    #[arg(last = true, value_name = "CMD")]
    pub(crate) command: Vec<String>,
}

/// `palisade stdio`
#[derive(Debug, Args)]
pub(crate) struct Stdio {
    /// The configuration file; all in it that is about the network and who may call is put aside
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Guard the Streamable HTTP server at this address
    #[arg(long, value_name = "URL", conflicts_with = "command")]
    pub(crate) url: Option<String>,
    /// A variable of this environment that the server may see, or NAME=VALUE to set one; may be repeated
    #[arg(long = "env", value_name = "NAME[=VALUE]")]
    pub(crate) environment: Vec<String>,
    /// The folder of the audit journal
    #[arg(long, value_name = "DIR")]
    pub(crate) audit_dir: Option<String>,
    /// error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
    /// pretty or json
    #[arg(long, value_name = "FORMAT")]
    pub(crate) log_format: Option<String>,
    /// The command that starts the server, after `--`
    #[arg(last = true, value_name = "CMD")]
    pub(crate) command: Vec<String>,
}

/// `palisade demo`
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Settings that every way of running has
    #[command(flatten)]
    pub(crate) settings: Settings,
}

/// Settings on the command line. Each wins over environment and file.
#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// Where to listen; port 0 picks a free one
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
    /// production, staging or development
    #[arg(long, value_name = "WORD")]
    pub(crate) mode: Option<String>,
    /// A host name served here; may be repeated
    #[arg(long = "allowed-host", value_name = "HOST")]
    pub(crate) hosts: Vec<String>,
    /// A browser origin that may call; may be repeated
    #[arg(long = "allowed-origin", value_name = "ORIGIN")]
    pub(crate) origins: Vec<String>,
    /// Read keys from this file, one in a line, `KEY` or `NAME KEY`
    #[arg(long, value_name = "FILE")]
    pub(crate) api_key_file: Option<PathBuf>,
    /// Insist on keys from the environment: `MCP_API_KEYS`, `API_KEY`, `AUTH_TOKEN` or `MCP_API_KEY_HASH`
    #[arg(long)]
    pub(crate) env_keys: bool,
    /// A key on the command line, where every process can read it: development only
    #[arg(long, value_name = "KEY", hide = true)]
    pub(crate) api_key: Option<String>,
    /// The folder of the audit journal
    #[arg(long, value_name = "DIR")]
    pub(crate) audit_dir: Option<String>,
    /// error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
    /// pretty or json
    #[arg(long, value_name = "FORMAT")]
    pub(crate) log_format: Option<String>,
}

/// `palisade config`
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Say everything that is wrong, or that nothing is
    Check(ConfigFile),
    /// Print each effective value and where it came from; secrets are masked
    Show(ConfigFile),
    /// Print the JSON Schema of the file, for editors
    Schema,
}

/// Which file.
#[derive(Debug, Args)]
pub(crate) struct ConfigFile {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = "palisade.toml")]
    pub(crate) config: PathBuf,
}

/// `palisade audit`
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Check that nothing in a journal was changed, removed, added or reordered
    Verify {
        /// The folder of the journal
        dir: PathBuf,
    },
}

/// `palisade health`
#[derive(Debug, Args)]
pub(crate) struct Health {
    /// The gateway's address
    #[arg(default_value = "http://127.0.0.1:8080")]
    pub(crate) url: String,
    /// Certificates (PEM) to believe instead of the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// The name in the gateway's certificate, where it is not the address
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// A certificate (PEM) to show, where the gateway demands one
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,
}

/// `palisade connect`
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Connect {
    /// The server's MCP endpoint
    pub(crate) url: String,
    /// A file with the key, or with the secret for --signed: `SECRET` or `KEYID SECRET`; nobody else may read it
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Sign every request instead of sending a key
    #[arg(long)]
    pub(crate) signed: bool,
    /// The key id of the signatures, where the file does not say it
    #[arg(long, value_name = "ID", requires = "signed")]
    pub(crate) key_id: Option<String>,
    /// Send the key over plain HTTP to another machine, where everybody on the way can read it
    #[arg(long, requires = "key_file")]
    pub(crate) danger_plain_http: bool,
    /// Log in with a browser (OAuth) when the server asks for it
    #[arg(long, conflicts_with_all = ["key_file", "signed"])]
    pub(crate) oauth: bool,
    /// Who this is to the authorization server; without it, it registers there
    #[arg(long, value_name = "ID", requires = "oauth")]
    pub(crate) client_id: Option<String>,
    /// The one authorization server to trust
    #[arg(long, value_name = "URL", requires = "oauth")]
    pub(crate) issuer: Option<String>,
    /// Keep the login in this file; otherwise it ends with the program
    #[arg(long, value_name = "FILE", requires = "oauth")]
    pub(crate) token_file: Option<PathBuf>,
    /// Log in now and end, for clients that show nobody where to log in
    #[arg(long, requires = "token_file")]
    pub(crate) login: bool,
    /// error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
    /// pretty or json
    #[arg(long, value_name = "FORMAT")]
    pub(crate) log_format: Option<String>,
}

/// `palisade sign`
#[derive(Debug, Args)]
pub(crate) struct Sign {
    /// The HTTP method
    pub(crate) method: String,
    /// The whole address, with path and query
    pub(crate) url: String,
    /// A file with the secret, `SECRET` or `KEYID SECRET`, that nobody else may read
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// The key id, where the file does not say it
    #[arg(long, value_name = "ID")]
    pub(crate) key_id: Option<String>,
    /// The file that will be sent as body; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) body: Option<PathBuf>,
    /// A header that will be sent, as `NAME: VALUE`; may be repeated
    #[arg(long = "header", short = 'H', value_name = "HEADER")]
    pub(crate) headers: Vec<String>,
    /// The Idempotency-Key; with a body a random one without you
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
    /// How it is signed
    #[arg(long, value_enum, default_value = "headers")]
    pub(crate) scheme: SignScheme,
}

/// How a request is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SignScheme {
    /// `X-Signature` and the headers beside it
    Headers,
    /// HTTP Message Signatures, RFC 9421
    Rfc9421,
    /// `METHOD|path|timestamp|body`, for servers that know nothing else
    Compat,
}

impl From<SignScheme> for palisade_guard::sign::Scheme {
    fn from(scheme: SignScheme) -> Self {
        match scheme {
            SignScheme::Headers => Self::Headers,
            SignScheme::Rfc9421 => Self::Messages,
            SignScheme::Compat => Self::Compat,
        }
    }
}
