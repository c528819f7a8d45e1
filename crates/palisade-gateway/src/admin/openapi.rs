//! The description of the REST interface for programs: `OpenAPI` 3.1, written from the types that requests are read into.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use super::keys::Rotation;
use super::tokens::{Done, Revocation};
use crate::keys::{Issued, Listed, Used, View, Wanted};
use crate::tokens;

/// One thing that can be asked for.
struct Endpoint {
    method: &'static str,
    path: &'static str,
    /// The scope it needs.
    scope: &'static str,
    summary: &'static str,
    body: Option<fn() -> Schema>,
    answer: fn() -> Schema,
}

/// Everything that needs a scope.
const ENDPOINTS: &[Endpoint] = &[
    endpoint(
        "get",
        "/api/keys",
        "palisade:keys:read",
        "Managed keys, the newest first, a page at a time",
        None,
        schema::<Listed>,
    ),
    endpoint(
        "post",
        "/api/keys",
        "palisade:keys:write",
        "Makes a managed key; its text is in the answer, this one time",
        Some(schema::<Wanted>),
        schema::<Issued>,
    ),
    endpoint("get", "/api/keys/{id}", "palisade:keys:read", "One managed key", None, schema::<View>),
    endpoint("delete", "/api/keys/{id}", "palisade:keys:write", "Withdraws a key for good", None, schema::<View>),
    endpoint(
        "post",
        "/api/keys/{id}/rotate",
        "palisade:keys:write",
        "Gives a key another secret; the one before works on for the time of `grace`",
        Some(schema::<Rotation>),
        schema::<Issued>,
    ),
    endpoint("post", "/api/keys/{id}/revoke", "palisade:keys:write", "As DELETE", None, schema::<View>),
    endpoint(
        "post",
        "/api/tokens",
        "palisade:tokens:write",
        "Makes an access token and a refresh token; they are in the answer, this one time",
        Some(schema::<tokens::Wanted>),
        schema::<tokens::Issued>,
    ),
    endpoint(
        "post",
        "/api/tokens/refresh",
        "none: the refresh token itself, as the Bearer credential",
        "The next pair; the refresh token is used up, and used again it ends its family",
        None,
        schema::<tokens::Issued>,
    ),
    endpoint(
        "post",
        "/api/tokens/revoke",
        "palisade:tokens:write",
        "Takes back a token, a family, or all tokens of a holder",
        Some(schema::<Revocation>),
        schema::<Done>,
    ),
    endpoint(
        "post",
        "/api/tokens/rotate-key",
        "palisade:tokens:write",
        "Puts a new key in force; what the one before signed stays good for its time",
        None,
        schema::<Done>,
    ),
    endpoint("get", "/api/keys/{id}/usage", "palisade:keys:read", "How a key was used", None, schema::<Used>),
];

const fn endpoint(
    method: &'static str,
    path: &'static str,
    scope: &'static str,
    summary: &'static str,
    body: Option<fn() -> Schema>,
    answer: fn() -> Schema,
) -> Endpoint {
    Endpoint { method, path, scope, summary, body, answer }
}

fn schema<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    settings.into_generator().into_root_schema_for::<T>()
}

/// The description, as a file.
pub fn openapi() -> String {
    let mut paths = Map::new();
    for endpoint in ENDPOINTS {
        let path = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(endpoint.method.to_owned(), operation(endpoint));
        }
    }
    let document = json!({
        "openapi": "3.1.0",
        "info": {"title": "Palisade", "version": env!("CARGO_PKG_VERSION"), "description": ABOUT},
        "paths": paths,
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "A managed or static key with the scope."}},
            "responses": {"Refused": {"description": REFUSED, "content": {"application/json": {"schema": refusal()}}}},
        },
    });
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

fn operation(endpoint: &Endpoint) -> Value {
    let content = |schema: fn() -> Schema| json!({"application/json": {"schema": schema()}});
    let mut operation = json!({
        "summary": endpoint.summary,
        "description": format!("Needs the scope `{}`.", endpoint.scope),
        "security": [{"key": [endpoint.scope]}],
        "responses": {
            "200": {"description": "Done", "content": content(endpoint.answer)},
            "default": {"$ref": "#/components/responses/Refused"},
        },
    });
    let Some(fields) = operation.as_object_mut() else { return operation };
    if let Some(body) = endpoint.body {
        let required = endpoint.path == "/api/keys";
        fields.insert("requestBody".into(), json!({"required": required, "content": content(body)}));
    }
    let id = json!({"type": "string", "pattern": "^[0-9a-z]{12}$"});
    let parameter = |name, place, required| json!([{"name": name, "in": place, "required": required, "schema": id}]);
    if endpoint.path.contains("{id}") {
        fields.insert("parameters".into(), parameter("id", "path", true));
    } else if endpoint.method == "get" {
        fields.insert("parameters".into(), parameter("after", "query", false));
    }
    operation
}

fn refusal() -> Value {
    let text = json!({"type": "string"});
    json!({
        "type": "object",
        "properties": {
            "code": text, "name": text, "message": text, "details": {"type": "object"}, "timestamp": text,
            "security_event": {"type": ["string", "null"]}, "correlation_id": text,
        },
    })
}

const ABOUT: &str = "The administration of a gateway. Times are RFC 3339 in UTC, durations a number with s, m, h or d. \
                     Unknown fields are refused, and so are bodies of more than 64 KiB.";
const REFUSED: &str = "Not done, and why: docs/reference/errors.md has every code. 401 without a credential that is \
                       known, 403 without the scope, 404 for an id that no key has, 409 for a name that is taken or a key \
                       that is over, 400 for a body that does not fit, 503 when the store or the journal cannot be written.";
