//! `/api/keys`: who may, what is refused, and that nobody gains by it.

use serde_json::{Value, json};

use super::{api, gate, said};
use crate::gate::{Gate, until};
use crate::upstream::Upstream;

/// A gateway, and keys that may write keys, read keys, do everything else, and nothing but MCP.
fn peopled() -> (Gate, [String; 4]) {
    let gate = gate(&Upstream::echo());
    let scopes = [&["palisade:keys:*", "mcp:*"][..], &["palisade:keys:read"], &["mcp:*", "palisade:tokens:write"], &[]];
    let names = ["writer", "reader", "caller", "plain"];
    let keys: Vec<String> = names
        .iter()
        .zip(scopes)
        .map(|(name, scopes)| {
            let scopes = scopes.iter().flat_map(|scope| ["--scope", scope]);
            gate.make(&[*name].into_iter().chain(scopes).collect::<Vec<_>>()).0
        })
        .collect();
    let keys: [String; 4] = keys.try_into().unwrap();
    until("the keys to be known", || (gate.call(&keys[3]).status == 200).then_some(()));
    (gate, keys)
}

/// B3, C1, P-A16: every operation needs its scope, named; without a credential it is 401, without the scope 403, and no
/// MCP right is one.
#[test]
fn every_operation_needs_its_scope() {
    let (gate, [writer, reader, caller, plain]) = peopled();
    let made = api(&gate, "POST", "", &writer, r#"{"name":"target"}"#).json();
    let id = made["id"].as_str().unwrap();
    let operations = [
        ("GET", String::new(), "read"),
        ("GET", format!("/{id}"), "read"),
        ("GET", format!("/{id}/usage"), "read"),
        ("POST", String::new(), "write"),
        ("POST", format!("/{id}/rotate"), "write"),
        ("POST", format!("/{id}/revoke"), "write"),
        ("DELETE", format!("/{id}"), "write"),
    ];
    for (method, path, action) in &operations {
        let ask = |key: &str| api(&gate, method, path, key, "");
        for key in [&caller, &plain] {
            let answer = ask(key);
            assert_eq!((answer.status, answer.code()), (403, "MCP-002".to_owned()), "{method} {path}");
            let scope = format!("scope=\"palisade:keys:{action}\"");
            assert!(answer.header("www-authenticate").unwrap().contains(&scope), "{answer:?}");
        }
        for wrong in ["nobody", "mcp_nobody"] {
            assert_eq!(ask(wrong).status, 401, "{method} {path}");
        }
        assert_eq!(ask(&reader).status, if *action == "read" { 200 } else { 403 }, "{method} {path}");
    }
    let none = gate.raw(&gate.request("GET", "/api/keys", &[("Authorization", "")], b""));
    assert_eq!(none.status, 401);
    for (method, path) in [("PUT", ""), ("DELETE", ""), ("POST", "/aaaaaaaaaaaa"), ("GET", "/aaaaaaaaaaaa/rotate")] {
        let answer = api(&gate, method, path, &writer, "");
        assert_eq!((answer.status, answer.header("allow").is_some()), (405, true), "{method} {path}");
    }
    for path in ["/", "x", "/short", "/aaaaaaaaaaaa/", "/aaaaaaaaaaaa/usage/", "//aaaaaaaaaaaa", "/AAAAAAAAAAAA"] {
        assert_eq!(api(&gate, "GET", path, &writer, "").status, 404, "{path}");
    }
    assert_eq!(api(&gate, "GET", "/aaaaaaaaaaaa", &writer, "").status, 404, "an id that no key has");
    let all = api(&gate, "GET", "", &reader, "").json();
    let after = format!("?after={}", all["keys"][0]["id"].as_str().unwrap());
    let rest = api(&gate, "GET", &after, &reader, "").json();
    assert_eq!((&rest["keys"][0], &rest["next"]), (&all["keys"][1], &Value::Null));
    assert_eq!(api(&gate, "GET", "?after=x", &reader, "").status, 400);
}

/// B3, E9: a body is one strict JSON document of known fields within bounds; what is wrong is named, and nothing is made.
#[test]
fn bodies_are_strict() {
    let (gate, [writer, ..]) = peopled();
    let before = api(&gate, "GET", "", &writer, "").json()["keys"].as_array().unwrap().len();
    let long = format!(r#"{{"name":"a","owner":"{}"}}"#, "x".repeat(70_000));
    let many = json!({"name": "a", "groups": vec!["g"; 65]}).to_string();
    for (body, status, pointer) in [
        ("", 400, ""),
        ("[]", 400, ""),
        (r#"{"name":"a","nmae":"b"}"#, 400, ""),
        (r#"{"name":"a","name":"b"}"#, 400, ""),
        (r#"{"name":"A b"}"#, 400, "/name"),
        (r#"{"name":""}"#, 400, "/name"),
        (r#"{"name":"a","owner":"x\ny"}"#, 400, "/owner"),
        (r#"{"name":"a","expires":"soon"}"#, 400, "/expires"),
        (r#"{"name":"a","expires":"3651d"}"#, 400, "/expires"),
        (r#"{"name":"a","servers":["nowhere"]}"#, 400, "/servers"),
        (r#"{"name":"a","scopes":["everything"]}"#, 400, "/scopes"),
        (r#"{"name":"a","allow":["10.0.0.1/8"]}"#, 400, "/allow"),
        (r#"{"name":"a","limit_per_minute":0}"#, 400, "/limit_per_minute"),
        (r#"{"name":"a","limit_per_minute":-1}"#, 400, ""),
        (r#"{"name":"writer"}"#, 409, ""),
        (&many, 400, "/groups"),
        (&long, 413, ""),
    ] {
        let answer = api(&gate, "POST", "", &writer, body);
        assert_eq!(answer.status, status, "{body:.80}: {}", answer.text());
        let details = answer.json()["details"].clone();
        assert_eq!(details["pointer"].as_str().unwrap_or_default(), pointer, "{body:.80}: {details}");
    }
    let plain = gate.request(
        "POST",
        "/api/keys",
        &[("Authorization", &format!("Bearer {writer}")), ("Content-Type", "text/plain")],
        br#"{"name":"a"}"#,
    );
    assert_eq!(gate.raw(&plain).status, 415);
    let after = api(&gate, "GET", "", &writer, "").json()["keys"].as_array().unwrap().len();
    assert_eq!(after, before, "nothing was made");
}

/// B3: nobody gives a key more of the administration than they have, neither to a new one nor by taking over another's
/// with a rotation.
#[test]
fn nobody_rises_by_making_keys() {
    let (gate, [writer, ..]) = peopled();
    let (_, above) = gate.make(&["above", "--scope", "palisade:*"]);
    until("the key to be known", || (api(&gate, "GET", &format!("/{above}"), &writer, "").status == 200).then_some(()));
    for scope in ["palisade:*", "palisade:tokens:read", "palisade:*:read"] {
        let answer = api(&gate, "POST", "", &writer, &json!({"name": "a", "scopes": [scope]}).to_string());
        assert_eq!(answer.status, 403, "{scope}: {}", answer.text());
    }
    assert_eq!(api(&gate, "POST", &format!("/{above}/rotate"), &writer, "").status, 403);
    let equal = api(&gate, "POST", "", &writer, r#"{"name":"equal","scopes":["palisade:keys:write","mcp:*"]}"#);
    assert_eq!(equal.status, 200, "{}", equal.text());
    let rotated = api(&gate, "POST", &format!("/{}/rotate", equal.json()["id"].as_str().unwrap()), &writer, "");
    assert_eq!(rotated.status, 200, "{}", rotated.text());
}

/// B3, C1, A10, P-A16: who writes keys makes, rotates and revokes none that may do more than they may, in any part: its
/// servers, scopes, groups, addresses, limit and end; what is within is done.
#[test]
fn nobody_hands_on_what_they_do_not_hold() {
    let gate = gate(&Upstream::echo());
    let scopes =
        ["--scope", "palisade:keys:write", "--scope", "palisade:keys:read", "--scope", "mcp:tools:call:files/read_*"];
    let bounds =
        ["--server", "files", "--group", "desk", "--allow-ip", "127.0.0.0/8", "--limit", "500", "--expires", "30d"];
    let (writer, _) = gate.make(&[&["writer"][..], &scopes, &bounds].concat());
    let (_, plain) = gate.make(&["plain"]);
    until("the writer to be known", || (api(&gate, "GET", "", &writer, "").status == 200).then_some(()));
    let within = json!({
        "name": "within", "servers": ["files"], "scopes": ["mcp:tools:call:files/read_all"], "groups": ["desk"],
        "allow": ["127.0.0.1/32"], "limit_per_minute": 500, "expires": "29d",
    });
    for (field, value) in [
        ("servers", Value::Null),
        ("scopes", Value::Null),
        ("scopes", json!(["mcp:tools:call:files/*"])),
        ("scopes", json!(["palisade:tokens:write"])),
        ("groups", json!(["desk", "traders"])),
        ("allow", json!([])),
        ("allow", json!(["126.0.0.0/7"])),
        ("limit_per_minute", Value::Null),
        ("limit_per_minute", json!(501)),
        ("expires", Value::Null),
        ("expires", json!("31d")),
    ] {
        let mut beyond = within.clone();
        beyond[field] = value;
        let answer = api(&gate, "POST", "", &writer, &beyond.to_string());
        assert_eq!(answer.status, 403, "{beyond}: {}", answer.text());
        assert!(answer.text().contains(field), "{}", answer.text());
    }
    let made = api(&gate, "POST", "", &writer, &within.to_string());
    assert_eq!(made.status, 200, "{}", made.text());
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let rotate = |id: &str, how: &str| api(&gate, "POST", &format!("/{id}/rotate"), &writer, how).status;
    assert_eq!(rotate(&id, r#"{"expires":"31d"}"#), 403);
    assert_eq!((rotate(&id, ""), rotate(&plain, "")), (200, 403));
    for (target, status) in [(&plain, 403), (&id, 200)] {
        assert_eq!(api(&gate, "POST", &format!("/{target}/revoke"), &writer, "").status, status);
    }
    assert_eq!(said(&gate.keys(&["show", &plain, "--json"]))["state"], "active");
}

/// B3: a secret that was promised its time keeps it: another rotation meanwhile says until when, over REST and by the
/// command, unless it is said to end that secret; and in a hurry every secret before ends at once.
#[test]
fn a_promised_secret_keeps_its_time() {
    let (gate, [writer, ..]) = peopled();
    let made = api(&gate, "POST", "", &writer, r#"{"name":"target"}"#).json();
    let id = made["id"].as_str().unwrap().to_owned();
    let rotate = |how: &str| api(&gate, "POST", &format!("/{id}/rotate"), &writer, how);
    let first = made["key"].as_str().unwrap();
    let rotated = rotate(r#"{"grace":"7d"}"#).json();
    let until = rotated["previous_secret_until"].as_str().unwrap();
    let again = rotate("");
    assert_eq!(again.status, 409, "{}", again.text());
    assert!(again.text().contains(until), "{} has no {until}", again.text());
    let by_command = gate.keys(&["rotate", &id]);
    assert!(!by_command.status.success() && String::from_utf8_lossy(&by_command.stderr).contains(until));
    let second = rotated["key"].as_str().unwrap();
    assert_eq!((gate.call(first).status, gate.call(second).status), (200, 200));
    let third = rotate(r#"{"end_older":true}"#).json();
    assert_eq!((gate.call(first).status, gate.call(second).status), (401, 200));
    let last = rotate(r#"{"grace":"0s"}"#).json();
    let works =
        [second, third["key"].as_str().unwrap(), last["key"].as_str().unwrap()].map(|key| gate.call(key).status);
    assert_eq!(works, [401, 401, 200]);
}

/// B3, G1, G2: each write has an intent and a closing line under its own name, and a line of what changed, by whom.
#[test]
fn every_change_is_recorded() {
    let (gate, [writer, ..]) = peopled();
    let made = api(&gate, "POST", "", &writer, r#"{"name":"target","owner":"team-search","expires":"1d"}"#).json();
    let id = made["id"].as_str().unwrap().to_owned();
    let rotated = api(&gate, "POST", &format!("/{id}/rotate"), &writer, r#"{"grace":"1h","expires":"2d"}"#);
    assert_eq!(rotated.status, 200, "{}", rotated.text());
    assert_eq!(said(&gate.keys(&["show", &id, "--json"]))["owner"], "team-search");
    assert_eq!(api(&gate, "POST", &format!("/{id}/revoke"), &writer, "").status, 200);
    assert_eq!(api(&gate, "POST", &format!("/{id}/revoke"), &writer, "").status, 200, "once more changes nothing");
    let target = format!("managed:{id}");
    let mine = |lines: &[Value], kind: &str| {
        lines.iter().filter(|line| line["kind"] == kind && line["target"] == target).cloned().collect::<Vec<_>>()
    };
    until("the changes to be recorded", || {
        (mine(&crate::gate::lines(&gate.audit()), "change").len() == 3).then_some(())
    });
    let journal = gate.journal();
    let changes = mine(&journal, "change");
    let what: Vec<_> = changes.iter().map(|line| line["what"].as_str().unwrap()).collect();
    assert_eq!(what, ["key.create", "key.rotate", "key.revoke"]);
    let before: Value = serde_json::from_str(changes[2]["before"].as_str().unwrap()).unwrap();
    let after: Value = serde_json::from_str(changes[2]["after"].as_str().unwrap()).unwrap();
    assert_eq!((&before["state"], &after["state"]), (&"active".into(), &"revoked".into()));
    let with = |kind: &str, method: &str| {
        journal.iter().filter(|line| line["kind"] == kind && line["method"] == method).count()
    };
    for method in ["keys.create", "keys.rotate", "keys.revoke"] {
        assert!(with("intent", method) > 0 && with("intent", method) == with("closing", method), "{method}");
    }
}
