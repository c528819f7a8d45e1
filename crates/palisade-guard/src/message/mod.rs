//! Strict JSON-RPC and MCP, parsed once.
//!
//! [`read`] judges bytes and envelope; [`agree`] judges revision, mirrored headers and the shape of the method.
//! What comes out is a [`Call`]: positions in the bytes that came in, never a copy that could differ from them.
//!
//! The order of checks is that of the reference servers, so that a request with several faults gets the same
//! answer with and without the gateway: body, `_meta`, headers equal body, revision, method, parameters.

mod agree;
pub mod bare;
mod call;
pub mod envelope;
pub mod headers;
pub mod json;
pub mod method;
mod revision;
#[cfg(test)]
mod tests;

pub use agree::{Facts, agree, header_revision};
pub use call::{Call, Message, Targets};
pub use envelope::{Body, Envelope, Shape, read, read_answer};
pub use json::Bounds;
pub use method::{Form, Method, Target};
pub use revision::Revision;

/// What a message may be.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// Nesting and number of values.
    pub bounds: Bounds,
    /// Messages in one batch.
    pub batch: usize,
    /// Bytes of a tool's arguments.
    pub arguments: usize,
    /// How tools may be called.
    pub tool_names: ToolNames,
}

/// How tools may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolNames {
    /// 1 to 128 of ASCII letters, digits, `.`, `_`, `-`, `/`.
    Spec,
    /// 1 to 100 of ASCII letters, digits, `.`, `_`.
    Strict,
}

impl ToolNames {
    /// Whether a tool may be called so.
    pub fn allow(self, name: &str) -> bool {
        let (longest, marks): (usize, &[u8]) = match self {
            Self::Spec => (128, b"._-/"),
            Self::Strict => (100, b"._"),
        };
        (1..=longest).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || marks.contains(&byte))
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bounds: Bounds { depth: 64, nodes: 100_000, lone_surrogates: false },
            batch: 50,
            arguments: 1 << 20,
            tool_names: ToolNames::Spec,
        }
    }
}
