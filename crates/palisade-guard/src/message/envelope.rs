//! The JSON-RPC envelope (JSON-RPC 2.0; MCP, basic, "Messages"), read once.
//!
//! A message is a request, a notification or a response, told apart by its members alone. No member may look like
//! an envelope member in other letters (`Method`, `paramſ`): some servers fold case when they read, so such a key
//! would be judged as noise here and obeyed there (GHSA-wvj2-96wp-fq3f, GHSA-4gph-2hhr-5mwg).

use std::ops::Range;

use bytes::Bytes;

use super::json::{self, Bounds, Fault, Kind, Outline};
use super::{Config, Form};
use crate::refusal::{Detail, Reason, Refusal};

/// One message whose envelope is good.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// Exactly the bytes of this message.
    pub bytes: Bytes,
    /// Where its outermost members stand.
    pub outline: Outline,
    /// What it is.
    pub shape: Shape,
    params: Option<u32>,
}

/// What a message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// Asks `method`, to be answered under `id`.
    Request {
        /// Where the id stands, as it was written.
        id: Range<usize>,
        /// The method.
        method: Box<str>,
    },
    /// Tells `method`.
    Notification {
        /// The method.
        method: Box<str>,
    },
    /// Answers the other side's request `id`.
    Response {
        /// Where the id stands; `None` where an error answers an unreadable request.
        id: Option<Range<usize>>,
        /// `error.code`, where it is an error.
        error: Option<i64>,
    },
}

/// A body: one message, or an array of them.
#[derive(Debug, Clone)]
pub enum Body {
    /// One message.
    One(Envelope),
    /// A batch, not empty.
    Batch(Vec<Envelope>),
}

const ENVELOPE: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];
const PARAMS: [&str; 7] = ["name", "arguments", "uri", "_meta", "ref", "taskId", "requestState"];

/// An id longer than this is refused: it is echoed, logged and kept while the call lives.
const ID_BYTES: usize = 256;

impl Envelope {
    /// The id as it was written.
    pub fn id(&self) -> Option<Bytes> {
        match &self.shape {
            Shape::Request { id, .. } | Shape::Response { id: Some(id), .. } => Some(self.bytes.slice(id.clone())),
            _ => None,
        }
    }

    /// Request or notification; `None` for a response.
    pub const fn form(&self) -> Option<Form> {
        match self.shape {
            Shape::Request { .. } => Some(Form::Request),
            Shape::Notification { .. } => Some(Form::Notification),
            Shape::Response { .. } => None,
        }
    }

    /// The index of `params`.
    pub const fn params(&self) -> Option<u32> {
        self.params
    }

    /// Where `params` stands.
    pub fn params_span(&self) -> Option<Range<usize>> {
        self.outline.get(&self.bytes, None, "params").map(|(_, member)| member.value.clone())
    }

    /// The member at `path` below `params`.
    pub fn param(&self, path: &[&str]) -> Option<(Range<usize>, Kind)> {
        let mut at = self.params()?;
        let mut found = None;
        for name in path {
            let (index, member) = self.outline.get(&self.bytes, Some(at), name)?;
            at = index;
            found = Some((member.value.clone(), member.kind));
        }
        found
    }
}

/// Reads what a caller sent.
pub fn read(config: &Config, body: Bytes) -> Result<Body, Refusal> {
    let outline = json::scan(&body, config.bounds).map_err(|fault| refuse(fault, config.bounds))?;
    if outline.root == Kind::Object {
        let envelope = envelope(body, outline)?;
        reject_lookalikes(&envelope)?;
        return Ok(Body::One(envelope));
    }
    if outline.root != Kind::Array {
        return Err(malformed("the message must be an object", ""));
    }
    let elements: Vec<_> = outline.children(None).map(|(_, element)| element.value.clone()).collect();
    if elements.is_empty() {
        return Err(malformed("a batch must not be empty", ""));
    }
    if elements.len() > config.batch {
        return Err(Refusal::new(Reason::PayloadTooLarge)
            .says("too many messages in one batch (limits.batch)")
            .limit(number(config.batch), number(elements.len())));
    }
    let read_one = |span: Range<usize>| {
        let bytes = body.slice(span);
        let outline = json::scan(&bytes, config.bounds).map_err(|fault| refuse(fault, config.bounds))?;
        let envelope = envelope(bytes, outline)?;
        reject_lookalikes(&envelope)?;
        Ok(envelope)
    };
    elements.into_iter().map(read_one).collect::<Result<Vec<_>, Refusal>>().map(Body::Batch)
}

/// Reads what an upstream sent: same envelope, without the care about other letters, which harms nobody here.
pub fn read_answer(bounds: Bounds, bytes: Bytes) -> Result<Envelope, Refusal> {
    let outline = json::scan(&bytes, bounds).map_err(|fault| refuse(fault, bounds))?;
    envelope(bytes, outline)
}

fn envelope(bytes: Bytes, outline: Outline) -> Result<Envelope, Refusal> {
    if outline.root != Kind::Object {
        return Err(malformed("the message must be an object", ""));
    }
    let shape = shape(&bytes, &outline)?;
    let params = outline.get(&bytes, None, "params").map(|(index, _)| index);
    Ok(Envelope { bytes, outline, shape, params })
}

