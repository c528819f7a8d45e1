//! `palisade-demo`: a demo MCP server on standard input and output, or on a TCP port.
//!
//! In stdio mode standard output carries MCP and nothing else; everything for people goes to standard error.

use std::{
    io::{self, Write},
    net::SocketAddr,
    process::ExitCode,
};

use clap::Parser;
use palisade_demo::{Server, Toolset};
use tokio::net::TcpListener;

/// Serves demo MCP tools: something to guard, test and measure.
#[derive(Parser)]
#[command(name = "palisade-demo", version)]
struct Options {
    /// The tools to serve.
    #[arg(value_enum, default_value = "all")]
    toolset: Toolset,
    /// Speak MCP on standard input and output (the default).
    #[arg(long, conflicts_with = "listen")]
    stdio: bool,
    /// Serve Streamable HTTP at /mcp of this address; port 0 picks a free port.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let server = Server::new(options.toolset);
    let outcome = match options.listen {
        Some(address) => listen(server, address).await,
        None => server.serve(tokio::io::stdin(), tokio::io::stdout()).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("palisade-demo: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn listen(server: Server, address: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    tell(&format!("listening on http://{}/mcp", listener.local_addr()?));
    server.serve_http(listener).await
}

fn tell(line: &str) {
    // A closed standard error must not end the server, as `eprintln!` would.
    let _ = writeln!(io::stderr(), "{line}");
}
