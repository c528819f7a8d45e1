//! What an upstream says, message by message: only what was understood and expected is passed on.

use bytes::Bytes;
use palisade_guard::message::{Bounds, Envelope, Shape, read_answer};
use palisade_guard::refusal::Refusal;

use super::{Expected, Response, invalid};

/// What may become of one message of an upstream.
pub(crate) enum Verdict {
    /// Belongs to the stream.
    Pass,
    /// The response the stream was opened for: its last message.
    Last,
    /// Must not pass; the stream goes on.
    Drop(&'static str),
}

/// Bounds of an upstream's messages: larger than a caller's, since a list of tools nests deeper than arguments do.
pub(crate) const BOUNDS: Bounds = Bounds { depth: 128, nodes: 2_000_000, lone_surrogates: true };

/// Requests that a server may send to a client. Source: the `ServerRequest` unions of the legacy schemas.
const SERVER_REQUESTS: [&str; 8] = [
    "ping",
    "roots/list",
    "sampling/createMessage",
    "elicitation/create",
    "tasks/get",
    "tasks/result",
    "tasks/list",
    "tasks/cancel",
];

/// Reads one message.
pub(crate) fn read(bytes: Bytes) -> Result<Envelope, Refusal> {
    read_answer(BOUNDS, bytes).map_err(|refusal| invalid(format_args!("{refusal:?}")))
}

/// Reads and judges one message in a stream.
pub(crate) fn stream_message(bytes: &Bytes, expected: &Expected) -> Result<Verdict, Refusal> {
    in_stream(&read(bytes.clone())?, expected)
}

/// Judges one message in a stream.
pub(crate) fn in_stream(envelope: &Envelope, expected: &Expected) -> Result<Verdict, Refusal> {
    Ok(match &envelope.shape {
        Shape::Response { error, .. } => match (envelope.id(), &expected.id) {
            (Some(id), Some(wanted)) if id == *wanted => Verdict::Last,
            (None, Some(_)) if error.is_some() => return Err(invalid("an error without id inside a stream")),
            (_, None) if expected.resumed => Verdict::Pass,
            (_, None) => Verdict::Drop("a response on a stream that belongs to no request"),
            _ => return Err(invalid("a response with the id of another request")),
        },
        Shape::Request { .. } if expected.revision.is_modern() => {
            Verdict::Drop("a request from the server, which this revision forbids")
        }
        Shape::Request { method, .. } if SERVER_REQUESTS.contains(&method.as_ref()) => Verdict::Pass,
        Shape::Request { .. } => Verdict::Drop("a request with a method no client has"),
        Shape::Notification { method } if method.starts_with("notifications/") => Verdict::Pass,
        Shape::Notification { .. } => Verdict::Drop("a notification with a method no server has"),
    })
}

/// Judges a single response: it answers the request that was sent, or says that it could not be read.
pub(crate) fn response(bytes: Bytes, expected: &Expected) -> Result<Response, Refusal> {
    let envelope = read(bytes.clone())?;
    let Shape::Response { error, .. } = envelope.shape else {
        return Err(invalid("the answer is no JSON-RPC response"));
    };
    match (envelope.id(), &expected.id) {
        (Some(id), Some(wanted)) if id == *wanted => Ok(Response { bytes, error, status: None }),
        (None, Some(_)) if error.is_some() => Ok(Response { bytes, error, status: None }),
        _ => Err(invalid("the answer has the id of another request")),
    }
}
