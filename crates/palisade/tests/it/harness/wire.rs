//! HTTP/1.1 byte by byte: what is sent is exactly what the test wrote, and all that comes back can be looked at.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use super::process::PATIENCE;

/// A POST to `/mcp` with what every client sends, the test's own headers, and a body.
///
/// Each of `headers` is a whole line, such as `"MCP-Protocol-Version: 2025-11-25"`. One that starts with `-` removes the
/// line of that name instead: `"-Host"`, `"-Authorization"`, `"-Content-Type"`, `"-Accept"`.
pub(crate) fn request(address: SocketAddr, key: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let usual = [
        format!("Host: {address}"),
        format!("Authorization: Bearer {key}"),
        "Content-Type: application/json".to_owned(),
        "Accept: application/json, text/event-stream".to_owned(),
        format!("Content-Length: {}", body.len()),
    ];
    let name = |line: &str| line.split(':').next().unwrap_or_default().to_ascii_lowercase();
    let replaced = |usual: &String| headers.iter().any(|line| name(line.trim_start_matches('-')) == name(usual));
    let mut lines: Vec<_> = usual.into_iter().filter(|line| !replaced(line)).collect();
    lines.extend(headers.iter().filter(|line| !line.starts_with('-')).map(|&line| line.to_owned()));
    let mut bytes = format!("POST /mcp HTTP/1.1\r\n{}\r\n\r\n", lines.join("\r\n")).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// One connection to a server.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Response {
    /// The status code.
    pub(crate) status: u16,
    /// Names in lower case, and values, in the order in which they came.
    pub(crate) headers: Vec<(String, String)>,
    /// The body, without the framing of chunks.
    pub(crate) body: Vec<u8>,
}

/// One event of a stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its id, where it has one.
    pub(crate) id: Option<String>,
    /// Its data, lines joined.
    pub(crate) data: String,
}

/// How the bytes of a body are framed.
enum Framing {
    Length(usize),
    Chunks,
    ToTheEnd,
}

impl Connection {
    /// Connects.
    pub(crate) fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream: BufReader::new(stream) }
    }

    /// Sends bytes. A server that refuses early may have closed its side: that is no failure here.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        match self.stream.get_mut().write_all(bytes) {
            Err(error) if !matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => panic!("{error}"),
            _ => {}
        }
    }

    /// Says that nothing more will be sent.
    pub(crate) fn finish_sending(&mut self) {
        self.stream.get_mut().shutdown(Shutdown::Write).unwrap();
    }

    /// Sends a request and reads its answer to the end.
    pub(crate) fn exchange(&mut self, bytes: &[u8]) -> Response {
        self.send(bytes);
        self.response()
    }

    /// Reads one answer to its end.
    pub(crate) fn response(&mut self) -> Response {
        let mut response = self.head();
        let bodiless = matches!(response.status, 100..200 | 204 | 304);
        match framing(&response) {
            _ if bodiless => {}
            Framing::Length(length) => {
                response.body.resize(length, 0);
                self.stream.read_exact(&mut response.body).unwrap();
            }
            Framing::Chunks => while self.chunk(&mut response.body) {},
            Framing::ToTheEnd => drop(self.stream.read_to_end(&mut response.body).unwrap()),
        }
        response
    }

    /// Reads the head of an answer and leaves its body, as one does with a stream.
    pub(crate) fn head(&mut self) -> Response {
        let status = self.line();
        let code = status.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|code| code.parse().ok());
        let mut response = Response {
            status: code.unwrap_or_else(|| panic!("not a status line: {status:?}")),
            headers: Vec::new(),
            body: Vec::new(),
        };
        loop {
            let line = self.line();
            if line.is_empty() {
                return response;
            }
            let (name, value) = line.split_once(':').unwrap();
            response.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    /// The next event of a stream in chunks, after [`Connection::head`]. `None` at its end. Comments are passed over.
    pub(crate) fn event(&mut self) -> Option<Event> {
        let mut bytes = Vec::new();
        loop {
            if !self.chunk(&mut bytes) {
                assert_eq!(bytes, [0; 0], "the stream ends inside an event");
                return None;
            }
            // The gateway sends whole events in a chunk, never two halves; a test that finds otherwise should fail.
            let text = String::from_utf8(std::mem::take(&mut bytes)).unwrap();
            let event = Event::parse(&text);
            if event != Event::default() {
                return Some(event);
            }
        }
    }

    /// Whether the server has closed the connection, and sent nothing more.
    pub(crate) fn is_closed(&mut self) -> bool {
        match self.stream.fill_buf() {
            Ok(rest) => rest.is_empty(),
            Err(error) => matches!(error.kind(), ErrorKind::ConnectionReset),
        }
    }

    /// Appends the next chunk; whether there was one.
    fn chunk(&mut self, body: &mut Vec<u8>) -> bool {
        let size = self.line();
        let size = usize::from_str_radix(&size, 16).unwrap_or_else(|_| panic!("not the size of a chunk: {size:?}"));
        let start = body.len();
        body.resize(start + size, 0);
        self.stream.read_exact(&mut body[start..]).unwrap();
        assert_eq!(self.line(), "", "a chunk ends with an empty line");
        size > 0
    }

    fn line(&mut self) -> String {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).unwrap();
        let line = String::from_utf8(line).unwrap();
        let text = line.strip_suffix("\r\n");
        text.unwrap_or_else(|| panic!("the connection was closed inside a line: {line:?}")).to_owned()
    }
}

fn framing(response: &Response) -> Framing {
    if response.header("transfer-encoding") == Some("chunked") {
        return Framing::Chunks;
    }
    response.header("content-length").map_or(Framing::ToTheEnd, |length| Framing::Length(length.parse().unwrap()))
}

impl Response {
    /// Sends bytes on a connection of their own and reads the answer.
    pub(crate) fn to(address: SocketAddr, bytes: &[u8]) -> Self {
        Connection::open(address).exchange(bytes)
    }

    /// The only header of this name; more than one fails the test.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(header, _)| header == name).map(|(_, value)| value.as_str());
        let first = values.next();
        assert_eq!(values.next(), None, "{name} comes twice");
        first
    }

    /// The body as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The JSON of the body; of a stream, the JSON of its last event.
    pub(crate) fn json(&self) -> serde_json::Value {
        let streamed = self.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
        let body = if streamed { self.events().pop().unwrap().data } else { self.text().to_owned() };
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error} in {body:?}"))
    }

    /// The events of a stream that was read to its end.
    pub(crate) fn events(&self) -> Vec<Event> {
        let blocks = self.text().split("\n\n").map(Event::parse);
        blocks.filter(|event| *event != Event::default()).collect()
    }
}

impl Event {
    fn parse(block: &str) -> Self {
        let mut event = Self::default();
        let mut data = Vec::new();
        for line in block.lines() {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "id" => event.id = Some(value.to_owned()),
                "data" => data.push(value),
                _ => {}
            }
        }
        event.data = data.join("\n");
        event
    }
}
