//! What happened: one record for each arrival, in a chain that shows every later change.

pub mod chain;
mod line;
pub mod record;
pub mod verify;
