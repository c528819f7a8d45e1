//! What every outcome becomes on the wire: the only place that speaks status codes.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use palisade_guard::arrival::CorrelationId;
use palisade_guard::audit::record::Outcome;
use palisade_guard::clock::Moment;
use palisade_guard::edge;
use palisade_guard::limit::headers::Quota;
use palisade_guard::message::headers::SESSION;
use palisade_guard::refusal::{Detail, Http, Reason, Refusal};
use serde_json::{Map, Value, json};

use crate::current::Current;
use crate::ending::ending;
use crate::passage::{CORRELATION, Passage, Speaks};
use crate::snapshot::Snapshot;
use crate::time;
use crate::transport::body::{Body, Clocks, Ending, Stream};
use crate::upstream::{self, Answer, Events};

/// What the pipeline came to, when nothing was refused.
pub(crate) enum Reply {
    /// The answer to an MCP call, and the handle of a session it opened.
    Mcp {
        /// What the upstream said.
        answer: Answer,
        /// `Mcp-Session-Id`
        handle: Option<HeaderValue>,
    },
    /// The answers to a batch.
    Batch(Box<dyn Events>),
    /// A preflight's headers.
    Preflight(Vec<(HeaderName, HeaderValue)>),
    /// Something of our own.
    Page {
        /// Its type.
        content_type: &'static str,
        /// The status, where it is not 200.
        status: StatusCode,
        /// What it says.
        body: Bytes,
        /// Its own Content-Security-Policy.
        policy: Option<&'static str>,
    },
}

impl Reply {
    /// A JSON document of our own.
    pub(crate) fn json(value: &Value) -> Self {
        let body = Bytes::from(value.to_string());
        Self::Page { content_type: "application/json", status: StatusCode::OK, body, policy: None }
    }
}

