//! In this process, over a pair of streams: how `palisade demo` serves each session.

use palisade_demo::{Server, Toolset};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex, split};

use crate::peer::{call, stateless};

/// Sends one request over a connection of its own, and gives the answer once the server has ended by itself.
async fn ask(server: Server, request: Value) -> Value {
    let (client, theirs) = duplex(64 * 1024);
    let (reader, writer) = split(theirs);
    let running = tokio::spawn(server.serve(reader, writer));
    let answer = exchange(client, request).await;
    running.await.unwrap().unwrap();
    answer
}

async fn exchange(client: DuplexStream, request: Value) -> Value {
    let (reader, mut writer) = split(client);
    writer.write_all(format!("{request}\n").as_bytes()).await.unwrap();
    writer.shutdown().await.unwrap();
    let line = BufReader::new(reader).lines().next_line().await.unwrap().unwrap();
    serde_json::from_str(&line).unwrap()
}

/// K2: clones of one server share what is stored; a fresh server has nothing.
#[tokio::test]
async fn clones_share_their_state() {
    let server = Server::new(Toolset::Trading);
    let set = stateless(call(1, "storage.shared_state.set", &json!({ "key": "k", "value": true })));
    let get = stateless(call(2, "storage.shared_state.get", &json!({ "key": "k" })));
    assert_eq!(ask(server.clone(), set).await["result"]["structuredContent"]["version"], 1);
    assert_eq!(ask(server, get.clone()).await["result"]["structuredContent"]["value"], true);
    let fresh = ask(Server::new(Toolset::Trading), get).await;
    assert_eq!(fresh["result"]["structuredContent"]["code"], "MCP-013");
}

/// I1: a connection is served by the short form too, and ends when the client does.
#[tokio::test]
async fn the_short_form_serves() {
    let (client, theirs) = duplex(64 * 1024);
    let (reader, writer) = split(theirs);
    let running = tokio::spawn(palisade_demo::serve(Toolset::All, reader, writer));
    let request = stateless(call(1, "calculator", &json!({ "expression": "2^10" })));
    let answer = exchange(client, request).await;
    assert_eq!(answer["result"]["structuredContent"]["result"], "1024");
    running.await.unwrap().unwrap();
}
