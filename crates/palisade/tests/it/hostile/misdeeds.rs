//! What a rogue does, and the code that the caller hears.

use super::rogue::{GIB, Misdeed, drips, floods, hangs, resets, says};

/// The head of a stream that ends with its connection.
pub(super) const EVENTS: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
const JSON: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
const RESULT: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"canary":1}}"#;

type Row = (&'static str, &'static str, Box<Misdeed>);

/// Each misdeed by name.
pub(super) fn misdeeds() -> Vec<Row> {
    [silences(), breaks(), lies(), statuses(), endless()].into_iter().flatten().collect()
}

/// An answer of JSON with this length and body.
fn sized(length: usize, body: &str) -> String {
    format!("{JSON}Content-Length: {length}\r\n\r\n{body}")
}

fn chunked(body: &str) -> String {
    format!("{JSON}Transfer-Encoding: chunked\r\n\r\n{body}")
}

fn event() -> String {
    format!("data: {RESULT}\n\n")
}

/// It stops, or goes on so slowly that it never comes to an end.
fn silences() -> Vec<Row> {
    vec![
        ("silent", "MCP-004", hangs("")),
        ("half a head", "MCP-004", hangs("HTTP/1.1 200 OK\r\nContent-Ty")),
        ("head and no body", "MCP-004", hangs(sized(40, ""))),
        ("half a body", "MCP-004", hangs(sized(40, "{\"jsonrpc\""))),
        ("a stream without events", "MCP-004", hangs(EVENTS)),
        ("half an event", "MCP-004", hangs(format!("{EVENTS}data: {{\"canary"))),
        ("a head that drips", "MCP-004", drips("", JSON)),
        (
            "a body that drips",
            "MCP-004",
            drips(JSON, "Content-Length: 46\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"canary\":1}}"),
        ),
        (
            "an event that drips",
            "MCP-004",
            drips(EVENTS, "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"canary\":1}}\n\n"),
        ),
    ]
}

/// It breaks off.
fn breaks() -> Vec<Row> {
    let event = event();
    vec![
        ("closed at once", "MCP-003", says("")),
        ("closed inside the head", "MCP-003", says("HTTP/1.1 200 OK\r\nContent-Type")),
        ("closed inside the body", "MCP-003", says(sized(1000, RESULT))),
        ("closed inside a chunk", "MCP-003", says(chunked(&format!("ff\r\n{RESULT}")))),
        ("closed inside an event", "MCP-003", says(format!("{EVENTS}data: {RESULT}"))),
        (
            "closed inside a chunked event",
            "MCP-003",
            says(
                format!("{}1000\r\n{event}", EVENTS.replace("Connection: close", "Transfer-Encoding: chunked"))
                    .replace("\n\n", "\n"),
            ),
        ),
        ("reset before the head", "MCP-003", resets("")),
        ("reset inside the body", "MCP-003", resets(sized(1000, RESULT))),
        ("reset inside an event", "MCP-003", resets(format!("{EVENTS}data: {RESULT}\n"))),
    ]
}

