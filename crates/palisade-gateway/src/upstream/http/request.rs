//! A request to the upstream, as it goes out.

use bytes::Buf;
use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use palisade_guard::edge;
use palisade_guard::message::headers::SESSION;
use palisade_guard::sign::Signer;

use super::signing;

/// A request: its head, written out, and its body as it was judged.
pub(super) struct Request {
    /// Small bodies stand behind it, so that one piece goes out.
    head: Vec<u8>,
    body: Bytes,
}

/// What is the same in all requests to one upstream.
pub(super) struct Target {
    /// What is asked for: path and query.
    pub(super) path: Uri,
    /// Host and port, as the URL has them.
    pub(super) host: HeaderValue,
    /// The operator's headers, credentials of the gateway among them.
    pub(super) own: Vec<(HeaderName, HeaderValue)>,
    /// What signs every request.
    pub(super) signer: Option<Signer>,
}

/// A body up to this size is copied behind its head: cheaper than a second piece.
const COPIED: usize = 4096;

static IDENTITY: HeaderValue = HeaderValue::from_static("identity");
static JSON_OR_EVENTS: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");

impl Target {
    /// A request with those of the caller's headers that may go on, in the upstream's session.
    pub(super) fn request(
        &self,
        method: &Method,
        body: &Bytes,
        caller: &HeaderMap,
        session: Option<&HeaderValue>,
    ) -> Request {
        // The operator's word counts where both have one.
        let is_own = |name: &HeaderName| self.own.iter().any(|(own, _)| own == name);
        let fields = [(&HOST, &self.host), (&ACCEPT_ENCODING, &IDENTITY)].into_iter();
        let fields = fields.chain(edge::strip::upstream_headers(caller).filter(|(name, _)| !is_own(name)));
        let fields = fields.chain(session.map(|session| (&SESSION, session)));
        let fields = fields.chain(self.own.iter().map(|(name, value)| (name, value)));
        let Some(signer) = &self.signer else { return self.written(method, body, fields) };
        let mut headers: HeaderMap = fields.map(|(name, value)| (name.clone(), value.clone())).collect();
        headers.entry(ACCEPT).or_insert_with(|| JSON_OR_EVENTS.clone());
        signing::sign(signer, (method, &self.path), &mut headers, caller, body);
        self.written(method, body, headers.iter())
    }

    /// A type of [`HeaderValue`] holds no line end, so that no value makes a second field.
    fn written<'f>(
        &self,
        method: &Method,
        body: &Bytes,
        fields: impl Iterator<Item = (&'f HeaderName, &'f HeaderValue)>,
    ) -> Request {
        let small = if body.len() <= COPIED { body.len() } else { 0 };
        let mut head = Vec::with_capacity(512 + small);
        for part in
            [method.as_str(), " ", self.path.path_and_query().map_or("/", |path| path.as_str()), " HTTP/1.1\r\n"]
        {
            head.extend_from_slice(part.as_bytes());
        }
        let mut accepts = false;
        for (name, value) in fields {
            accepts |= name == ACCEPT;
            put(&mut head, name, value.as_bytes());
        }
        if !accepts {
            put(&mut head, &ACCEPT, JSON_OR_EVENTS.as_bytes());
        }
        if method == Method::POST {
            put(&mut head, &CONTENT_LENGTH, itoa::Buffer::new().format(body.len()).as_bytes());
        }
        head.extend_from_slice(b"\r\n");
        if small == 0 {
            return Request { head, body: body.clone() };
        }
        head.extend_from_slice(body);
        Request { head, body: Bytes::new() }
    }
}

fn put(head: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    for part in [name.as_str().as_bytes(), b": ", value, b"\r\n"] {
        head.extend_from_slice(part);
    }
}

impl Request {
    /// The same with a credential.
    pub(super) fn authorized(&self, credential: &HeaderValue) -> Self {
        let first = self.head.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let (line, rest) = self.head.split_at(first);
        let mut head = Vec::with_capacity(self.head.len() + credential.len() + 32);
        head.extend_from_slice(line);
        put(&mut head, &AUTHORIZATION, credential.as_bytes());
        head.extend_from_slice(rest);
        Self { head, body: self.body.clone() }
    }

    /// Its bytes.
    pub(super) fn bytes(&self) -> impl Buf {
        Buf::chain(self.head.as_slice(), self.body.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use bytes::{Buf as _, Bytes};
    use http::{HeaderMap, HeaderName, HeaderValue, Method};

    use super::Target;

    fn lines(target: &Target, method: &Method, caller: &[(&'static str, &'static str)]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in caller {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let body = if method == Method::POST { Bytes::from_static(b"{}") } else { Bytes::new() };
        let request = target.request(method, &body, &headers, Some(&HeaderValue::from_static("s")));
        let mut bytes = request.bytes();
        let text = String::from_utf8(bytes.copy_to_bytes(bytes.remaining()).to_vec()).unwrap();
        text.split("\r\n").map(str::to_owned).collect()
    }

    /// A1, C5: a request says each thing once: of what the caller and the operator both say, the operator's counts.
    #[test]
    fn a_request_says_each_thing_once() {
        let own = [("baggage", "ours"), ("authorization", "Bearer ours")];
        let own = own.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let host = HeaderValue::from_static("upstream:80");
        let target = Target { path: "/mcp?a=b".parse().unwrap(), host, own: own.to_vec(), signer: None };
        let caller =
            [("baggage", "theirs"), ("authorization", "Bearer theirs"), ("cookie", "a"), ("mcp-method", "ping")];
        let accept = "accept: application/json, text/event-stream";
        assert_eq!(
            lines(&target, &Method::POST, &caller),
            [
                "POST /mcp?a=b HTTP/1.1",
                "host: upstream:80",
                "accept-encoding: identity",
                "mcp-method: ping",
                "mcp-session-id: s",
                "baggage: ours",
                "authorization: Bearer ours",
                accept,
                "content-length: 2",
                "",
                "{}"
            ]
        );
        let dropped = lines(&target, &Method::GET, &[("accept", "text/event-stream"), ("connection", "accept")]);
        assert!(dropped.iter().any(|line| line == accept), "{dropped:?}");
        let kept = lines(&target, &Method::GET, &[("accept", "text/event-stream")]);
        assert_eq!(
            kept.iter().filter(|line| line.starts_with("accept:")).collect::<Vec<_>>(),
            ["accept: text/event-stream"]
        );
        assert!(!kept.iter().any(|line| line.starts_with("content-length")));
    }
}
