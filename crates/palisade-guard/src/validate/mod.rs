//! Whether what a permitted call says is sound. What leaves here is what is sent.

mod mirrored;

use http::HeaderMap;

pub use mirrored::{Mirror, mirrors_of_schema};

use crate::authorize::Permit;
use crate::message::{Call, Message};
use crate::refusal::Refusal;

/// A call that may be sent as it is. Made only by [`call`]; `forward` takes nothing else.
#[derive(Debug)]
pub struct Vetted {
    permit: Permit,
    call: Call,
}

impl Vetted {
    /// The call.
    pub const fn call(&self) -> &Call {
        &self.call
    }

    /// The message, if the call is one.
    pub const fn message(&self) -> Option<&Message> {
        match &self.call {
            Call::Message(message) => Some(message),
            Call::Stream { .. } | Call::End => None,
        }
    }

    /// The permit it rests on.
    pub const fn permit(&self) -> &Permit {
        &self.permit
    }
}

/// Judges a call's arguments. `mirrors` are the arguments that this tool repeats in headers.
pub fn call(mirrors: &[Mirror], headers: Option<&HeaderMap>, permit: Permit, call: Call) -> Result<Vetted, Refusal> {
    if let (Call::Message(message), Some(headers)) = (&call, headers)
        && message.revision().is_modern()
    {
        for mirror in mirrors {
            mirror.judge(message, headers)?;
        }
    }
    Ok(Vetted { permit, call })
}
