//! Demo MCP servers: something to guard on first contact, in tests and in benchmarks.
//!
//! Two desks, each a handful of tools that reach nothing outside this process: *everyday* (calculator, clock, …) and
//! *trading* (made-up prices, limits, quotes, a small shared state). [`Server`] serves them over a pair of byte streams
//! or over Streamable HTTP, to clients of the sessions era (2025-03-26, 2025-06-18, 2025-11-25) and of the stateless
//! era (2026-07-28).
//!
//! | to read | file |
//! | --- | --- |
//! | what a tool does | `everyday/*.rs`, `trading/*.rs`: plain functions, no MCP |
//! | how tools are listed and called | `tool.rs`, `server.rs` |
//! | how a call is turned down | `refusal.rs` |
//!
//! # Caveat
//! The servers have no protection of their own but size limits and loopback-only `Host` names: that is the gateway's work.

mod calendar;
mod decimal;
mod everyday;
mod http;
mod refusal;
mod server;
mod state;
mod tool;
mod toolset;
mod trading;

use std::io;

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
};

pub use server::Server;
pub use toolset::Toolset;

/// Serves one connection of newline-delimited JSON-RPC with a fresh [`Server`], until the client closes it.
///
/// Sessions that are to share the trading desk's state come from clones of one [`Server`] instead.
pub async fn serve<R, W>(toolset: Toolset, reader: R, writer: W) -> io::Result<()>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    Server::new(toolset).serve(reader, writer).await
}

/// Serves Streamable HTTP at `/mcp` with a fresh [`Server`], until the future is dropped.
pub async fn serve_http(toolset: Toolset, listener: TcpListener) -> io::Result<()> {
    Server::new(toolset).serve_http(listener).await
}
