//! Where one message ends and the next begins: events, lines and bodies, from bytes as they arrive, cut anywhere.

pub mod answer;
pub mod chunks;
pub mod lines;
pub mod sse;
