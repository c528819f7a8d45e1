//! The gateway's own questions to an HTTP upstream.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use palisade_guard::message::Revision;
use palisade_guard::refusal::Refusal;

use super::super::{Expected, invalid, judge};
use super::head::Media;
use super::{HttpEvents, HttpUpstream, agreed_revision, trouble};
use crate::session::{Resumed, Session};
use crate::upstream::Events;

/// The ids the gateway uses.
const IDS: [&[u8]; 2] = [b"0", b"1"];

impl HttpUpstream {
    /// Opens a session, none where the upstream keeps none; and the answer.
    pub(crate) async fn initialize(&self, body: &Bytes) -> Result<(Option<Resumed>, Bytes), Refusal> {
        let request = Bytes::from_static(IDS[0]);
        let (session, answer) = self.initialized(body, request.clone()).await?;
        if let Some(Resumed { session: Session::Http(id), .. }) = &session {
            self.sessions.keep(&Arc::from(""), id, body, &request);
        }
        Ok((session, answer))
    }

    /// The same for any `initialize`, whose id is `request`.
    pub(super) async fn initialized(&self, body: &Bytes, request: Bytes) -> Result<(Option<Resumed>, Bytes), Refusal> {
        let (id, answer) = self.exchange(body.clone(), own_headers(None), None, request).await?;
        let revision = agreed_revision(&answer).ok_or_else(|| invalid("initialize was refused"))?;
        let session = id.map(|id| Resumed { session: Session::Http(id), revision });
        Ok((session, answer))
    }

    /// Asks one question.
    pub(crate) async fn ask(
        &self,
        body: Bytes,
        method: &str,
        session: Option<&Resumed>,
        modern: bool,
    ) -> Result<Bytes, Refusal> {
        let revision = if modern { Some(Revision::V2026_07_28) } else { session.map(|session| session.revision) };
        let mut headers = own_headers(revision);
        if modern {
            headers.insert("mcp-method", HeaderValue::from_str(method).map_err(invalid)?);
        }
        self.exchange(body, headers, session, Bytes::from_static(IDS[1])).await.map(|(_, answer)| answer)
    }

    /// Tells something.
    pub(crate) async fn tell(&self, body: &Bytes, session: Option<&Resumed>) -> Result<(), Refusal> {
        let headers = own_headers(session.map(|session| session.revision));
        let request = self.request(&Method::POST, body, &headers, session);
        let (head, connection) = self.sent_own(request).await?;
        self.read_to_end(head, connection).await.map(drop)
    }

    /// Ends a session of the gateway's own; one that cannot be ended expires upstream.
    pub(crate) async fn end(&self, session: &Resumed) {
        let headers = own_headers(Some(session.revision));
        let request = self.request(&Method::DELETE, &Bytes::new(), &headers, Some(session));
        if let Session::Http(id) = &session.session {
            self.sessions.forget(id);
        }
        if let Ok((head, connection)) = self.sent_own(request).await {
            drop(self.read_to_end(head, connection).await);
        }
    }

    async fn exchange(
        &self,
        body: Bytes,
        headers: HeaderMap,
        session: Option<&Resumed>,
        id: Bytes,
    ) -> Result<(Option<Box<str>>, Bytes), Refusal> {
        let request = self.request(&Method::POST, &body, &headers, session);
        let (mut head, connection) = self.sent_own(request).await?;
        let session_id = head.session.take();
        let revision = session.map_or(Revision::V2025_11_25, |session| session.revision);
        let expected = Expected { id: Some(id), resumed: false, revision };
        match (head.status, head.media()?) {
            (StatusCode::OK, Media::Json) => {
                let bytes = self.read_to_end(head, connection).await?;
                judge::response(bytes, &expected).map(|response| (session_id, response.bytes))
            }
            (StatusCode::OK, Media::Events) => {
                let events = self.events(head, connection, expected.clone());
                last(events, &expected).await.map(|bytes| (session_id, bytes))
            }
            (status, _) => Err(trouble(status)),
        }
    }
}

/// The response in a stream; what comes before it is not for us.
async fn last(mut events: HttpEvents, expected: &Expected) -> Result<Bytes, Refusal> {
    loop {
        let next = std::future::poll_fn(|context| std::pin::Pin::new(&mut events).poll_event(context)).await;
        let event = next.ok_or_else(|| invalid("the stream ended without an answer"))??;
        if let Ok(response) = judge::response(event.data, expected) {
            return Ok(response.bytes);
        }
    }
}

fn own_headers(revision: Option<Revision>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    if let Some(revision) = revision {
        headers.insert("mcp-protocol-version", HeaderValue::from_static(revision.name()));
    }
    headers
}
