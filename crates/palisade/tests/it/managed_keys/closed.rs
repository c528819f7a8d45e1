//! Every door, with every credential that is none.

use std::path::Path;

use super::settings;
use crate::closed::{CALL, METHODS, PATHS};
use crate::gate::{Gate, until};
use crate::upstream::Upstream;

/// B2, B3, B5, A11, P-A16: whoever has no credential, or a wrong, expired, revoked one, or one for another audience, hears
/// 401 at every path with every method, whether it exists or not, and nothing reaches a server.
#[test]
fn no_door_opens_without_a_credential() {
    let upstream = Upstream::echo();
    let servers = [("files", upstream.url()), ("search", upstream.url())];
    let servers: Vec<_> = servers.iter().map(|(name, url)| (*name, url.as_str())).collect();
    let wide = "penalty = \"off\"\nper_address_per_minute = 100000\naddress_ceiling_per_minute = 100000";
    let gate = Gate::configured(&settings(Path::new("DIR"), &servers).replace("penalty = \"off\"", wide));
    let (good, _) = gate.make(&["good"]);
    let (revoked, id) = gate.make(&["revoked"]);
    let (expired, _) = gate.make(&["expired", "--expires", "1s"]);
    let calls = |key: &str| gate.ping("files", key).status;
    until("the keys to work", || (calls(&good) == 200 && calls(&revoked) == 200).then_some(()));
    assert!(gate.keys(&["revoke", &id]).status.success());
    until("the keys to end", || (calls(&revoked) == 401 && calls(&expired) == 401).then_some(()));
    let mut wrong = good.clone().into_bytes();
    wrong[20] ^= 1;
    let wrong = String::from_utf8(wrong).unwrap();
    let token = |purpose: &str, scope: &str| {
        let pair = gate.issued(&["somebody", "--purpose", purpose, "--scope", scope]);
        pair["access_token"].as_str().unwrap().to_owned()
    };
    let (for_mcp, for_api) = (token("mcp", "mcp:*"), token("api", "palisade:*"));
    until("the token to work", || (calls(&for_mcp) == 200).then_some(()));

    let reached = upstream.requests().len();
    for (what, credential, paths) in [
        ("none", None, ""),
        ("wrong", Some(&wrong), ""),
        ("revoked", Some(&revoked), ""),
        ("expired", Some(&expired), ""),
        ("a token for MCP", Some(&for_mcp), "/api/"),
        ("a token for the administration", Some(&for_api), "/mcp"),
    ] {
        let bearer = credential.map(|credential| format!("Bearer {credential}")).unwrap_or_default();
        for path in PATHS.iter().filter(|path| path.starts_with(paths)) {
            for method in METHODS {
                let answer = gate.raw(&gate.request(method, path, &[("Authorization", &bearer)], CALL));
                // A token knows its holder beside its audience too, and there is nothing there.
                if answer.status == 404 && what.starts_with("a token") && ["/mcp;x", "/api/"].contains(path) {
                    continue;
                }
                assert_eq!(answer.status, 401, "{method} {path} with {what}: {}", answer.text());
                assert!(answer.header("www-authenticate").is_some(), "{method} {path} with {what}");
            }
        }
    }
    assert_eq!(upstream.requests().len(), reached, "nothing went on");
}

/// B3, L5: a session is its caller's: with another caller's credential it does not exist, and its owner goes on.
#[test]
fn a_session_is_its_callers_alone() {
    let upstream = Upstream::echo();
    let gate = Gate::configured(&settings(Path::new("DIR"), &[("files", &upstream.url())]));
    let [(owner, _), (other, _)] = [gate.make(&["owner"]), gate.make(&["other"])];
    until("the keys to work", || (gate.ping("files", &other).status == 200).then_some(()));
    let begin = br#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"0"}}}"#;
    let send = |key: &str, method: &str, session: &str, body: &[u8]| {
        let bearer = format!("Bearer {key}");
        let headers = [("Authorization", bearer.as_str()), ("Mcp-Session-Id", session)];
        gate.raw(&gate.request(method, "/mcp/files", &headers, body))
    };
    let opened = send(&owner, "POST", "", begin);
    let session = opened.header("mcp-session-id").unwrap().to_owned();
    let reached = upstream.requests().len();
    for method in ["POST", "GET", "DELETE"] {
        assert_eq!(send(&other, method, &session, CALL).status, 404, "{method}");
    }
    assert_eq!(upstream.requests().len(), reached, "nothing went on");
    assert_eq!(send(&owner, "POST", &session, CALL).status, 200);
}
