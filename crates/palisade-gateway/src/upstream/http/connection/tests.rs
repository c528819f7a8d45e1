//! Exchanges on one connection: as they should be, early, broken, too much.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use super::{Connection, HEAD, Heads, PRELUDE};
use crate::descriptors::Descriptors;
use crate::transport::socket::Socket;
use crate::upstream::http::request::{Request, Target};

/// A connection, and the upstream's end of it.
pub(in crate::upstream::http) async fn pair() -> (Connection, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (near, far) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    let taken = Descriptors::claim().take_for_upstream().unwrap();
    (Connection::new(Socket::Plain(near.unwrap()), taken), far.unwrap().0)
}

pub(in crate::upstream::http) fn request(body: impl Into<Bytes>) -> Request {
    let target = Target {
        path: "/mcp".parse().unwrap(),
        host: HeaderValue::from_static("upstream"),
        own: Vec::new(),
        signer: None,
    };
    target.request(&Method::POST, &body.into(), &HeaderMap::new(), None)
}

/// Reads the request `{}` to its end: what is left unread when an upstream closes makes a reset of its close.
pub(in crate::upstream::http) async fn hear(far: &mut TcpStream) {
    let mut heard = Vec::new();
    while !heard.ends_with(b"{}") {
        far.read_buf(&mut heard).await.unwrap();
    }
}

/// What an upstream says to one request, its status and body as they are read, and whether another request may follow.
async fn exchange(said: &[u8], limit: usize) -> Result<(u16, String, bool), String> {
    let (mut connection, mut far) = pair().await;
    let upstream = async {
        hear(&mut far).await;
        far.write_all(said).await.unwrap();
        far
    };
    let request = request("{}");
    let (head, far) = tokio::join!(connection.send(&request, Instant::now()), upstream);
    let mut head = head.map_err(|error| error.to_string())?;
    // Closed where the body ends so.
    let far = Some(far).filter(|_| head.reusable);
    let body = connection.body(&mut head.framing, limit).await.map_err(|_| "no body".to_owned())?;
    let open = head.reusable && connection.rests() && connection.is_open(Instant::now());
    drop(far);
    Ok((head.status.as_u16(), String::from_utf8_lossy(&body).into_owned(), open))
}

