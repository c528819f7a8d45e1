//! Where one message ends and the next begins: events and lines, from bytes as they arrive, cut anywhere.

pub mod chunks;
pub mod lines;
pub mod sse;
