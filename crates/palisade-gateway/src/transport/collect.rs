//! A whole body, counted as it is read: a caller's and an upstream's alike.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;

/// Why there is no whole body.
#[derive(Debug)]
pub(crate) enum Broken {
    /// It went beyond the limit: so many bytes were read.
    TooLarge(usize),
    /// It ended early.
    Ended(hyper::Error),
}

/// Reads a body to its end. One frame, the usual case, is not copied.
pub(crate) async fn collect(mut body: Incoming, limit: usize) -> Result<Bytes, Broken> {
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(bytes) = frame.map_err(Broken::Ended)?.into_data() else { continue };
        let read = first.as_ref().map_or(0, Bytes::len) + rest.len() + bytes.len();
        if read > limit {
            return Err(Broken::TooLarge(read));
        }
        match &first {
            None => first = Some(bytes),
            Some(_) => rest.extend_from_slice(&bytes),
        }
    }
    let first = first.unwrap_or_default();
    if rest.is_empty() {
        return Ok(first);
    }
    let mut whole = BytesMut::with_capacity(first.len() + rest.len());
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&rest);
    Ok(whole.freeze())
}
