//! The built program, driven from outside: raw bytes, official clients, real servers. One module for each capability.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test ends at the first thing that is not there, and says what it saw"
)]

mod advisories;
mod aggregate;
mod bad_children;
mod children;
mod closed;
mod closed_pipes;
mod conformance;
mod connect;
mod differentials;
mod drain;
mod edge;
mod floods;
mod forgotten;
mod gate;
mod harness;
mod hostile;
mod limits;
mod long_streams;
mod managed_keys;
mod many_servers;
mod oauth;
mod once;
mod pages;
mod policy;
mod postgres;
mod production;
mod real_clients;
mod redis;
mod reload;
mod scopes;
mod signed;
mod stdio;
mod streams;
mod tls;
mod tokens;
mod upstream;
