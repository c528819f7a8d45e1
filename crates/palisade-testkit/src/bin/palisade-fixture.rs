//! `palisade-fixture`: the conformance fixture on standard input and output, or on a TCP port.
//!
//! In stdio mode standard output carries MCP and nothing else; everything for people goes to standard error.

use std::{
    io::{self, Write},
    net::SocketAddr,
    process::ExitCode,
};

use clap::Parser;
use palisade_testkit::fixture::Fixture;
use tokio::net::TcpListener;

/// Serves everything that the official MCP conformance suite asks of a server.
#[derive(Parser)]
#[command(name = "palisade-fixture", version)]
struct Options {
    /// Speak MCP on standard input and output (the default).
    #[arg(long, conflicts_with = "listen")]
    stdio: bool,
    /// Serve Streamable HTTP at /mcp of this address; port 0 picks a free port.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Options::parse().listen {
        Some(address) => listen(address).await,
        None => Fixture::new().serve(tokio::io::stdin(), tokio::io::stdout()).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("palisade-fixture: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn listen(address: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    tell(&format!("listening on http://{}/mcp", listener.local_addr()?));
    Fixture::new().serve_http(listener).await
}

fn tell(line: &str) {
    // A closed standard error must not end the server, as `eprintln!` would.
    let _ = writeln!(io::stderr(), "{line}");
}
