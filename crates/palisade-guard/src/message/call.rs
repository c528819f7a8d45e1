//! A call as the stages see it.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::json::{Kind, text_of};
use super::{Envelope, Form, Method, Revision, Shape};

/// What a caller wants, parsed once.
#[derive(Debug)]
pub enum Call {
    /// A message.
    Message(Message),
    /// The legacy stream for messages from the server (GET), perhaps resumed after an event.
    Stream {
        /// `Last-Event-ID`
        after: Option<Box<str>>,
    },
    /// The end of a legacy session (DELETE).
    End,
}

/// A request, notification or response of the caller.
#[derive(Debug)]
pub struct Message {
    pub(super) envelope: Envelope,
    pub(super) revision: Revision,
    pub(super) method: Option<&'static Method>,
    pub(super) targets: Targets,
}

/// The names a message acts on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Targets {
    /// None.
    Nothing,
    /// One tool, prompt, resource or task.
    One(Arc<str>),
    /// Several resources of one subscription.
    Many(Vec<Arc<str>>),
}

impl Message {
    /// Exactly the bytes that came in.
    pub const fn bytes(&self) -> &Bytes {
        &self.envelope.bytes
    }

    /// The revision it is written in.
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// Request or notification; `None` for a response.
    pub const fn form(&self) -> Option<Form> {
        self.envelope.form()
    }

    /// What it is.
    pub const fn shape(&self) -> &Shape {
        &self.envelope.shape
    }

    /// The id as it was written.
    pub fn id(&self) -> Option<Bytes> {
        self.envelope.id()
    }

    /// Where the id stands.
    pub const fn id_span(&self) -> Option<&Range<usize>> {
        match &self.envelope.shape {
            Shape::Request { id, .. } | Shape::Response { id: Some(id), .. } => Some(id),
            _ => None,
        }
    }

    /// The method's name; `None` for a response.
    pub fn method_name(&self) -> Option<&str> {
        match &self.envelope.shape {
            Shape::Request { method, .. } | Shape::Notification { method } => Some(method),
            Shape::Response { .. } => None,
        }
    }

    /// The method's row; `None` for a response and for a method that only configuration knows.
    pub const fn method(&self) -> Option<&'static Method> {
        self.method
    }

    /// Whether it is this method.
    pub fn is(&self, method: &str) -> bool {
        self.method_name() == Some(method)
    }

    /// What it acts on.
    pub const fn targets(&self) -> &Targets {
        &self.targets
    }

    /// The first name it acts on.
    pub fn target(&self) -> Option<&Arc<str>> {
        match &self.targets {
            Targets::Nothing => None,
            Targets::One(name) => Some(name),
            Targets::Many(names) => names.first(),
        }
    }

    /// Each name it acts on.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let names = match &self.targets {
            Targets::Nothing => &[][..],
            Targets::One(name) => std::slice::from_ref(name),
            Targets::Many(names) => names,
        };
        names.iter().map(|name| &**name)
    }

    /// Whether a completion is a resource template's: by its type, as the server takes it, whatever else stands beside it.
    pub fn completes_resource(&self) -> bool {
        let kind = self.param(&["ref", "type"]).and_then(|(span, _)| self.bytes().get(span));
        kind.is_some_and(|kind| text_of(kind) == "ref/resource")
    }

    /// Where the tool's or prompt's arguments stand.
    pub fn arguments(&self) -> Option<Range<usize>> {
        self.envelope.param(&["arguments"]).map(|(span, _)| span)
    }

    /// Where `params` stands.
    pub fn params(&self) -> Option<Range<usize>> {
        self.envelope.params_span()
    }

    /// Where `params._meta.progressToken` stands.
    pub fn progress_token(&self) -> Option<Range<usize>> {
        self.envelope.param(&["_meta", "progressToken"]).map(|(span, _)| span)
    }

    /// The parameter at `path`, and what it is.
    pub fn param(&self, path: &[&str]) -> Option<(Range<usize>, Kind)> {
        self.envelope.param(path)
    }
}