fn shape(text: &[u8], outline: &Outline) -> Result<Shape, Refusal> {
    let member = |name| outline.get(text, None, name).map(|(_, member)| member);
    if member("jsonrpc").is_none_or(|version| text.get(version.value.clone()) != Some(b"\"2.0\"")) {
        return Err(malformed("jsonrpc must be \"2.0\"", "/jsonrpc"));
    }
    if member("params").is_some_and(|params| params.kind != Kind::Object) {
        return Err(malformed("params must be an object", "/params"));
    }
    let id = match member("id") {
        Some(id) if matches!(id.kind, Kind::String | Kind::Integer) => Some(id.value.clone()),
        Some(id) if id.kind == Kind::Null && member("error").is_some() => None,
        Some(_) => return Err(malformed("id must be a string or an integer", "/id")),
        None => None,
    };
    if let Some(id) = id.as_ref().filter(|id| id.len() > ID_BYTES) {
        return Err(malformed("id is too long", "/id").limit(number(ID_BYTES), number(id.len())));
    }
    let (result, error) = (member("result"), member("error"));
    let Some(method) = member("method") else {
        return response(text, outline, id, result.is_some());
    };
    if method.kind != Kind::String || result.is_some() || error.is_some() {
        return Err(malformed("method must be a string, without result or error beside it", "/method"));
    }
    let method: Box<str> = json::text_of(text.get(method.value.clone()).unwrap_or_default()).into();
    Ok(match id {
        Some(id) => Shape::Request { id, method },
        None => Shape::Notification { method },
    })
}

fn response(text: &[u8], outline: &Outline, id: Option<Range<usize>>, result: bool) -> Result<Shape, Refusal> {
    let Some((index, error)) = outline.get(text, None, "error") else {
        return match id {
            Some(id) if result => Ok(Shape::Response { id: Some(id), error: None }),
            _ => Err(malformed("the message has no method, and is no response either", "/method")),
        };
    };
    let code = outline.get(text, Some(index), "code").filter(|(_, code)| code.kind == Kind::Integer);
    let code = code.and_then(|(_, code)| std::str::from_utf8(text.get(code.value.clone())?).ok()?.parse().ok());
    match code {
        Some(code) if !result && error.kind == Kind::Object => Ok(Shape::Response { id, error: Some(code) }),
        _ => Err(malformed("error must be an object with an integer code, without result beside it", "/error")),
    }
}

fn reject_lookalikes(envelope: &Envelope) -> Result<(), Refusal> {
    let among = |parent: Option<u32>, known: &[&str], pointer: &'static str| {
        for (_, member) in envelope.outline.children(parent) {
            let key = envelope.outline.key(&envelope.bytes, member);
            let lookalike = if key.is_ascii() {
                known.iter().any(|name| key.len() == name.len() && in_other_case(key, name))
            } else {
                known.iter().any(|name| folds_to(key, name))
            };
            if lookalike {
                return Err(malformed("a key differs from a reserved key only in case or look", pointer));
            }
        }
        Ok(())
    };
    among(None, &ENVELOPE, "")?;
    envelope.params().map_or(Ok(()), |params| among(Some(params), &PARAMS, "/params"))
}

/// `Method`, but not `method`.
fn in_other_case(key: &[u8], known: &str) -> bool {
    key != known.as_bytes() && key.eq_ignore_ascii_case(known.as_bytes())
}

/// Equal when case is folded, with letters from elsewhere: `paramſ` (U+017F folds to s), `toKen` with U+212A.
fn folds_to(key: &[u8], known: &str) -> bool {
    if key.len() > known.len() * 3 {
        return false;
    }
    let Ok(key) = std::str::from_utf8(key) else { return false };
    let fold = |ch: char| ch.to_uppercase().flat_map(char::to_lowercase);
    key.chars().flat_map(fold).eq(known.chars().flat_map(fold))
}

fn refuse(fault: Fault, bounds: Bounds) -> Refusal {
    let at = |offset| Refusal::new(Reason::NotJson).with("offset", Detail::Number(number(offset)));
    match fault {
        Fault::NotUtf8(offset) => at(offset).says("the body is not valid UTF-8"),
        Fault::Syntax(offset) => at(offset),
        Fault::DuplicateKey(offset) => at(offset).says("an object has the same key twice"),
        Fault::LoneSurrogate(offset) => at(offset).says("a string holds half a surrogate pair"),
        Fault::TooDeep => Refusal::new(Reason::PayloadTooLarge)
            .says("the body is nested too deep (limits.depth)")
            .with("limit", Detail::Number(number(bounds.depth))),
        Fault::TooMany => Refusal::new(Reason::PayloadTooLarge)
            .says("the body holds too many values")
            .with("limit", Detail::Number(number(bounds.nodes))),
    }
}

fn malformed(words: &'static str, pointer: &'static str) -> Refusal {
    let refusal = Refusal::new(Reason::NotAMessage).says(words);
    if pointer.is_empty() { refusal } else { refusal.at(pointer) }
}

fn number(size: usize) -> u64 {
    size.try_into().unwrap_or(u64::MAX)
}
