//! Every effective value and where it came from, secrets masked.
//!
//! The lines are made from types that cannot print a secret, so masking is not something this file could forget.

use std::fmt::Write as _;

use serde_json::Value;

use super::checked::Auth;
use super::env::{Sets, TABLE, Vars};
use super::fault::Place;
use super::merge::Layered;
use super::raw;
use super::secret::SET;
use super::shape::join;

/// One line: a setting, its value as it may be seen, its origin.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) setting: String,
    pub(super) value: String,
    pub(super) place: Place,
    origin: String,
}

/// The lines of a configuration.
pub(super) fn lines(raw: &raw::File, auth: &Auth, layered: &Layered, vars: &Vars) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Ok(tree) = serde_json::to_value(raw) {
        walk("", &tree, layered, &mut lines);
    }
    let keys = auth.keys.iter().map(|key| format!("key:{}", key.name));
    for setting in keys.chain(auth.clients.iter().map(|client| format!("client:{}", client.name))) {
        lines.push(Line { setting, value: SET.to_owned(), place: Place::Default, origin: "a caller".to_owned() });
    }
    for row in TABLE {
        let (set, default) = match row.sets {
            Sets::Setting(_) | Sets::Port | Sets::DisableAuth => continue,
            Sets::Later { default, .. } => (vars.get(row.name), default),
            Sets::ServerMode => (vars.get(row.name), "http"),
            Sets::Keys | Sets::Key(_) | Sets::KeyHashes | Sets::ClientSecret => (vars.get(row.name), ""),
        };
        let value = match set {
            Some(_) if row.secret => SET.to_owned(),
            Some(text) => quoted(&text.to_string_lossy()),
            None if default.is_empty() => UNSET.to_owned(),
            None => quoted(default),
        };
        let place = if set.is_some() { Place::Env(row.name) } else { Place::Default };
        let later = if matches!(row.sets, Sets::Later { .. }) { ", not used by this version" } else { "" };
        let origin = format!("{place}{later}");
        lines.push(Line { setting: row.name.to_owned(), value, place, origin });
    }
    lines
}

fn walk(setting: &str, value: &Value, layered: &Layered, lines: &mut Vec<Line>) {
    match value {
        Value::Object(table) => {
            for (name, value) in table {
                walk(&join(setting, name), value, layered, lines);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (index, item) in items.iter().enumerate() {
                walk(&format!("{setting}[{index}]"), item, layered, lines);
            }
        }
        plain => lines.push(Line {
            setting: setting.to_owned(),
            value: if plain.is_null() { UNSET.to_owned() } else { written(plain) },
            place: layered.place(setting),
            origin: layered.place(setting).to_string(),
        }),
    }
}

/// A value as TOML has it, on one line.
fn written(value: &Value) -> String {
    match value {
        Value::String(text) if text == SET => SET.to_owned(),
        Value::String(text) => quoted(text),
        Value::Array(items) => format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => quoted.extend(letter.escape_unicode()),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// The lines in columns.
pub(super) fn page(lines: &[Line]) -> String {
    let mut page = String::new();
    for line in lines {
        let left = format!("{} = {}", line.setting, line.value);
        let _ = writeln!(page, "{left:<60} # {}", line.origin);
    }
    page
}

const UNSET: &str = "<unset>";
