//! A client that does as little as a client can: it sends the same bytes and looks for the end of the answer.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The caller's key.
pub(crate) const KEY: &str = "mcp_Zk3rT9wQx7LmN2vB8yHcD4fGj6KpS1aE";

/// A tool call of 2026-07-28.
const BODY: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"how much does this cost?"},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;

/// One connection.
pub(crate) struct Client {
    stream: TcpStream,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Client {
    /// Connects.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("a connection");
        let request = format!(
            "POST /mcp HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n\
             Mcp-Method: tools/call\r\nMcp-Name: echo\r\nContent-Length: {}\r\n\r\n{BODY}",
            BODY.len()
        );
        Self { stream, request: request.into_bytes(), answer: Vec::with_capacity(8192) }
    }

    /// Calls so many times, one call after the other. An answer without a result ends the benchmark.
    pub(crate) async fn call(&mut self, times: usize) {
        for _ in 0..times {
            self.stream.write_all(&self.request).await.expect("a connection");
            self.answer.clear();
            while !is_whole(&self.answer) {
                let read = self.stream.read_buf(&mut self.answer).await.expect("an answer");
                assert!(read > 0, "the connection ended");
            }
            let good = self.answer.starts_with(b"HTTP/1.1 200") && self.answer.ends_with(super::upstream::RESULT_END);
            assert!(good, "{}", String::from_utf8_lossy(&self.answer));
        }
    }
}

/// Whether head and body are here, by `Content-Length`.
pub(crate) fn is_whole(message: &[u8]) -> bool {
    let Some(end) = find(message, b"\r\n\r\n") else { return false };
    let (head, body) = message.split_at(end + 4);
    let lower = head.to_ascii_lowercase();
    let at = find(&lower, b"content-length: ").expect("a length") + 16;
    let digits = lower.iter().skip(at).take_while(|byte| byte.is_ascii_digit());
    body.len() >= digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'))
}

/// Where `wanted` begins.
pub(crate) fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, wanted)
}
