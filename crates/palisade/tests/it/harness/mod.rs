//! What the tests with real clients and servers share: the gateway and other programs as processes, the clients, the
//! journal.
//!
//! A test starts a [`Gateway`], lets clients visit it, and stops it. Stopping checks that the gateway ended in order, that
//! none of its children is left, and that the journal is intact and holds one closing line for each arrival.

mod client;
mod gateway;
mod journal;
mod parts;
mod process;
mod rust_client;
mod rust_login;

pub(crate) use client::{Client, Plan, Report, all_recorded};
pub(crate) use gateway::{Gateway, Setup};
pub(crate) use journal::Journal;
pub(crate) use parts::{built, parts, program, python, script, search_path};
pub(crate) use process::Process;
