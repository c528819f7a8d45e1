//! How a demo tool says no: a code, words for the caller, and the facts behind them.
//!
//! A refusal is a *tool result* (`isError: true`), not a JSON-RPC error: the call was well formed and reached the
//! tool, and the model that made it should read why it failed and try again.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

/// What went wrong, under the names that every Palisade component uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) enum Code {
    #[serde(rename = "MCP-001")]
    InvalidArgs,
    #[serde(rename = "MCP-010")]
    InsufficientData,
    #[serde(rename = "MCP-011")]
    MissingConfiguration,
    #[serde(rename = "MCP-012")]
    InsufficientLiquidity,
    #[serde(rename = "MCP-013")]
    KeyNotFound,
    #[serde(rename = "MCP-014")]
    StorageQuotaExceeded,
    #[serde(rename = "MCP-015")]
    InvalidSymbol,
    #[serde(rename = "MCP-999")]
    InternalError,
}

/// A call that a tool turns down. Its fields are the `structuredContent` that the caller sees.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Refusal {
    /// The stable code of the reason.
    pub(crate) code: Code,
    /// The reason in words: which argument, which limit, which value.
    pub(crate) message: String,
    /// The facts behind the message, for programs.
    #[schemars(with = "serde_json::Map<String, Value>")]
    pub(crate) details: Value,
}

impl Refusal {
    /// A refusal for `code`; `details` is an object.
    pub(crate) fn new(code: Code, message: impl Into<String>, details: Value) -> Self {
        Self { code, message: message.into(), details }
    }

    /// `MCP-001` for one argument.
    pub(crate) fn argument(name: &str, problem: impl std::fmt::Display) -> Self {
        Self::new(Code::InvalidArgs, format!("{name}: {problem}"), json!({ "argument": name }))
    }
}

/// Requires between `least` and `most` characters in the argument called `name`.
pub(crate) fn characters_between(name: &str, text: &str, least: usize, most: usize) -> Result<usize, Refusal> {
    let count = text.chars().count();
    if (least..=most).contains(&count) {
        return Ok(count);
    }
    Err(Refusal::argument(name, format_args!("must have {least} to {most} characters, has {count}")))
}

/// Shortens what a caller sent before it is quoted back, so that a refusal is never larger than the call.
pub(crate) fn quoted(text: &str) -> String {
    const SHOWN: usize = 40;
    let mut shown: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    format!("\"{shown}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// E9: a refusal's wire shape is exactly code, message and details.
    #[test]
    fn the_shape_is_code_message_details() {
        let refusal = Refusal::argument("symbol", "is missing");
        assert_eq!(
            serde_json::to_value(refusal).unwrap(),
            json!({ "code": "MCP-001", "message": "symbol: is missing", "details": { "argument": "symbol" } })
        );
    }

    /// E9: what is quoted back is short and holds no raw control character.
    #[test]
    fn a_quotation_is_short_and_escaped() {
        assert_eq!(quoted("a\nb"), "\"a\\nb\"");
        assert_eq!(quoted(&"x".repeat(41)), format!("\"{}…\"", "x".repeat(40)));
    }

    /// E3: length limits count characters, not bytes, and both ends are allowed.
    #[test]
    fn length_counts_characters() {
        assert_eq!(characters_between("text", "äö", 2, 2), Ok(2));
        assert!(characters_between("text", "", 1, 2).is_err());
        assert!(characters_between("text", "abc", 1, 2).is_err());
    }
}
