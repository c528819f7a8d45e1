//! The page of settings, from the JSON Schema of `palisade.toml` and the list of what production refuses.

use std::fmt::Write;

use palisade_gateway::config::{production, schema};

use super::NOTE;
use super::json::Value;
use super::table::{code, table};

pub(super) fn page() -> String {
    let schema = schema();
    let root = Value::new(&schema);
    let mut page = format!("{NOTE}\n\n# palisade.toml\n\n{INTRODUCTION}\n");
    section("", root, &mut page);
    page += REFUSED;
    for rule in production::RULES {
        let _ = writeln!(page, "* {}", rule.refuses);
    }
    page
}

/// The plain settings of a table, then the tables in it, each under its own name.
fn section(name: &str, schema: Value<'_>, page: &mut String) {
    if !name.is_empty() {
        let _ = writeln!(page, "\n## `{name}`\n\n{}\n", words(schema));
    }
    let (mut rows, mut below) = (Vec::new(), Vec::new());
    for (key, value) in schema.get("properties").map(Value::members).unwrap_or_default() {
        let inner = if name.is_empty() { key.clone() } else { format!("{}.{key}", name.trim_matches(['[', ']'])) };
        if value.get("properties").is_some() {
            below.push((format!("[{inner}]"), value));
        } else if let Some(item) = value.get("items").filter(|item| item.get("properties").is_some()) {
            below.push((format!("[[{inner}]]"), item));
        } else if let Some(item) = value.get("additionalProperties").filter(|item| item.get("properties").is_some()) {
            below.push((format!("[{inner}.NAME]"), item));
        } else {
            rows.push([code(&key), code(&default(value)), meaning(value)]);
        }
    }
    if !rows.is_empty() {
        *page += &table(["setting", "default", "what it is"], rows);
    }
    for (name, value) in below {
        section(&name, value, page);
    }
}

fn words(schema: Value<'_>) -> String {
    schema.get("description").and_then(Value::text).unwrap_or_default().replace('\n', " ")
}

fn default(schema: Value<'_>) -> String {
    schema.get("default").map(Value::written).filter(|text| text != "null").unwrap_or_default()
}

/// What it is, the words it may be, and the numbers it may lie between.
fn meaning(schema: Value<'_>) -> String {
    let mut text = words(schema);
    for (_, choice) in schema.get("oneOf").map(Value::members).unwrap_or_default() {
        if let Some(word) = choice.get("const").and_then(Value::text) {
            let _ = write!(text, " `{word}`: {}", words(choice));
        }
    }
    for (key, says) in [("minimum", "At least"), ("maximum", "At most")] {
        if let Some(number) = schema.get(key).map(Value::written).filter(|number| number != "0") {
            let _ = write!(text, " {says} {number}.");
        }
    }
    text
}

const INTRODUCTION: &str = "\
Every setting, its value without you, and what it is. `palisade config check` names every fault of a file at once,
`palisade config show` prints what is in effect and where it came from. For editors:
[palisade.schema.json](palisade.schema.json), which `palisade config schema` prints too. A page that explains itself is
[examples/palisade.toml](../../examples/palisade.toml); environment variables are in [environment.md](environment.md).
";

const REFUSED: &str = "
## What production refuses

With `environment` at `production` or `staging` the gateway does not start with any of these. All are named at once,
before the socket opens, and the exit code is 78.

";

#[cfg(test)]
mod tests {
    use super::page;

    #[test]
    fn every_table_and_rule_is_there() {
        let page = page();
        let tables = ["[log]", "[listen]", "[[auth.keys]]", "[servers.NAME]", "[limits]", "[timeouts]", "[audit]"];
        for table in tables {
            assert!(page.contains(&format!("\n## `{table}`\n")), "{table}");
        }
        assert!(page.contains("| `per_caller_per_minute` | `1000` | Calls of one caller."));
        assert!(page.contains("* a key on the command line"));
    }
}
