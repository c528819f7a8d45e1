//! The form of the file: every name known, every value of its type, all faults at once.
//!
//! The parsed file is walked beside the JSON Schema made from `raw`. What does not fit is a fault and is left
//! out, so that the rest can still be judged; what fits is kept together with the line it stands on.

use std::ops::Range;
use std::sync::Arc;

use serde_json::Value as Schema;
use toml::de::{DeInteger, DeTable, DeValue};
use toml::{Spanned, Table, Value};

use super::fault::{Faults, Place};
use super::merge::Layered;
use super::schema;

/// Reads the text of a file into the layers. `false`: it is not TOML, and nothing of it was kept.
///
/// A text that is not TOML is read by guessing: faults in what was guessed would only mislead.
pub(super) fn read(text: &str, path: &str, root: &Schema, layered: &mut Layered, faults: &mut Faults) -> bool {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut walk = Walk { lines: Lines::of(text, path), layered, faults };
    for error in &errors {
        let place = walk.lines.place(error.span().unwrap_or_default());
        walk.faults.add("", place, format!("is not TOML: {}", error.message()), "correct the line");
    }
    if errors.is_empty() {
        walk.layered.tree = walk.table(table.get_ref(), root, "");
    }
    errors.is_empty()
}

struct Walk<'a> {
    lines: Lines,
    layered: &'a mut Layered,
    faults: &'a mut Faults,
}

impl Walk<'_> {
    fn table(&mut self, table: &DeTable<'_>, schema: &Schema, path: &str) -> Table {
        let properties = schema.get("properties").and_then(Schema::as_object);
        let others = schema.get("additionalProperties").filter(|others| others.is_object());
        let mut kept = Table::new();
        for (key, value) in table {
            let name: &str = key.get_ref();
            let setting = join(path, name);
            let Some(below) = properties.and_then(|known| known.get(name)).or(others) else {
                self.unknown(key.span(), name, path, schema);
                continue;
            };
            if let Some(value) = self.value(value, strip_null(below), &setting) {
                self.layered.places.insert(setting, self.lines.place(key.span()));
                kept.insert(name.to_owned(), value);
            } else {
                self.faults.tried(setting);
            }
        }
        kept
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, schema: &Schema, setting: &str) -> Option<Value> {
        let place = self.lines.place(value.span());
        match value.get_ref() {
            DeValue::Table(table) if schema::is(schema, "object") => {
                return Some(Value::Table(self.table(table, schema, setting)));
            }
            DeValue::Array(items) if schema::is(schema, "array") => {
                let below = schema.get("items").unwrap_or(&Schema::Null);
                let mut kept = Vec::with_capacity(items.len());
                for item in items {
                    let at = format!("{setting}[{}]", kept.len());
                    kept.extend(self.value(item, below, &at));
                    self.layered.places.insert(at, self.lines.place(item.span()));
                }
                return Some(Value::Array(kept));
            }
            DeValue::String(text) if schema::is(schema, "string") || schema::words(schema).is_some() => {
                return self.word(text, schema, setting, place);
            }
            DeValue::Integer(number) if schema::is(schema, "integer") => {
                return self.number(number, schema, setting, place);
            }
            DeValue::Boolean(switch) if schema::is(schema, "boolean") => return Some(Value::Boolean(*switch)),
            _ => {}
        }
        let problem = format!("is {}, not {}", kind(value.get_ref()), wanted(schema));
        self.faults.add(setting, place, problem, format!("write {}", wanted(schema)));
        None
    }

    fn word(&mut self, text: &str, schema: &Schema, setting: &str, place: Place) -> Option<Value> {
        match judge_word(text, schema) {
            Ok(()) => Some(Value::String(text.to_owned())),
            Err((problem, cure)) => {
                self.faults.add(setting, place, problem, cure);
                None
            }
        }
    }

    fn number(&mut self, number: &DeInteger<'_>, schema: &Schema, setting: &str, place: Place) -> Option<Value> {
        match judge_number(i64::from_str_radix(number.as_str(), number.radix()).ok(), schema) {
            Ok(number) => Some(Value::Integer(number)),
            Err((problem, cure)) => {
                self.faults.add(setting, place, format!("{number} {problem}"), cure);
                None
            }
        }
    }

    fn unknown(&mut self, span: Range<usize>, name: &str, path: &str, schema: &Schema) {
        let known = schema.get("properties").and_then(Schema::as_object).into_iter().flatten();
        let mut names: Vec<&str> = known.map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        let cure = match nearest(name, &names) {
            Some(near) => {
                self.faults.tried(join(path, near));
                format!("did you mean {near}?")
            }
            None => format!("known here: {}", names.join(", ")),
        };
        self.faults.add(&join(path, name), self.lines.place(span), "is not a setting", cure);
    }
}

