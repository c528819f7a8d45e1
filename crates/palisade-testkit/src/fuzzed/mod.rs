//! What must hold of whatever a reader of strangers' bytes lets pass, one function for each reader. `fuzz/` feeds them
//! with libFuzzer, the tests with changed seeds.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a panic is how they tell"
)]

pub mod answer;
pub mod certificate;
pub mod chunks;
pub mod config_toml;
pub mod events;
pub mod forwarded_header;
pub mod host_origin;
pub mod journal_line;
pub mod json_rpc;
pub mod lines;
pub mod login;
mod pieces;
mod plain;
pub mod signature;
pub mod token;

/// One of them.
pub type Target = fn(&[u8]);

/// All, with the names of their seeds' folders.
pub const ALL: [(&str, Target); 13] = [
    ("json_rpc", json_rpc::hold),
    ("events", events::hold),
    ("lines", lines::hold),
    ("chunks", chunks::hold),
    ("answer", answer::hold),
    ("forwarded_header", forwarded_header::hold),
    ("host_origin", host_origin::hold),
    ("config_toml", config_toml::hold),
    ("journal_line", journal_line::hold),
    ("token", token::hold),
    ("signature", signature::hold),
    ("certificate", certificate::hold),
    ("login", login::hold),
];
