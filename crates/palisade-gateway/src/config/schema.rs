//! The JSON Schema of `palisade.toml`: for editors, and for our own check of names and types.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::raw;

/// The schema, ready to be saved beside the file.
pub fn schema() -> String {
    format!("{:#}\n", value())
}

/// The schema without references: every setting is found by walking down.
pub(super) fn value() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    settings.into_generator().into_root_schema_for::<raw::File>().to_value()
}

/// The part that describes this dotted setting, which stands in no list.
pub(super) fn at<'s>(schema: &'s Value, setting: &str) -> Option<&'s Value> {
    setting.split('.').try_fold(schema, |schema, name| schema.get("properties")?.get(name))
}

/// The words a setting may be, if it may be one of several.
pub(super) fn words(schema: &Value) -> Option<Vec<&str>> {
    let plain = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
    let one_of = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    let told = one_of.flat_map(|variant| {
        let several = variant.get("enum").and_then(Value::as_array).into_iter().flatten();
        variant.get("const").into_iter().chain(several)
    });
    let words: Vec<&str> = plain.chain(told).filter_map(Value::as_str).collect();
    if words.is_empty() { None } else { Some(words) }
}

/// Whether the setting may be of this JSON type.
pub(super) fn is(schema: &Value, kind: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(one)) => one == kind,
        Some(Value::Array(several)) => several.iter().any(|one| one == kind),
        _ => false,
    }
}