/// A1, R5: an answer is read as it is framed; what comes unasked behind it ends the connection.
#[tokio::test]
async fn answers_are_read_as_they_are_framed() {
    let told = |status, body: &str, open| Ok((status, body.to_owned(), open));
    assert_eq!(exchange(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", 9).await, told(200, "{}", true));
    assert_eq!(exchange(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n", 9).await, told(202, "", true));
    assert_eq!(exchange(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}x", 9).await, told(200, "{}", false));
    let chunks = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n";
    assert_eq!(exchange(chunks, 2).await, told(200, "{}", true));
    assert_eq!(exchange(b"HTTP/1.1 200 OK\r\n\r\n{}", 9).await, told(200, "{}", false));
    let hints = b"HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\nHTTP/1.1 404 Not Found\r\ncontent-length: 1\r\n\r\nx";
    assert_eq!(exchange(hints, 9).await, told(404, "x", true));
}

/// R5: an answer beyond the limit, cut, or of another protocol is none.
#[tokio::test]
async fn broken_answers_are_none() {
    let no_body = Err("no body".to_owned());
    assert_eq!(exchange(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n", 9).await, no_body);
    assert_eq!(exchange(b"HTTP/1.1 200 OK\r\n\r\n0123456789", 9).await, no_body);
    let chunks = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n";
    assert_eq!(exchange(chunks, 9).await, no_body);
    let cut = b"HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\na\r\n01";
    assert_eq!(exchange(cut, 99).await, no_body);
    assert!(exchange(b"SSH-2.0-OpenSSH\r\n", 9).await.is_err());
}

/// R5: an upstream that answers before it has read a large request is heard, and the connection is not used again.
#[tokio::test]
async fn an_early_answer_is_heard() {
    let (mut connection, mut far) = pair().await;
    let request = request(vec![b' '; 32 << 20]);
    let early = async {
        far.read_exact(&mut [0; 20]).await.unwrap();
        far.write_all(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        far
    };
    let (head, _far) = tokio::join!(connection.send(&request, Instant::now()), early);
    assert_eq!(head.unwrap().status.as_u16(), 413);
    assert!(!connection.rests(), "what it has not read yet would be taken for another request");
}

/// R5: an upstream that begins its answer while it reads on gets the rest of the request.
#[tokio::test]
async fn an_early_answer_does_not_cut_the_request() {
    const SIZE: usize = 8 << 20;
    let (mut connection, mut far) = pair().await;
    let request = request(vec![b' '; SIZE]);
    let upstream = async {
        far.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n").await.unwrap();
        let (mut read, mut spaces) = (vec![0; 65536], 0);
        while spaces < SIZE {
            let length = far.read(&mut read).await.unwrap();
            spaces += memchr::memchr_iter(b' ', &read[..length]).count();
        }
        far.write_all(b"{}").await.unwrap();
        far
    };
    let exchange = async {
        let mut head = connection.send(&request, Instant::now()).await.unwrap();
        connection.body(&mut head.framing, 9).await.ok()
    };
    let (body, _far) = tokio::join!(exchange, upstream);
    assert_eq!(body.as_deref(), Some(&b"{}"[..]));
}

/// A3: many connections that were closed while they were idle are all seen to be, by one task.
#[tokio::test]
async fn many_closed_connections_are_seen() {
    let mut connections = Vec::new();
    for _ in 0..300 {
        let (connection, far) = pair().await;
        drop(far);
        connection.readable().await;
        connections.push(connection);
    }
    assert!(connections.iter_mut().all(|connection| !connection.is_open(Instant::now())));
}

/// A3: that the upstream closed an idle connection, or spoke on it, is seen before anything is sent.
#[tokio::test]
async fn a_closed_connection_is_seen() {
    for said in [&b""[..], b"HTTP/1.1 408 Request Timeout\r\n\r\n"] {
        let (mut connection, mut far) = pair().await;
        assert!(connection.is_open(Instant::now()));
        far.write_all(said).await.unwrap();
        drop(far);
        connection.readable().await;
        assert!(!connection.is_open(Instant::now()));
    }
}

/// R5: before the answer's own head only so much may come, in one head or in many.
#[test]
fn what_comes_before_the_head_is_bounded() {
    let mut heads = Heads::default();
    let mut drips = BytesMut::from(&b"HTTP/1.1 200 OK\r\n"[..]);
    while heads.take(&mut drips).is_ok_and(|head| head.is_none()) {
        drips.extend_from_slice(b"a");
    }
    assert_eq!(drips.len(), HEAD + 1);
    let (interim, mut heads, mut sent) = (&b"HTTP/1.1 103 Early Hints\r\n\r\n"[..], Heads::default(), 0);
    let mut read = BytesMut::new();
    while heads.take(&mut read).is_ok_and(|head| head.is_none()) {
        read.extend_from_slice(interim);
        sent += interim.len();
    }
    assert!((PRELUDE..PRELUDE + 2 * interim.len()).contains(&sent), "{sent}");
}

/// A3: a head is found however it arrives.
#[test]
fn a_head_is_found_however_it_arrives() {
    let interim = "HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\n";
    for (heads, status) in [
        ("HTTP/1.1 200 OK\r\na: b\r\n\r\n".to_owned(), 200),
        (format!("{interim}{interim}HTTP/1.1 200 OK\r\n\r\n"), 200),
        ("HTTP/1.1 404 Not Found\na: b\n\n".to_owned(), 404),
    ] {
        for size in [1, 2, 3, 7, heads.len()] {
            let (mut read, mut found, mut state) = (BytesMut::new(), None, Heads::default());
            for piece in heads.as_bytes().chunks(size) {
                read.extend_from_slice(piece);
                found = found.or(state.take(&mut read).unwrap());
            }
            assert_eq!(found.map(|head| head.status.as_u16()), Some(status), "{heads:?} in pieces of {size}");
        }
    }
}
