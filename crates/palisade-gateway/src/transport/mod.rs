//! How bytes come in and go out.

pub(crate) mod body;
pub(crate) mod collect;
mod heads;
pub(crate) mod http;
pub(crate) mod lines;
pub(crate) mod patient;
pub(crate) mod places;
mod standing;
pub(crate) mod stdio;
pub(crate) mod wire;

pub(crate) use palisade_guard::framing::sse;
