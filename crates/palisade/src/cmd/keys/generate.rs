//! `palisade keys generate`

use std::process::ExitCode;

use palisade_guard::authenticate::Keys as Table;

use crate::cli::KeyFormat;
use crate::cmd::serve::make_key;
use crate::say;

/// Does it.
pub(super) fn generate(format: KeyFormat) -> ExitCode {
    let key = make_key();
    let hash = Table::digest(key.as_bytes()).iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    match format {
        KeyFormat::Text => {
            say::out(&key);
            say::err(format_args!("sha256 = \"{hash}\"   # for auth.keys in palisade.toml, or MCP_API_KEY_HASH"));
        }
        KeyFormat::Json => say::out(serde_json::json!({"key": key, "sha256": hash})),
    }
    ExitCode::SUCCESS
}