/// It says what is not so.
fn lies() -> Vec<Row> {
    let event = event();
    vec![
        ("garbage", "MCP-003", says("\x00\x01canary\r\n\r\n\u{fffd}garbage")),
        ("HTTP/2", "MCP-003", says("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")),
        ("a status of five digits", "MCP-003", says("HTTP/1.1 20000 canary\r\n\r\n")),
        ("two lengths", "MCP-003", says(format!("{JSON}Content-Length: 46\r\nContent-Length: 45\r\n\r\n{RESULT}"))),
        ("a length cut short", "MCP-009", says(sized(20, RESULT))),
        ("a chunk of no size", "MCP-003", says(chunked("canary\r\n"))),
        ("another id", "MCP-009", says(sized(46, &RESULT.replace("\"id\":1", "\"id\":2")))),
        ("an id of another type", "MCP-009", says(sized(48, &RESULT.replace("\"id\":1", "\"id\":\"1\"")))),
        ("another id in an event", "MCP-009", says(format!("{EVENTS}{}", event.replace("\"id\":1", "\"id\":2")))),
        ("an array", "MCP-009", says(sized(48, &format!("[{RESULT}]")))),
        (
            "result and error",
            "MCP-009",
            says(sized(75, &RESULT.replace("}}", "},\"error\":{\"code\":1,\"message\":\"\"}}"))),
        ),
        ("not UTF-8", "MCP-009", says([JSON.as_bytes(), b"Content-Length: 3\r\n\r\n\"\xff\""].concat())),
        ("two documents", "MCP-009", says(sized(92, &format!("{RESULT}{RESULT}")))),
        ("nothing", "MCP-009", says(sized(0, ""))),
        ("encoded", "MCP-009", says(format!("{JSON}Content-Encoding: gzip\r\nContent-Length: 46\r\n\r\n{RESULT}"))),
        (
            "encoded, said twice",
            "MCP-009",
            says(format!(
                "{JSON}Content-Encoding: identity\r\nContent-Encoding: br\r\nContent-Length: 46\r\n\r\n{RESULT}"
            )),
        ),
    ]
}

/// It answers by HTTP what MCP has no meaning for.
fn statuses() -> Vec<Row> {
    vec![
        (
            "a page",
            "MCP-003",
            says("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<p>canary</p>"),
        ),
        ("no type", "MCP-003", says(format!("HTTP/1.1 200 OK\r\nContent-Length: 46\r\n\r\n{RESULT}"))),
        ("no content", "MCP-003", says("HTTP/1.1 204 No Content\r\n\r\n")),
        ("accepted", "MCP-003", says("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")),
        (
            "another protocol",
            "MCP-003",
            says("HTTP/1.1 101 Switching Protocols\r\nUpgrade: canary\r\nConnection: upgrade\r\n\r\n"),
        ),
        (
            "a page of trouble",
            "MCP-003",
            says("HTTP/1.1 500 Oh\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\ncanary"),
        ),
        (
            "a demand",
            "MCP-003",
            says("HTTP/1.1 401 Oh\r\nWWW-Authenticate: Bearer canary\r\nContent-Length: 0\r\n\r\n"),
        ),
        ("a thousand headers", "MCP-003", says(format!("{JSON}{}\r\n", "X-Canary: 1\r\n".repeat(1000)))),
        ("a header of a mebibyte", "MCP-003", says(format!("{JSON}X-Canary: {}\r\n\r\n", "x".repeat(1 << 20)))),
    ]
}

/// It never stops.
fn endless() -> Vec<Row> {
    vec![
        (
            "interim answers without end",
            "MCP-003",
            floods("", "HTTP/1.1 103 Early Hints\r\nLink: canary\r\n\r\n", 64 * GIB),
        ),
        ("a body without end", "MCP-009", floods(format!("{JSON}Connection: close\r\n\r\n"), "[", GIB)),
        ("a body of a gibibyte", "MCP-009", floods(sized(GIB, ""), " ", GIB)),
        ("an event without end", "MCP-009", floods(format!("{EVENTS}data: "), "x", GIB)),
        ("lines without an event", "MCP-009", floods(EVENTS, "data: xxxxxxxx\n", GIB)),
        ("a comment without end", "MCP-009", floods(format!("{EVENTS}: "), "x", GIB)),
        ("an id of an event without end", "MCP-009", floods(format!("{EVENTS}id: "), "x", GIB)),
        (
            "messages that must not pass",
            "MCP-009",
            floods(EVENTS, "data: {\"jsonrpc\":\"2.0\",\"method\":\"canary\"}\n\n", 64 * GIB),
        ),
        ("events that are no messages", "MCP-009", floods(EVENTS, "event: canary\ndata: 1\n\n", 64 * GIB)),
    ]
}
