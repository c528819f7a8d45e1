//! A scripted HTTP upstream that keeps every byte it is sent.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// One request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Method and target.
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The values of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The JSON-RPC method.
    pub(crate) fn method(&self) -> String {
        // Read by hand: a document that one parser takes and another does not must not confuse the stub.
        let body = String::from_utf8_lossy(&self.body).into_owned();
        let value = body.split_once("\"method\":").map_or("", |(_, rest)| rest.trim_start());
        value.trim_start_matches('"').split('"').next().unwrap_or_default().to_owned()
    }
}

/// What it answers: status line to body, as bytes.
pub(crate) type Script = dyn Fn(&Request) -> Vec<u8> + Send + Sync;

/// A running upstream.
pub(crate) struct Upstream {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Upstream {
    /// One that answers every call with an empty result, and `initialize` with a session.
    pub(crate) fn echo() -> Self {
        Self::scripted(Box::new(result))
    }

    /// One that answers by a script.
    pub(crate) fn scripted(script: Box<Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (kept, script) = (Arc::clone(&requests), Arc::new(script));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (kept, script) = (Arc::clone(&kept), Arc::clone(&script));
                std::thread::spawn(move || serve(stream, &kept, script.as_ref().as_ref()));
            }
        });
        Self { address, requests }
    }

    /// Where MCP is.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// All requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// Bodies of all tool calls so far.
    pub(crate) fn calls(&self) -> Vec<Vec<u8>> {
        self.requests()
            .into_iter()
            .filter(|request| request.method() == "tools/call")
            .map(|request| request.body)
            .collect()
    }
}

fn serve(stream: TcpStream, kept: &Mutex<Vec<Request>>, script: &Script) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    while let Some(request) = read(&mut reader) {
        kept.lock().unwrap().push(request.clone());
        if writer.write_all(&script(&request)).is_err() {
            return;
        }
    }
}

/// The next request of a connection.
pub(crate) fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let line = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        headers.push((name.to_lowercase(), value.to_owned()));
    }
    let length =
        headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { line, headers, body })
}

/// An answer of JSON.
pub(crate) fn json(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// The usual answer.
pub(crate) fn result(request: &Request) -> Vec<u8> {
    let unreadable = || serde_json::json!({"id": 1, "method": request.method()});
    let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap_or_else(|_| unreadable());
    let Some(id) = body.get("id").filter(|_| body.get("method").is_some()) else {
        return b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n".to_vec();
    };
    match body["method"].as_str() {
        Some("initialize") => {
            let revision = &body["params"]["protocolVersion"];
            let result = format!(
                r#"{{"jsonrpc":"2.0","id":{id},"result":{{"protocolVersion":{revision},"capabilities":{{}},"serverInfo":{{"name":"stub","version":"0"}}}}}}"#
            );
            json("200 OK", "Mcp-Session-Id: upstream-session-1\r\n", &result)
        }
        Some("tools/list") => {
            let tools = r#"[{"name":"echo","inputSchema":{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"}}}}]"#;
            json("200 OK", "", &format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"tools":{tools}}}}}"#))
        }
        _ => json("200 OK", "", &format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[]}}}}"#)),
    }
}
