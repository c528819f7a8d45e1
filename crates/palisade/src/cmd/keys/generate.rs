//! `palisade keys generate`

use std::process::ExitCode;

use palisade_guard::authenticate::Keys as Table;
use palisade_guard::digest::hex;

use crate::cli::KeyFormat;
use crate::cmd::serve::make_key;
use crate::say;

/// Does it.
pub(super) fn generate(format: KeyFormat) -> ExitCode {
    let key = make_key();
    let hash = hex(&Table::digest(key.as_bytes()));
    match format {
        KeyFormat::Text => {
            say::out(&key);
            say::err(format_args!("sha256 = \"{hash}\"   # for auth.keys in palisade.toml, or MCP_API_KEY_HASH"));
        }
        KeyFormat::Json => say::out(serde_json::json!({"key": key, "sha256": hash})),
    }
    ExitCode::SUCCESS
}
