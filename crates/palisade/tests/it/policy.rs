//! Rights by policy: who may call what with which arguments, and see what in lists.

use serde_json::{Value, json};

use crate::edge::config;
use crate::gate::{Answer, Gate, KEY, OTHER, output, until, write_private};
use crate::reload::{is_open, rest, settings, streaming};
use crate::upstream::{Request, Upstream, json as answer, result};

const TOOLS: &str = r#"[ {"name":"see_balance"} , {"name":"pay","inputSchema":{"type":"object"}}, {"name":"fetch"},{"name":"open"},{"name":"wipe"} ]"#;

/// Answers lists with things to hide.
fn bank(request: &Request) -> Vec<u8> {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let list = match body["method"].as_str() {
        Some("tools/list") => format!(r#"{{"tools": {TOOLS} , "ttl": 1.50}}"#),
        Some("resources/list") => r#"{"resources":[{"uri":"file:///pub/a"},{"uri":"file:///etc/b"}]}"#.to_owned(),
        Some("resources/templates/list") => {
            r#"{"resourceTemplates":[{"uriTemplate":"file:///pub/{n}"},{"uriTemplate":"file:///etc/{n}"}]}"#.to_owned()
        }
        Some("prompts/list") => r#"{"prompts":[{"name":"hello"},{"name":"secret"}]}"#.to_owned(),
        Some("tasks/list") => r#"{"tasks":[{"taskId":"mine"},{"taskId":"other"}]}"#.to_owned(),
        _ => return result(request),
    };
    answer("200 OK", "", &format!(r#"{{"jsonrpc":"2.0","id":{},"result":{list}}}"#, body["id"]))
}

const CLERK: &str = r#"
[policy]
files = ["rules/*.cedar"]
[policy.roles]
clerk = ["mcp:tools:call:stub/see_*", "mcp:resources:read:stub/file:///pub/*", "mcp:prompts:get:stub/hello", "mcp:tasks:use:stub/mine"]
[[policy.bindings]]
roles = ["clerk"]
groups = ["clerks"]
[[policy.bindings]]
roles = ["developer"]
callers = ["key:test"]
"#;

const RULES: &str = r#"
@id("small payments")
permit (principal in Role::"clerk", action == Action::"call", resource == Tool::"stub/pay")
when { context.arguments.amount <= 1000 };

@id("our hosts")
permit (principal in Role::"clerk", action == Action::"call", resource == Tool::"stub/fetch")
when { context.hosts.url == "example.com" };

@id("our files")
permit (principal in Role::"clerk", action == Action::"call", resource == Tool::"stub/open")
when { context.paths.path like "/srv/*" };

@id("no wiping") @deny("explain") @says("nobody wipes")
forbid (principal, action == Action::"call", resource == Tool::"stub/wipe");

@id("big prompts")
forbid (principal in Role::"clerk", action in [Action::"get", Action::"complete"], resource)
when { context.arguments has size && context.arguments.size like "x*" };
"#;

/// A gate with these rules; the second key is a clerk's.
fn gate(upstream: &Upstream, policy: &str, rules: &str) -> Gate {
    let clerk = format!("[[auth.keys]]\nname = \"ann\"\nkey = \"{OTHER}\"\ngroups = [\"clerks\"]\n");
    Gate::configured_with(&config(&upstream.url(), &(clerk + policy)), &[("rules/bank.cedar", rules)])
}

fn said(method: &str, params: &str) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#).into_bytes()
}

fn clerk(gate: &Gate, method: &str, params: &str) -> Answer {
    gate.post(&[("Authorization", ""), ("X-API-Key", OTHER)], &said(method, params))
}

fn call(gate: &Gate, tool: &str, arguments: &str) -> Answer {
    clerk(gate, "tools/call", &format!(r#"{{"name":"{tool}","arguments":{arguments}}}"#))
}

fn passed(answer: &Answer) -> bool {
    answer.json().get("result").is_some()
}

/// C1, C2, P-D25: what no role and no rule permits is denied; rules on arguments hold however they are written.
#[test]
fn rules_on_arguments_hold() {
    let upstream = Upstream::scripted(Box::new(bank));
    let gate = gate(&upstream, CLERK, RULES);
    for (tool, arguments) in [
        ("see_balance", "{}"),
        ("pay", r#"{"amount":1000}"#),
        ("pay", r#"{"amount":1e3,"note":null}"#),
        ("fetch", r#"{"url":"https://example.com/x?y"}"#),
        ("open", r#"{"path":"/srv/a.txt"}"#),
    ] {
        assert!(passed(&call(&gate, tool, arguments)), "{tool} {arguments}");
    }
    let sent = upstream.calls().len();
    for (tool, arguments) in [
        ("unknown", "{}"),
        ("pay", "{}"),
        ("pay", r#"{"amount":1001}"#),
        ("pay", r#"{"\u0061mount":1001}"#),
        ("pay", r#"{"amount":1,"\u0061mount":1001}"#),
        ("pay", r#"{"amount":1e4}"#),
        ("pay", r#"{"amount":1000.5}"#),
        ("pay", r#"{"amount":99999999999999999999}"#),
        ("pay", r#"{"amount":{"__entity":{"type":"Role","id":"admin"}}}"#),
        ("pay", r#"{"amount":{"__extn":{"fn":"decimal","arg":"1.0"}}}"#),
        ("fetch", r#"{"url":"https://example.com@evil.net/"}"#),
        ("fetch", r#"{"url":"https://evil.net/https://example.com"}"#),
        ("open", r#"{"path":"/srv/../etc/passwd"}"#),
        ("open", r#"{"path":"/srv/\u002e\u002e/etc/passwd"}"#),
        ("wipe", "{}"),
    ] {
        assert!(!passed(&call(&gate, tool, arguments)), "{tool} {arguments}");
    }
    assert_eq!(upstream.calls().len(), sent);

    for (method, params, good) in [
        ("resources/read", r#"{"uri":"file:///pub/a"}"#, true),
        ("resources/read", r#"{"uri":"file:///etc/b"}"#, false),
        ("resources/read", r#"{"uri":"file:///pub/../etc/b"}"#, false),
        ("prompts/get", r#"{"name":"hello"}"#, true),
        ("prompts/get", r#"{"name":"hello","arguments":{"size":"xl"}}"#, false),
        ("prompts/get", r#"{"name":"secret"}"#, false),
        (
            "completion/complete",
            r#"{"ref":{"type":"ref/prompt","name":"hello"},"argument":{"name":"size","value":"s"}}"#,
            true,
        ),
        (
            "completion/complete",
            r#"{"ref":{"type":"ref/prompt","name":"hello"},"argument":{"name":"size","value":"xl"}}"#,
            false,
        ),
        (
            "completion/complete",
            r#"{"ref":{"type":"ref/prompt","name":"secret","uri":"file:///pub/a"},"argument":{"name":"a","value":""}}"#,
            false,
        ),
        (
            "completion/complete",
            r#"{"ref":{"type":"ref/resource","uri":"file:///etc/{n}"},"argument":{"name":"n","value":""}}"#,
            false,
        ),
        ("ping", "{}", true),
    ] {
        assert_eq!(passed(&clerk(&gate, method, params)), good, "{method} {params}");
    }
    let methods = ["vendor/reindex", "tools/everything"];
    assert!(methods.iter().all(|method| !passed(&clerk(&gate, method, "{}"))));
}

/// C2, C4: a denial tells code and correlation id; what is hidden sounds like nothing, what explains itself says its words.
#[test]
fn denials_say_what_they_are_told_to() {
    let upstream = Upstream::scripted(Box::new(bank));
    let gate = gate(&upstream, CLERK, RULES);
    let data = |answer: &Answer| answer.json()["error"]["data"].clone();
    let hidden = call(&gate, "unknown", "{}");
    assert_eq!((hidden.status, hidden.json()["error"]["message"].as_str()), (200, Some("unknown tool")));
    let capped = call(&gate, "pay", r#"{"amount":5000}"#);
    assert_eq!(data(&capped)["code"], "MCP-002");
    assert!(data(&capped)["correlation_id"].is_string() && !capped.text().contains("small payments"));
    let broken = call(&gate, "pay", r#"{"amount":"x"}"#);
    assert_eq!(data(&broken)["code"], "MCP-002");
    let explained = gate.post(&[], &said("tools/call", r#"{"name":"wipe","arguments":{}}"#));
    assert_eq!(explained.json()["error"]["message"], "nobody wipes");
    assert_eq!(data(&explained)["details"]["rule"], "no wiping");
    assert!(passed(&call(&gate, "pay", r#"{"amount":5}"#)));
    let records = gate.journal();
    assert!(records.iter().any(|record| record["rule"] == "small payments"), "{records:?}");
    assert!(records.iter().any(|record| record["reason"] == "PolicyBroken"), "{records:?}");
}

/// The names that a list of this server shows a clerk.
fn listed(gate: &Gate, method: &str, member: &str, name: &str) -> Vec<String> {
    let list = clerk(gate, method, "{}").json()["result"][member].clone();
    list.as_array().into_iter().flatten().map(|item| item[name].as_str().unwrap().to_owned()).collect()
}

/// C3: lists show what may be used, with some arguments; the rest of the bytes is as it came.
#[test]
fn lists_show_what_may_be_used() {
    let upstream = Upstream::scripted(Box::new(bank));
    let gate = gate(&upstream, CLERK, RULES);
    assert_eq!(listed(&gate, "tools/list", "tools", "name"), ["see_balance", "pay", "fetch", "open"]);
    assert_eq!(listed(&gate, "resources/list", "resources", "uri"), ["file:///pub/a"]);
    assert_eq!(listed(&gate, "resources/templates/list", "resourceTemplates", "uriTemplate"), ["file:///pub/{n}"]);
    assert_eq!(listed(&gate, "prompts/list", "prompts", "name"), ["hello"]);
    let text = clerk(&gate, "tools/list", "{}").text();
    assert!(text.contains(r#"{"name":"pay","inputSchema":{"type":"object"}}"#) && text.contains(r#" , "ttl": 1.50}"#));

    let api = gate.raw(&gate.request("GET", "/api/tools", &[("Authorization", ""), ("X-API-Key", OTHER)], b""));
    let tools = api.json()["tools"].as_array().unwrap().iter().map(|tool| tool["name"].clone()).collect::<Vec<_>>();
    assert_eq!(Value::from(tools), json!(["see_balance", "pay", "fetch", "open"]));
    // Whoever may see all but one thing sees the others byte for byte.
    assert!(
        gate.post(&[], &said("resources/list", "{}"))
            .text()
            .contains(r#"[{"uri":"file:///pub/a"},{"uri":"file:///etc/b"}]"#)
    );
}

/// C1, A3: to whom no rule gives anything on a server, it does not exist; keys without any role have nothing at all.
#[test]
fn without_a_role_there_is_nothing() {
    let upstream = Upstream::scripted(Box::new(bank));
    let gate = gate(&upstream, &CLERK.replace("\"clerks\"", "\"others\""), RULES);
    assert_eq!(clerk(&gate, "ping", "{}").status, 404);
    let headers = [("Authorization", ""), ("X-API-Key", OTHER)];
    let market = gate.raw(&gate.request("GET", "/mcp/marketplace", &headers, b""));
    assert_eq!(market.json()["servers"], json!([]));
    assert!(passed(&gate.post(&[], &said("tools/call", r#"{"name":"pay","arguments":{}}"#))));
}

/// C1, C2: what a credential's own scopes leave out, no rule gives.
#[test]
fn scopes_stay_a_ceiling() {
    let upstream = Upstream::scripted(Box::new(bank));
    let narrow = config(&upstream.url(), CLERK)
        .replace(&format!("key = \"{KEY}\"\n"), &format!("key = \"{KEY}\"\nscopes = [\"mcp:tools:call:stub/pay\"]\n"));
    let gate = Gate::configured_with(&narrow, &[("rules/bank.cedar", "")]);
    let calls =
        |tool: &str| gate.post(&[], &said("tools/call", &format!(r#"{{"name":"{tool}","arguments":{{}}}}"#))).status;
    assert_eq!((calls("pay"), calls("see_balance")), (200, 403));
}

/// I2, C2: a reload changes rights at once, those of open streams too; one with a fault in a rule changes nothing.
#[test]
fn a_reload_changes_rights() {
    let rogue = streaming();
    let server = format!("url = \"{}\"", rogue.url());
    let policy = |rest: &str| {
        format!(
            "per_caller_per_minute = 60000\n[policy]\n{rest}[[policy.bindings]]\nroles = [\"developer\"]\ncallers = [\"key:test\"]\n"
        )
    };
    let text = |rest: &str| settings(&[("test", KEY), ("other", OTHER)], &[("one", &server)], &policy(rest));
    let other = "[[policy.bindings]]\nroles = [\"viewer\"]\ncallers = [\"key:other\"]\n";
    let gate = Gate::configured_with(
        &text(other),
        &[("rules/a.cedar", "permit (principal, action, resource in Server::\"two\");")],
    );
    let mut standing = gate.open("GET", "one", OTHER, &[("Content-Length", "")], b"");
    gate.replace(&text(&format!("files = [\"rules/*.cedar\"]\n{other}")));
    until("the fault to be told", || gate.log.lock().unwrap().contains("is none of the servers").then_some(()));
    assert!(is_open(&mut standing));
    assert_eq!(gate.ping("one", OTHER).status, 200);
    gate.replace(&text(""));
    until("the right to be gone", || (gate.ping("one", OTHER).status == 404).then_some(()));
    let (said, _) = rest(&mut standing);
    assert!(!said.contains("result"), "{said}");
    assert_eq!(gate.ping("one", KEY).status, 200);
}

/// C2, C4: the three commands say what is wrong, what decides, and whether cases hold.
#[test]
fn commands_check_explain_and_test() {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        write_private(&path, &text.replace("DIR", &dir.path().display().to_string()));
        path.display().to_string()
    };
    let clerk = format!("[[auth.keys]]\nname = \"ann\"\nkey = \"{OTHER}\"\ngroups = [\"clerks\"]\n");
    let file = put("palisade.toml", &config("http://127.0.0.1:9/mcp", &(clerk + CLERK)));
    let rules = put("rules/bank.cedar", RULES);
    let run = |arguments: &[&str]| {
        let output = output(&[arguments, &["--config", &file]].concat(), &[]);
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&text).into_owned())
    };
    let (code, said) = run(&["policy", "check"]);
    assert!(code == Some(0) && said.contains("ok"), "{said}");
    let explain =
        |args: &str| run(&["policy", "explain", "--caller", "key:ann", "--tool", "stub/pay", "--args", args]).1;
    let said = explain(r#"{"amount":5}"#);
    assert!(said.starts_with("allowed: the rule \"small payments\"") && said.contains("bank.cedar:2"), "{said}");
    assert!(explain(r#"{"amount":5000}"#).starts_with("denied: no rule permits it"));
    assert!(explain("{}").starts_with("denied: a rule could not be evaluated"));
    let case = |amount: u32, expect: &str| {
        format!(
            "[[cases]]\ncaller = \"key:ann\"\ntool = \"stub/pay\"\nargs = {{ amount = {amount} }}\nexpect = \"{expect}\"\nlisted = true\n"
        )
    };
    let good = put("good.toml", &(case(5, "allow") + &case(5000, "deny")));
    let bad = put("bad.toml", &(case(5, "allow") + &case(5000, "allow")));
    assert_eq!(run(&["policy", "test", &good]).0, Some(0));
    let (code, said) = run(&["policy", "test", &bad]);
    assert!(code == Some(1) && said.contains("case 2") && said.contains("2 cases, 1 failed"), "{said}");
    std::fs::write(&rules, RULES.replace("stub/fetch", "stab/fetch")).unwrap();
    let (code, said) = run(&["policy", "check"]);
    assert!(code == Some(78) && said.contains(&format!("{rules}:6")) && said.contains("can never match"), "{said}");
}
