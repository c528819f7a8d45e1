//! How bytes come in and go out.

pub(crate) mod body;
pub(crate) mod collect;
mod frames;
mod heads;
pub(crate) mod http;
mod http2;
pub(crate) mod lines;
pub(crate) mod patient;
pub(crate) mod places;
pub(crate) mod socket;
mod standing;
pub(crate) mod stdio;
pub(crate) mod tls;
mod traffic;
pub(crate) mod wire;

pub(crate) use palisade_guard::framing::sse;
