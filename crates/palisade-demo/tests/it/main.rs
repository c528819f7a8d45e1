//! Drives the built program as a client would: hand-written JSON in, JSON out.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends at the first thing that is not there")]

mod duplex;
mod http;
mod peer;
mod stdio;
