//! What happened to other gateways, SDKs and servers, and cannot happen here: one test for each published advisory,
//! named after it. Where several tell of one fault, the test bears one name and its first line has the others.

mod denial;
mod doors;
mod parsers;
mod sessions;
mod tasks;

use crate::floods::settings;
use crate::gate::{Gate, KEY, OTHER};
use crate::upstream::Upstream;

const PING: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
const INITIALIZE: &[u8] = br#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"0"}}}"#;

/// A gateway in front of one server.
fn one() -> (Gate, Upstream) {
    let upstream = Upstream::echo();
    (Gate::configured(&settings(&upstream.url(), "", "")), upstream)
}

/// A gateway in front of `a` and `b`, for the usual caller, who may call both, and the holder of [`OTHER`], who may call
/// `b` alone.
fn two() -> (Gate, Upstream, Upstream) {
    let (a, b) = (Upstream::echo(), Upstream::echo());
    let text = format!(
        "environment = \"development\"\n[listen]\naddress = \"127.0.0.1:0\"\n[log]\nformat = \"pretty\"\n\
         [[auth.keys]]\nname = \"alice\"\nkey = \"{KEY}\"\n[[auth.keys]]\nname = \"bob\"\nkey = \"{OTHER}\"\nservers = [\"b\"]\n\
         [servers.a]\nurl = \"{}\"\n[servers.b]\nurl = \"{}\"\n[audit]\ndir = \"DIR/audit\"\n",
        a.url(),
        b.url()
    );
    (Gate::configured(&text), a, b)
}
