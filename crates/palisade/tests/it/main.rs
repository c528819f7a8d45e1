//! Drives the built program: raw bytes, official clients, real servers. One module for each capability.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "a test ends at the first thing that is not there"
)]

mod conformance;
mod harness;
mod real_clients;