/// The configuration of this request, and how to hear of later ones.
#[derive(Clone, Copy)]
struct Taken<'g> {
    current: &'g Current,
    gate: &'g Arc<Snapshot>,
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
/// On an answer that was given before, to an earlier call with the same idempotency key.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const NO_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The response to an outcome, with the headers that are on every answer.
pub(crate) fn seal(
    current: &Current,
    gate: &Arc<Snapshot>,
    passage: Passage,
    outcome: Result<Reply, Refusal>,
) -> Response<Body> {
    let taken = Taken { current, gate };
    let correlation = passage.record.facts.correlation;
    let mut headers = taken.gate.headers(passage.secure);
    if let Ok(value) = HeaderValue::from_str(correlation.as_str()) {
        headers.insert(&CORRELATION, value);
    }
    edge::cors::apply(&taken.gate.edge, passage.origin.as_ref(), &mut headers);
    if passage.replayed {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    if let Some(admission) = &passage.admission {
        headers.extend(admission.quota().fields());
    }
    match outcome {
        Ok(reply) => answered(taken, passage, reply, headers),
        Err(refusal) => refused(passage, &refusal, headers, time::now()),
    }
}

fn answered(taken: Taken<'_>, mut passage: Passage, reply: Reply, mut headers: HeaderMap) -> Response<Body> {
    match reply {
        Reply::Mcp { answer, handle } => {
            if let Some(handle) = handle {
                headers.insert(&SESSION, handle);
            }
            mcp(taken, passage, answer, headers)
        }
        Reply::Batch(events) => stream(taken, passage, events, headers),
        Reply::Preflight(list) => {
            passage.record.facts.outcome = Outcome::Preflight;
            for (name, value) in list {
                headers.insert(name, value);
            }
            whole(passage, StatusCode::NO_CONTENT, Bytes::new(), headers)
        }
        Reply::Page { content_type, status, body, policy } => {
            passage.record.facts.outcome = Outcome::Served;
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            if let Some(policy) = policy {
                headers.insert(http::header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
            }
            whole(passage, status, body, headers)
        }
    }
}

fn mcp(taken: Taken<'_>, mut passage: Passage, answer: Answer, mut headers: HeaderMap) -> Response<Body> {
    match answer {
        Answer::Accepted => {
            passage.record.facts.outcome = Outcome::Accepted;
            whole(passage, StatusCode::ACCEPTED, Bytes::new(), headers)
        }
        Answer::Ended => {
            passage.record.facts.outcome = Outcome::Accepted;
            whole(passage, StatusCode::OK, Bytes::new(), headers)
        }
        Answer::Message(response) => {
            passage.record.facts.outcome = match response.error {
                Some(code) => Outcome::AnsweredWithError(code),
                None => Outcome::Answered,
            };
            headers.insert(CONTENT_TYPE, JSON);
            let status = status(&response, &passage.speaks);
            whole(passage, status, response.bytes, headers)
        }
        Answer::Events(events) => stream(taken, passage, events, headers),
    }
}

/// The status of an upstream's response: its own where it had one, else what 2026-07-28 gives its code.
fn status(response: &upstream::Response, speaks: &Speaks) -> StatusCode {
    let by_code = match response.error {
        Some(-32022..=-32020) if speaks.is_modern() => StatusCode::BAD_REQUEST,
        Some(-32601) if speaks.is_modern() => StatusCode::NOT_FOUND,
        _ => StatusCode::OK,
    };
    response.status.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(by_code)
}

fn stream(taken: Taken<'_>, mut passage: Passage, events: Box<dyn Events>, mut headers: HeaderMap) -> Response<Body> {
    passage.record.facts.outcome = Outcome::Streamed;
    passage.record.facts.http_status = StatusCode::OK.as_u16();
    headers.insert(CONTENT_TYPE, EVENTS);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform"));
    headers.insert(NO_BUFFERING, HeaderValue::from_static("no"));
    // What lives as long as the stream must not hold the buffer of its request, 8 KiB for a few bytes.
    passage.record.facts.detach();
    let (speaks, correlation) = (passage.speaks.detached(), passage.record.facts.correlation);
    let Taken { current, gate } = taken;
    let lasting = Arc::clone(&gate.lasting);
    let ending = Ending {
        due: Box::pin(ending(lasting, current.after(gate), passage.grounds, passage.standing)),
        standing: passage.standing,
        farewell: speaks.id().filter(|_| passage.standing).map(farewell),
        error: Box::new(move |refusal: &Refusal| message(refusal, speaks.id(), correlation, time::now())),
    };
    let timeouts = &gate.timeouts;
    let clocks = Clocks { keep_alive: timeouts.keep_alive, lifetime: timeouts.stream, idle: timeouts.stream_idle };
    let stream = Stream::new(events, ending, clocks);
    let mut response = Response::new(Body::events(stream, passage.record));
    *response.headers_mut() = headers;
    response
}

fn refused(mut passage: Passage, refusal: &Refusal, mut headers: HeaderMap, now: Moment) -> Response<Body> {
    let row = refusal.reason().row();
    let status =
        StatusCode::from_u16(refused_status(row.http, &passage.speaks)).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    headers.insert(CONTENT_TYPE, JSON);
    headers.extend(Quota::of(refusal).iter().flat_map(Quota::fields));
    if let Some(seconds) = refusal.retry_after_seconds() {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Some(challenge) = refusal.challenge_value() {
        headers.extend(HeaderValue::try_from(challenge).ok().map(|challenge| (WWW_AUTHENTICATE, challenge)));
    }
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static(passage.allow));
    }
    let correlation = passage.record.facts.correlation;
    let body = match &passage.speaks {
        Speaks::Rest => Bytes::from(data(refusal, correlation, now).to_string()),
        Speaks::Mcp { .. } => message(refusal, passage.speaks.id(), correlation, now),
    };
    if passage.record.facts.outcome != Outcome::Panicked {
        passage.record.facts.outcome = Outcome::Refused;
    }
    tracing::info!(
        correlation = %correlation,
        reason = row.name,
        status = status.as_u16(),
        cause = refusal.cause_for_log().unwrap_or_default(),
        "refused"
    );
    whole(passage, status, body, headers)
}

/// The status of a refusal. 200 is for an error that answers a request: whatever is no request is refused by status,
/// but to a legacy client never by a 404 that is not about its session.
fn refused_status(http: Http, speaks: &Speaks) -> u16 {
    let Speaks::Mcp { modern, id } = speaks else { return http.rest };
    match (if *modern { http.modern } else { http.legacy }, id) {
        (200, None) if http.rest == 404 && !modern => 400,
        (200, None) => http.rest,
        (status, _) => status,
    }
}

fn whole(mut passage: Passage, status: StatusCode, body: Bytes, headers: HeaderMap) -> Response<Body> {
    passage.record.facts.http_status = status.as_u16();
    let mut response = Response::new(Body::whole(body, passage.record));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// The result that ends a subscription (2026-07-28, subscriptions, "Graceful Closure").
fn farewell(id: &Bytes) -> Bytes {
    let id = std::str::from_utf8(id).unwrap_or("null");
    Bytes::from(format!(
        r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"complete","_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}}}}}}"#
    ))
}

/// A refusal as a JSON-RPC error under `id`, as the caller wrote it.
pub(crate) fn message(refusal: &Refusal, id: Option<&Bytes>, correlation: CorrelationId, now: Moment) -> Bytes {
    let error = json!({
        "code": refusal.reason().row().json_rpc,
        "message": refusal.words(),
        "data": data(refusal, correlation, now),
    });
    // The id was found to be one JSON string or integer when it was parsed.
    let id = id.and_then(|id| std::str::from_utf8(id).ok()).unwrap_or("null");
    Bytes::from(format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#))
}

/// What a caller hears of a refusal beyond its words: the same on every transport.
fn data(refusal: &Refusal, correlation: CorrelationId, now: Moment) -> Value {
    let row = refusal.reason().row();
    if refusal.reason() == Reason::PolicyBroken {
        let cause = refusal.cause_for_log().unwrap_or_default();
        tracing::error!(%correlation, cause, "a rule of the policy could not be evaluated: denied");
    }
    let (code, name) = row.code.names();
    let mut details = Map::new();
    if let Some(pointer) = refusal.pointer() {
        details.insert("pointer".into(), pointer.into());
    }
    for (name, detail) in refusal.details() {
        details.insert((*name).into(), value(detail));
    }
    let mut data = Map::new();
    // Where the specification wants them (2026-07-28: UnsupportedProtocolVersionError, resources, basic "Error Codes").
    for name in ["supported", "requested", "uri"] {
        data.extend(details.get(name).map(|value| (name.to_owned(), value.clone())));
    }
    if refusal.reason() == Reason::CapabilityMissing {
        let extensions = details.get("extensions").and_then(Value::as_array).into_iter().flatten();
        let extensions = extensions.filter_map(Value::as_str).map(|name| (name.to_owned(), json!({})));
        let extensions: Map<_, _> = extensions.collect();
        data.insert("requiredCapabilities".into(), json!({"extensions": extensions}));
    }
    data.insert("code".into(), code.into());
    data.insert("name".into(), name.into());
    data.insert("message".into(), refusal.words().into());
    data.insert("details".into(), Value::Object(details));
    data.insert("timestamp".into(), now.rfc3339().to_string().into());
    data.insert("security_event".into(), row.event.map(|event| event.names().0).into());
    data.insert("correlation_id".into(), correlation.as_str().into());
    Value::Object(data)
}

fn value(detail: &Detail) -> Value {
    match detail {
        Detail::Number(number) => (*number).into(),
        Detail::Text(text) => text.as_ref().into(),
        Detail::List(list) => list.clone().into(),
    }
}