/// Reads a text from the environment or a flag as this setting would stand in the file.
pub(super) fn from_text(text: &str, schema: &Schema) -> Result<Value, (String, String)> {
    if schema::is(schema, "integer") {
        let judged = judge_number(text.parse().ok(), schema);
        return judged.map(Value::Integer).map_err(|(problem, cure)| (format!("{text:?} {problem}"), cure));
    }
    if schema::is(schema, "boolean") {
        let switch = super::env::switch(text).map(Value::Boolean);
        return switch.ok_or_else(|| (format!("{text:?} is neither true nor false"), "write true or false".to_owned()));
    }
    if schema::is(schema, "array") {
        let items: Vec<&str> =
            if text.trim().is_empty() { Vec::new() } else { text.split(',').map(str::trim).collect() };
        if items.contains(&"") {
            return Err(("has an empty entry".to_owned(), "write a comma between entries and nowhere else".to_owned()));
        }
        return Ok(Value::Array(items.into_iter().map(Value::from).collect()));
    }
    judge_word(text, schema).map(|()| Value::from(text))
}

fn judge_word(text: &str, schema: &Schema) -> Result<(), (String, String)> {
    let Some(words) = schema::words(schema).filter(|words| !words.contains(&text)) else { return Ok(()) };
    let listed = words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ");
    let later = schema.get("x-later").and_then(Schema::as_array).into_iter().flatten();
    if later.filter_map(Schema::as_str).any(|word| word.eq_ignore_ascii_case(text)) {
        return Err((format!("this version does not have {text:?}"), format!("use one of {listed}")));
    }
    let folded = text.trim().to_ascii_lowercase();
    let cure = match nearest(&folded, &words) {
        Some(near) => format!("did you mean {near:?}?"),
        None => "write one of them".to_owned(),
    };
    Err((format!("{text:?} is not one of {listed}"), cure))
}

fn judge_number(number: Option<i64>, schema: &Schema) -> Result<i64, (String, String)> {
    let least = schema.get("minimum").and_then(Schema::as_i64).unwrap_or(0);
    let most = schema.get("maximum").and_then(Schema::as_i64).unwrap_or(u32::MAX.into());
    match number {
        Some(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err((format!("is not a whole number from {least} to {most}"), "write one that is".to_owned())),
    }
}

/// The known name that is most like this one, if any is like it at all.
pub(crate) fn nearest<'n>(name: &str, known: &[&'n str]) -> Option<&'n str> {
    let likeness = |other: &&str| strsim::jaro_winkler(name, other);
    let best = known.iter().copied().max_by(|one, other| likeness(one).total_cmp(&likeness(other)))?;
    (likeness(&best) > 0.8 || best.contains(name) && name.len() > 2).then_some(best)
}

/// The name of a setting below another, quoted where TOML wants quotes.
pub(super) fn join(path: &str, name: &str) -> String {
    let bare = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    let name = if bare { name.to_owned() } else { format!("{name:?}") };
    if path.is_empty() { name } else { format!("{path}.{name}") }
}

/// The part of an optional setting's schema that is not `null`.
fn strip_null(schema: &Schema) -> &Schema {
    let variants = schema.get("anyOf").and_then(Schema::as_array);
    variants.and_then(|all| all.iter().find(|one| !schema::is(one, "null"))).unwrap_or(schema)
}

const fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn wanted(schema: &Schema) -> &'static str {
    let kinds = [
        ("string", "a text in quotes"),
        ("integer", "a whole number"),
        ("boolean", "true or false"),
        ("array", "a list"),
        ("object", "a table"),
    ];
    kinds.iter().find(|(kind, _)| schema::is(schema, kind)).map_or("a text in quotes", |(_, words)| words)
}

/// Where lines end, to tell which line a byte stands on: a file may name thousands of keys.
struct Lines {
    ends: Vec<usize>,
    path: Arc<str>,
}

impl Lines {
    fn of(text: &str, path: &str) -> Self {
        Self { ends: memchr::memchr_iter(b'\n', text.as_bytes()).collect(), path: Arc::from(path) }
    }

    fn place(&self, span: Range<usize>) -> Place {
        let line = 1 + self.ends.partition_point(|end| *end < span.start);
        Place::File { path: Arc::clone(&self.path), line }
    }
}
