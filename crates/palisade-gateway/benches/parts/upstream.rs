//! A server that does as little as a server can: one tool, one answer.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::client::{find, is_whole};

/// How every answer to a call ends.
pub(crate) const RESULT_END: &[u8] = br#""text":"echo: how much does this cost?"}]}}"#;

const CALLED: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","content":[{"type":"text","text":"echo: how much does this cost?"}]}}"#;
const LISTED: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","tools":[{"name":"echo","inputSchema":{"type":"object"}}]}}"#;

/// The server; it serves as long as its runtime lives.
pub(crate) struct Upstream;

impl Upstream {
    /// Starts it and says where it listens.
    pub(crate) async fn start() -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("a port");
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream));
            }
        });
        address
    }
}

/// Answers one connection until it ends.
async fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let [called, listed] = [CALLED, LISTED].map(|body| {
        let length = body.len();
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
    });
    let mut request = Vec::with_capacity(8192);
    while stream.read_buf(&mut request).await? > 0 {
        if !is_whole(&request) {
            continue;
        }
        let listing = find(&request, b"\"tools/list\"").is_some();
        stream.write_all(if listing { listed.as_bytes() } else { called.as_bytes() }).await?;
        request.clear();
    }
    Ok(())
}
