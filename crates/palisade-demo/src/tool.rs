//! One demo tool: what is told about it, and the plain function that does it.
//!
//! The schemas come from the same Rust types that the function takes and gives, so they cannot drift apart. They are
//! written without `$ref`, and their root is always `type: object`, because some clients refuse anything else.

use std::sync::Arc;

use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings, transform::RestrictFormats};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    refusal::{Code, Refusal},
    state::State,
};

/// A tool of a demo server.
pub(crate) struct DemoTool {
    pub(crate) definition: Tool,
    run: Box<Run>,
}

type Run = dyn Fn(&State, JsonObject) -> Result<Value, Refusal> + Send + Sync;

/// How a tool presents itself in `tools/list`.
pub(crate) struct Sign {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) description: &'static str,
    pub(crate) effect: Effect,
}

/// What a call leaves behind; becomes the tool's annotations.
pub(crate) enum Effect {
    /// Nothing, and the same arguments give the same answer.
    Pure,
    /// Nothing, but the answer changes with time.
    Reads,
    /// A stored value, in place of the one before.
    Overwrites,
}

impl DemoTool {
    /// A tool that takes an `A` and gives an `O`.
    pub(crate) fn new<A, O>(sign: &Sign, run: fn(&State, &A) -> Result<O, Refusal>) -> Self
    where
        A: DeserializeOwned + JsonSchema + 'static,
        O: Serialize + JsonSchema + 'static,
    {
        let mut takes = schema_of::<A>();
        // Some clients refuse a schema without any, also when there is nothing to name.
        takes.entry("properties").or_insert_with(|| json!({}));
        let definition = Tool::new(sign.name, sign.description, takes)
            .with_title(sign.title)
            .with_raw_output_schema(Arc::new(answer_schema::<O>()))
            .with_annotations(sign.effect.annotations(sign.title));
        Self { definition, run: Box::new(move |state, arguments| answer(state, arguments, run)) }
    }

    /// The name by which the tool is called.
    pub(crate) fn name(&self) -> &str {
        &self.definition.name
    }

    /// Does what the tool does.
    pub(crate) fn call(&self, state: &State, arguments: JsonObject) -> Result<Value, Refusal> {
        (self.run)(state, arguments)
    }
}

impl Effect {
    fn annotations(&self, title: &str) -> ToolAnnotations {
        let (read_only, idempotent) = match self {
            Self::Pure | Self::Reads => (true, true),
            // Each write gives the value a new version, so a second one is not the same as the first.
            Self::Overwrites => (false, false),
        };
        ToolAnnotations::with_title(title)
            .read_only(read_only)
            .destructive(!read_only)
            .idempotent(idempotent)
            .open_world(false)
    }
}

fn answer<A, O>(
    state: &State,
    arguments: JsonObject,
    run: fn(&State, &A) -> Result<O, Refusal>,
) -> Result<Value, Refusal>
where
    A: DeserializeOwned,
    O: Serialize,
{
    let arguments: A = serde_json::from_value(Value::Object(arguments)).map_err(|fault| misfit(&fault.to_string()))?;
    serde_json::to_value(run(state, &arguments)?)
        .map_err(|_| Refusal::new(Code::InternalError, "the answer could not be written", json!({})))
}

/// Arguments of another shape than the tool's. The words may quote what the caller sent, so they are cut
/// and hold no control characters.
fn misfit(fault: &str) -> Refusal {
    const SHOWN: usize = 300;
    let shown: String =
        fault.chars().take(SHOWN).map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    Refusal::new(Code::InvalidArgs, format!("arguments: {shown}"), json!({}))
}

/// What a tool may answer: its own result, or a refusal. Clients check `structuredContent` against this also when
/// `isError` is set, so both shapes have to be told.
fn answer_schema<O: JsonSchema>() -> JsonObject {
    let mut whole = JsonObject::new();
    whole.insert("type".to_owned(), json!("object"));
    whole.insert("anyOf".to_owned(), json!([schema_of::<O>(), schema_of::<Refusal>()]));
    whole
}

fn schema_of<T: JsonSchema>() -> JsonObject {
    // `uint64` and its like are formats of Rust, not of JSON Schema.
    let mut formats = RestrictFormats::default();
    formats.infer_from_meta_schema = false;
    formats.allowed_formats.insert("date-time".into());
    let settings = SchemaSettings::draft2020_12().with_transform(formats).with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = SchemaGenerator::new(settings).into_root_schema_for::<T>();
    // The name and the purpose of a Rust type tell a caller nothing that the tool does not.
    schema.remove("title");
    schema.remove("description");
    match schema.to_value() {
        Value::Object(schema) => schema,
        _ => JsonObject::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// E9: arguments of a wrong shape are refused in few words, however long or odd the caller's own were.
    #[test]
    fn a_misfit_is_short_and_clean() {
        let refusal = misfit(&format!("unknown field `\n\u{1b}[31m{}`", "x".repeat(10_000)));
        assert_eq!(refusal.code, Code::InvalidArgs);
        assert!(refusal.message.starts_with("arguments: unknown field `  [31mxxx"));
        assert!(refusal.message.len() <= 320);
    }
}
