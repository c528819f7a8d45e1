//! The gateway: assembly, and everything that touches the world, around the judgements of `palisade-guard`.
//!
//! Start reading at `pipeline`: the life of one call, top to bottom.

mod admin;
mod aggregate;
mod arrival;
mod batch;
mod caller;
pub mod config;
mod counters;
mod current;
mod descriptors;
mod ending;
mod follower;
mod idempotency;
mod issuers;
pub mod journal;
pub mod keys;
mod lasting;
pub mod login;
mod passage;
mod pipeline;
mod projected;
mod random;
mod record;
mod reload;
mod reply;
mod route;
mod running;
mod servers;
mod session;
mod snapshot;
mod splice;
pub mod store;
mod tasks;
mod time;
pub mod tokens;
mod transport;
mod upstream;

pub use admin::openapi;
pub use random::new_key;
pub use reload::{Asker, Outcome};
pub use running::{Running, Start, StartError, serve_stdio, start};
pub use time::now;
pub use upstream::http::tls::config as tls_client;
pub use upstream::stdio::{InProcess, keeper};
