//! Revision, headers and body must tell one story before anything is decided from any of them.

use std::borrow::Cow;
use std::sync::Arc;

use http::HeaderMap;

use super::json::{self, Kind};
use super::{Config, Envelope, Form, Message, Method, Revision, Shape, Target, Targets, headers};
use crate::refusal::{Detail, Reason, Refusal};

const META_REVISION: &str = "io.modelcontextprotocol/protocolVersion";
const META_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

/// What is known of a message from outside its body.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Headers of the request; `None` where the transport has none (stdio).
    pub headers: Option<&'a HeaderMap>,
    /// The revision the session was opened with, if there is one.
    pub session: Option<Revision>,
    /// Whether the message stood in an array.
    pub batched: bool,
    /// Methods beyond the specification that the server's configuration lets pass.
    pub extra_methods: &'a [Box<str>],
}

/// What the revision header says, before the body is read: `Ok(None)` where there is none.
pub fn header_revision(headers: &HeaderMap) -> Result<Option<Result<Revision, &[u8]>>, Refusal> {
    let value = headers::single(headers, &headers::REVISION)?;
    Ok(value.map(|value| Revision::named(value.as_bytes()).ok_or(value.as_bytes())))
}

/// Judges one message against its headers and its method's shape.
pub fn agree(config: &Config, envelope: Envelope, facts: Facts<'_>) -> Result<Message, Refusal> {
    let revision = revision(&envelope, facts)?;
    if revision.is_modern() {
        modern_envelope(&envelope, facts.batched)?;
    } else if facts.batched && !revision.has_batches() {
        return Err(Refusal::new(Reason::NotAMessage).says("this protocol revision has no batches"));
    }
    let (Shape::Request { method: name, .. } | Shape::Notification { method: name }) = &envelope.shape else {
        return Ok(Message { envelope, revision, method: None, targets: Targets::Nothing });
    };
    if revision.is_modern()
        && let Some(headers) = facts.headers
        && (envelope.form() == Some(Form::Request) || headers.contains_key(&headers::METHOD))
    {
        headers::mirrors(headers, &headers::METHOD, name)?;
    }
    let method = known(&envelope, name, revision, facts)?;
    if facts.batched && name.as_ref() == "initialize" {
        return Err(Refusal::new(Reason::NotAMessage).says("initialize must not stand in a batch"));
    }
    let targets = method.map_or(Ok(Targets::Nothing), |method| targets(config, &envelope, method))?;
    if revision.is_modern()
        && let (Some(headers), Some(method), Targets::One(target)) = (facts.headers, method, &targets)
        && method.is_mirrored()
    {
        headers::mirrors(headers, &headers::NAME, target)?;
    }
    shape_of_params(config, &envelope)?;
    Ok(Message { envelope, revision, method, targets })
}

/// Which revision a message is in. Both places that name it must name the same.
fn revision(envelope: &Envelope, facts: Facts<'_>) -> Result<Revision, Refusal> {
    let in_body = text(envelope, &["_meta", META_REVISION]);
    let in_header = match facts.headers {
        Some(headers) => header_revision(headers)?,
        None => None,
    };
    let Some(in_body) = in_body else {
        return match in_header {
            Some(Ok(revision)) if revision.is_modern() && envelope.form() == Some(Form::Request) => {
                Err(meta_missing(META_REVISION))
            }
            Some(Ok(revision)) => in_session(revision, facts.session),
            Some(Err(unknown)) => Err(unsupported(&String::from_utf8_lossy(unknown))),
            None => Ok(facts.session.unwrap_or(Revision::ASSUMED)),
        };
    };
    if facts.headers.is_some() {
        let said = match in_header {
            None => return Err(headers::mismatch("MCP-Protocol-Version", "the header is missing")),
            Some(Ok(revision)) => revision.name().as_bytes(),
            Some(Err(unknown)) => unknown,
        };
        if said != in_body.as_bytes() {
            return Err(headers::mismatch("MCP-Protocol-Version", "the header disagrees with the body"));
        }
    }
    match Revision::named(in_body.as_bytes()) {
        Some(revision) if revision.is_modern() => Ok(revision),
        _ => Err(unsupported(&in_body)),
    }
}

fn in_session(revision: Revision, session: Option<Revision>) -> Result<Revision, Refusal> {
    match session {
        Some(negotiated) if negotiated != revision => {
            let words = format!("this session speaks {}", negotiated.name());
            Err(Refusal::new(Reason::UnsupportedRevision).says(words).at("MCP-Protocol-Version"))
        }
        _ => Ok(revision),
    }
}

/// What 2026-07-28 asks of every message: no batch, no response, `_meta` complete in requests.
fn modern_envelope(envelope: &Envelope, batched: bool) -> Result<(), Refusal> {
    if batched {
        return Err(Refusal::new(Reason::NotAMessage).says("this protocol revision has no batches"));
    }
    match envelope.form() {
        None => Err(Refusal::new(Reason::NotAMessage).says("this protocol revision takes no responses from clients")),
        Some(Form::Request) => match envelope.param(&["_meta", META_CAPABILITIES]) {
            Some((_, Kind::Object)) => Ok(()),
            _ => Err(meta_missing(META_CAPABILITIES)),
        },
        Some(Form::Notification) => Ok(()),
    }
}

