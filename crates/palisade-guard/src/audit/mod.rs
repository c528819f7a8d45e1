//! What happened: one record for each arrival, in a chain that shows every later change.

pub mod chain;
pub mod change;
mod line;
pub mod record;
pub mod verify;
