//! Strict JSON and messages against an independent reader: whatever the bytes, both see the same.

mod documents;
mod json;
mod message;
