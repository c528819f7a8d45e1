//! `storage.shared_state.get` and `.set`: a small memory that all callers of one server share.
//!
//! It is bounded on every side: 256 keys, 128 characters for each key, 16,384 bytes of JSON for each value. Each write
//! gives the value the next version, so a caller sees whether somebody else (or a repeated call) wrote in between.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::refusal::{Code, Refusal, characters_between, quoted};

/// The stored values.
#[derive(Default)]
pub(crate) struct Shelf {
    slots: BTreeMap<String, Slot>,
}

struct Slot {
    value: Value,
    version: u64,
}

/// Which value to read.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetArguments {
    /// The key: letters, digits and . _ : / -
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z0-9._:/-]+$"))]
    key: String,
}

/// Which value to write.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetArguments {
    /// The key: letters, digits and . _ : / -
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z0-9._:/-]+$"))]
    key: String,
    /// Any JSON value of at most 16,384 bytes.
    value: Value,
}

/// A stored value.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Read {
    key: String,
    /// What was stored.
    value: Value,
    /// How often the key has been written.
    version: u64,
}

/// What a write did.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Written {
    key: String,
    /// How often the key has been written, this time included.
    version: u64,
    /// The size of the value as JSON.
    bytes: usize,
    /// How many keys there are now.
    keys: usize,
}

/// Reads one value.
pub(crate) fn get(shelf: &Shelf, arguments: &GetArguments) -> Result<Read, Refusal> {
    let key = checked_key(&arguments.key)?;
    let slot = shelf.slots.get(key).ok_or_else(|| {
        let message = format!("key: nothing is stored under {}", quoted(key));
        Refusal::new(Code::KeyNotFound, message, json!({ "argument": "key" }))
    })?;
    Ok(Read { key: key.to_owned(), value: slot.value.clone(), version: slot.version })
}

/// Writes one value.
pub(crate) fn set(shelf: &mut Shelf, arguments: &SetArguments) -> Result<Written, Refusal> {
    let key = checked_key(&arguments.key)?;
    let bytes = serde_json::to_vec(&arguments.value).map_or(usize::MAX, |json| json.len());
    if bytes > MOST_BYTES {
        return Err(over_quota("value", "bytes", bytes, MOST_BYTES));
    }
    if !shelf.slots.contains_key(key) && shelf.slots.len() >= MOST_KEYS {
        return Err(over_quota("key", "keys", shelf.slots.len() + 1, MOST_KEYS));
    }
    let slot = shelf.slots.entry(key.to_owned()).or_insert(Slot { value: Value::Null, version: 0 });
    slot.value = arguments.value.clone();
    slot.version = slot.version.saturating_add(1);
    let version = slot.version;
    Ok(Written { key: key.to_owned(), version, bytes, keys: shelf.slots.len() })
}

fn checked_key(key: &str) -> Result<&str, Refusal> {
    characters_between("key", key, 1, 128)?;
    if key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:/-".contains(&byte)) {
        return Ok(key);
    }
    Err(Refusal::argument("key", format_args!("may hold letters, digits and . _ : / - only, not {}", quoted(key))))
}

fn over_quota(argument: &str, unit: &str, requested: usize, allowed: usize) -> Refusal {
    Refusal::new(
        Code::StorageQuotaExceeded,
        format!("{argument}: {requested} {unit} would be stored, {allowed} are allowed"),
        json!({ "argument": argument, "requested": requested, "allowed": allowed }),
    )
}

const MOST_KEYS: usize = 256;
const MOST_BYTES: usize = 16_384;

#[cfg(test)]
mod tests {
    use super::*;

    fn write(shelf: &mut Shelf, key: &str, value: Value) -> Result<Written, Refusal> {
        set(shelf, &SetArguments { key: key.to_owned(), value })
    }

    fn read(shelf: &Shelf, key: &str) -> Result<Read, Refusal> {
        get(shelf, &GetArguments { key: key.to_owned() })
    }

    /// K2: what is written can be read; each write is a new version.
    #[test]
    fn reads_what_was_written() {
        let mut shelf = Shelf::default();
        write(&mut shelf, "desk/1", json!({ "a": [1, null] })).unwrap();
        let written = write(&mut shelf, "desk/1", json!("b")).unwrap();
        assert_eq!(written, Written { key: "desk/1".to_owned(), version: 2, bytes: 3, keys: 1 });
        let known = Read { key: "desk/1".to_owned(), value: json!("b"), version: 2 };
        assert_eq!(read(&shelf, "desk/1"), Ok(known));
    }

    /// K2: MCP-013 for a key that was never written.
    #[test]
    fn unknown_keys_are_not_found() {
        assert_eq!(read(&Shelf::default(), "nothing").unwrap_err().code, Code::KeyNotFound);
    }

    /// K2: MCP-014 for a value too large, and for one key too many; keys that exist can still be written.
    #[test]
    fn quotas_hold() {
        let mut shelf = Shelf::default();
        assert_eq!(write(&mut shelf, "a", json!("x".repeat(MOST_BYTES - 2))).unwrap().bytes, MOST_BYTES);
        let refusal = write(&mut shelf, "a", json!("x".repeat(MOST_BYTES - 1))).unwrap_err();
        assert_eq!(refusal.code, Code::StorageQuotaExceeded);
        for key in 1..MOST_KEYS {
            write(&mut shelf, &key.to_string(), json!(null)).unwrap();
        }
        assert_eq!(write(&mut shelf, "one-more", json!(1)).unwrap_err().code, Code::StorageQuotaExceeded);
        assert_eq!(write(&mut shelf, "1", json!(1)).unwrap().version, 2);
    }

    /// E3: keys are short and plain.
    #[test]
    fn keys_are_plain() {
        let mut shelf = Shelf::default();
        for key in ["", "a b", "a\n", "ä", &"k".repeat(129)] {
            assert_eq!(write(&mut shelf, key, json!(1)).unwrap_err().code, Code::InvalidArgs, "{key}");
            assert_eq!(read(&shelf, key).unwrap_err().code, Code::InvalidArgs, "{key}");
        }
        assert!(write(&mut shelf, &"k".repeat(128), json!(1)).is_ok());
    }
}
