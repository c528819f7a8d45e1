//! Placeholder entry, replaced by the crate.
fn main() {}
