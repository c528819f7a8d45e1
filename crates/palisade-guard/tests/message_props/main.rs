//! Strict JSON and messages against an independent reader: whatever the bytes, both see the same.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot be set up has failed")]

mod documents;
mod json;
mod message;