/// The method's row; `Ok(None)` for a method that only the configuration knows.
fn known(
    envelope: &Envelope,
    name: &str,
    revision: Revision,
    facts: Facts<'_>,
) -> Result<Option<&'static Method>, Refusal> {
    if let Some(method) = Method::named(name) {
        if method.exists_in(revision) && envelope.form() == Some(method.form) {
            return Ok(Some(method));
        }
    } else if facts.extra_methods.iter().any(|extra| extra.as_ref() == name) {
        return Ok(None);
    }
    Err(Refusal::new(Reason::UnknownMethod).at("/method"))
}

/// The names a message acts on, from its body.
fn targets(config: &Config, envelope: &Envelope, method: &Method) -> Result<Targets, Refusal> {
    let named = |path: &'static [&'static str], pointer: &'static str, longest: usize| {
        let Some(name) = text(envelope, path) else {
            return Err(wrong(pointer, "must be a string"));
        };
        if name.is_empty() || name.len() > longest {
            let refusal = wrong(pointer, "is empty or too long");
            return Err(refusal.limit(u64::try_from(longest).unwrap_or(0), u64::try_from(name.len()).unwrap_or(0)));
        }
        Ok(Targets::One(Arc::from(name)))
    };
    match method.target {
        Target::Nothing => Ok(Targets::Nothing),
        Target::Tool => match text(envelope, &["name"]) {
            Some(name) if config.tool_names.allow(&name) => Ok(Targets::One(Arc::from(name))),
            _ => Err(wrong("/params/name", "is not a valid tool name")),
        },
        Target::Name => named(&["name"], "/params/name", 256),
        Target::Uri => named(&["uri"], "/params/uri", 8192),
        Target::Task => named(&["taskId"], "/params/taskId", 1024),
        Target::Reference => match text(envelope, &["ref", "type"]).as_deref() {
            Some("ref/prompt") => named(&["ref", "name"], "/params/ref/name", 256),
            Some("ref/resource") => named(&["ref", "uri"], "/params/ref/uri", 8192),
            _ => Err(wrong("/params/ref/type", "must be ref/prompt or ref/resource")),
        },
        Target::Listen => subscriptions(envelope).map(Targets::Many),
    }
}

fn subscriptions(envelope: &Envelope) -> Result<Vec<Arc<str>>, Refusal> {
    const POINTER: &str = "/params/notifications/resourceSubscriptions";
    let find = |parent, name| envelope.outline.get(&envelope.bytes, Some(parent), name);
    let notifications = envelope.params().and_then(|params| find(params, "notifications"));
    let Some((list, member)) = notifications.and_then(|(index, _)| find(index, "resourceSubscriptions")) else {
        return Ok(Vec::new());
    };
    if member.kind != Kind::Array {
        return Err(wrong(POINTER, "must be an array of strings"));
    }
    let uri = |kind, span: &std::ops::Range<usize>| match envelope.bytes.get(span.clone()) {
        Some(quoted) if kind == Kind::String => Ok(Arc::from(json::text_of(quoted))),
        _ => Err(wrong(POINTER, "must be an array of strings")),
    };
    envelope.outline.children(Some(list)).map(|(_, uri_member)| uri(uri_member.kind, &uri_member.value)).collect()
}

/// Types of parameters that several methods share.
fn shape_of_params(config: &Config, envelope: &Envelope) -> Result<(), Refusal> {
    const SHAPES: [(&str, &str, &[Kind]); 6] = [
        ("_meta", "/params/_meta", &[Kind::Object]),
        ("arguments", "/params/arguments", &[Kind::Object]),
        ("cursor", "/params/cursor", &[Kind::String]),
        ("inputResponses", "/params/inputResponses", &[Kind::Object]),
        ("requestState", "/params/requestState", &[Kind::String]),
        ("task", "/params/task", &[Kind::Object]),
    ];
    for (name, pointer, kinds) in SHAPES {
        if let Some((_, kind)) = envelope.param(&[name])
            && !kinds.contains(&kind)
        {
            return Err(wrong(pointer, "has the wrong type"));
        }
    }
    match envelope.param(&["_meta", "progressToken"]) {
        None | Some((_, Kind::String | Kind::Integer)) => {}
        Some(_) => return Err(wrong("/params/_meta/progressToken", "must be a string or an integer")),
    }
    match envelope.param(&["arguments"]) {
        Some((span, _)) if span.len() > config.arguments => Err(Refusal::new(Reason::PayloadTooLarge)
            .says("the arguments are too large (limits.arguments)")
            .at("/params/arguments")
            .limit(u64::try_from(config.arguments).unwrap_or(0), u64::try_from(span.len()).unwrap_or(0))),
        _ => Ok(()),
    }
}

fn text<'e>(envelope: &'e Envelope, path: &[&str]) -> Option<Cow<'e, str>> {
    match envelope.param(path)? {
        (span, Kind::String) => envelope.bytes.get(span).map(json::text_of),
        _ => None,
    }
}

fn wrong(pointer: &'static str, words: &'static str) -> Refusal {
    let field = pointer.rsplit('/').next().unwrap_or_default();
    Refusal::new(Reason::InvalidParams).says(format!("{field} {words}")).at(pointer)
}

fn meta_missing(field: &'static str) -> Refusal {
    Refusal::new(Reason::MetaMissing)
        .says(format!("_meta must hold {field}"))
        .at(format!("/params/_meta/{}", field.replace('/', "~1")))
}

fn unsupported(requested: &str) -> Refusal {
    let bounded: String = requested.chars().filter(char::is_ascii_graphic).take(32).collect();
    Refusal::new(Reason::UnsupportedRevision)
        .with("supported", Detail::List(Revision::SUPPORTED.to_vec()))
        .with("requested", Detail::Text(Cow::Owned(bounded)))
}
