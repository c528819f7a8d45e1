//! The official clients against real servers, through the built gateway: everything that works without the gateway works
//! through it, in each era, and every arrival is in the journal.

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{
    Client, Gateway, Journal, Plan, Process, Report, Setup, all_recorded, built, parts, program, script,
};

/// A1, A3: the npm server, which speaks the legacy revisions over stdio, behind `palisade run -- …`.
#[test]
fn everything_over_stdio() {
    let gateway = Setup::run().command(&[&program("mcp-server-everything"), "stdio"]).start();
    everything(gateway, &Client::LEGACY);
}

/// A1, A3: the same for clients that first ask what the server speaks.
#[test]
fn everything_over_stdio_for_clients_that_probe() {
    let gateway = Setup::run().command(&[&program("mcp-server-everything"), "stdio"]).start();
    everything(gateway, &Client::AUTO);
}

/// A1, A3: the npm server over Streamable HTTP, behind `palisade run --url …`.
#[test]
fn everything_over_http() {
    let (_server, url) = everything_server();
    everything(Setup::run().url(&url).start(), &Client::LEGACY);
}

/// A1, A3: the same for clients that first ask what the server speaks.
#[test]
fn everything_over_http_for_clients_that_probe() {
    let (_server, url) = everything_server();
    everything(Setup::run().url(&url).start(), &Client::AUTO);
}

/// A1, A3: a Python server that speaks both eras over stdio, asked in the legacy one.
#[test]
fn time_in_the_legacy_era() {
    time(&Client::LEGACY, "2025-11-25");
}

/// A1, A3: the same server, asked in 2026-07-28 and by clients that find out by themselves.
#[test]
fn time_in_the_modern_era() {
    time(&Client::MODERN, "2026-07-28");
    time(&Client::AUTO, "2026-07-28");
}

/// K1, K2: `palisade demo` serves eleven tools to every client in both eras.
#[test]
fn the_demo_serves_every_client() {
    let gateway = Setup::demo().start();
    let mut reports = Vec::new();
    for client in [&Client::LEGACY[..], &Client::MODERN, &Client::AUTO].concat() {
        let mut plan = Plan::to(&gateway)
            .call("calculator", &json!({"expression": "(1 + 2) * 3 / 4"}))
            .call("text_tools", &json!({"operation": "upper", "text": "grüße"}))
            .call("execution.sim_quote", &json!({}))
            .call("calculator", &json!({"expression": "6 * 7"}));
        let report = plan.visit(client);
        report.must_connect();
        assert_eq!(report.tools.as_ref().unwrap().len(), 11, "{client:?}");
        assert!(report.text(0).contains("9/4") || report.text(0).contains("2.25"), "{client:?}: {}", report.text(0));
        assert!(report.text(1).contains("GRÜSSE"), "{client:?}: {}", report.text(1));
        assert!(is_refused(&report.steps[2]), "{client:?}: arguments are missing: {}", report.steps[2]);
        assert!(report.text(3).contains("42"), "{client:?}: {}", report.text(3));
        reports.push(report);
    }
    let journal = gateway.stop();
    all_recorded(&journal, &reports);
    answered(&journal, "calculator", 2 * reports.len());
}

/// A1: progress, logging, sampling and elicitation in 2026-07-28, over HTTP and over stdio.
#[test]
fn server_requests_and_notifications_in_the_modern_era() {
    let fixture = built("palisade-fixture");
    let mut over_http = Command::new(&fixture);
    over_http.args(["--listen", "127.0.0.1:0"]);
    let server = Process::start(over_http);
    let url = server.wait_for("listening on ");
    let http = Setup::run().url(&url).start();
    let stdio = Setup::run().command(&[fixture.to_str().unwrap(), "--stdio"]).start();
    for gateway in [http, stdio] {
        let reports: Vec<Report> =
            Client::MODERN.iter().map(|client| modern_notifications(&gateway, *client)).collect();
        all_recorded(&gateway.stop(), &reports);
    }
}

fn modern_notifications(gateway: &Gateway, client: Client) -> Report {
    let mut plan = Plan::to(gateway)
        .step(json!({"call": "test_tool_with_logging", "log": "debug"}))
        .step(json!({"call": "test_tool_with_progress", "progress": true}))
        .call("test_sampling", &json!({"prompt": "say something"}))
        .call("test_elicitation", &json!({"message": "who are you?"}));
    plan.declares = vec!["sampling", "elicitation"];
    let report = plan.visit(client);
    report.must_succeed();
    assert_eq!(report.notifications_of("notifications/message"), 3, "{client:?}");
    assert_eq!(report.notifications_of("notifications/progress"), 3, "{client:?}");
    assert_eq!(report.asked, ["sampling/createMessage", "elicitation/create"], "{client:?}");
    assert!(report.text(2).contains("a canned answer"), "{client:?}");
    assert!(report.text(3).contains("ada@example.com"), "{client:?}");
    report
}

/// B2, E9: each client hears that its key is wrong, as an error of authentication and not as a broken connection.
#[test]
fn a_wrong_key_is_reported_as_such() {
    let gateway = Setup::demo().start();
    let mut reports = Vec::new();
    for client in [&Client::LEGACY[..], &Client::MODERN, &Client::AUTO].concat() {
        for key in [None, Some("nobody-has-this-key-0123456789abcdef".to_owned())] {
            let mut plan = Plan::to(&gateway).call("calculator", &json!({"expression": "1"}));
            plan.key = key;
            let report = plan.visit(client);
            let error = report.error.as_ref().unwrap_or_else(|| panic!("{client:?} connected without a right key"));
            let told = error.to_string().to_lowercase();
            let understood = ["401", "auth"].iter().any(|word| told.contains(word));
            assert!(understood, "{client:?} does not say that authentication failed: {error}");
            assert_eq!(report.tools, None, "{client:?}");
            reports.push(report);
        }
    }
    let journal = gateway.stop();
    all_recorded(&journal, &reports);
    assert!(journal.closings().all(|line| line["status"] == 401 && line["stage"] == "authenticate"), "{journal}");
}

/// D1, E9: each client hears that it called too often, in words and not as a broken connection.
#[test]
fn a_limit_is_reported_as_such() {
    for client in [&Client::LEGACY[..], &Client::MODERN].concat() {
        let few = "environment = \"development\"\n[limits]\nper_caller_per_minute = 8\n";
        let server = [&program("mcp-server-time"), "--local-timezone", "UTC"];
        let gateway = Setup::run().config(few).command(&server).start();
        let mut plan = Plan::to(&gateway);
        for _ in 0..8 {
            plan = plan.call("get_current_time", &json!({"timezone": "UTC"}));
        }
        let report = plan.visit(client);
        assert_eq!(report.error, None, "{client:?}");
        assert!(report.text(0).contains("UTC"), "{client:?}: the first calls are within the limit");
        let told = report.error(7).to_string();
        // The Rust SDK reads no body of a 429: it tells the status alone.
        let understood = ["too many calls", "HTTP 429"].iter().any(|words| told.contains(words));
        assert!(understood, "{client:?} does not say what is wrong: {told}");
        let journal = gateway.stop();
        let refused = journal.closings().filter(|line| line["status"] == 429).count();
        assert!(refused > 0, "{journal}");
        all_recorded(&journal, &[report]);
    }
}

/// One visit of each client to server-everything: lists, calls, notifications, server requests, a refusal, another call.
fn everything(gateway: Gateway, clients: &[Client]) {
    let mut reports = Vec::new();
    for &client in clients {
        let mut plan = Plan::to(&gateway)
            .call("echo", &json!({"message": "Grüße"}))
            .call("get-sum", &json!({"a": 19.5, "b": 22.5}))
            .step(json!({
                "call": "trigger-long-running-operation", "arguments": {"duration": 0.2, "steps": 2}, "progress": true
            }))
            .call("toggle-simulated-logging", &json!({}))
            .step(json!({"await": "notifications/message"}))
            .call("trigger-sampling-request", &json!({"prompt": "say something"}))
            .call("trigger-elicitation-request", &json!({}))
            .call("no such tool!", &json!({}))
            .call("echo", &json!({"message": "still here"}))
            .step(json!({"level": "debug"}))
            .step(json!({"prompt": "args-prompt", "arguments": {"city": "Oslo"}}))
            .step(json!({"read": "demo://resource/dynamic/text/7"}));
        plan.declares = vec!["sampling", "elicitation"];
        let report = plan.visit(client);
        report.must_connect();
        assert_eq!(report.revision.as_deref(), Some("2025-11-25"), "{client:?}");
        assert!(report.lists("echo") && report.lists("trigger-sampling-request"), "{client:?}: {:?}", report.tools);
        assert_eq!(report.text(0), "Echo: Grüße", "{client:?}");
        assert!(report.text(1).contains("42"), "{client:?}");
        assert!(report.text(2).contains("completed"), "{client:?}");
        assert_eq!(report.notifications_of("notifications/progress"), 2, "{client:?}");
        assert!(report.steps[4]["error"].is_null(), "{client:?}: {}", report.steps[4]);
        assert!(report.text(5).contains("a canned answer"), "{client:?}");
        assert!(report.text(6).contains("information"), "{client:?}: {}", report.text(6));
        assert_eq!(report.asked, ["sampling/createMessage", "elicitation/create"], "{client:?}");
        assert_eq!(report.error(7)["code"], -32602, "{client:?}: {}", report.steps[7]);
        assert_eq!(report.text(8), "Echo: still here", "{client:?}");
        assert!(report.steps[9]["error"].is_null(), "{client:?}: {}", report.steps[9]);
        assert!(report.steps[10].to_string().contains("Oslo"), "{client:?}: {}", report.steps[10]);
        assert!(
            report.steps[11].to_string().contains("demo://resource/dynamic/text/7"),
            "{client:?}: {}",
            report.steps[11]
        );
        reports.push(report);
    }
    let journal = gateway.stop();
    all_recorded(&journal, &reports);
    answered(&journal, "echo", 2 * clients.len());
    answered(&journal, "trigger-elicitation-request", clients.len());
}

/// One visit of each client to the time server.
fn time(clients: &[Client], revision: &str) {
    let gateway = Setup::run().command(&[&program("mcp-server-time"), "--local-timezone", "UTC"]).start();
    let mut reports = Vec::new();
    for &client in clients {
        let noon = json!({"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"});
        let report = Plan::to(&gateway)
            .call("get_current_time", &json!({"timezone": "Europe/Paris"}))
            .call("convert_time", &noon)
            .call("no such tool!", &json!({}))
            .call("convert_time", &noon)
            .visit(client);
        report.must_connect();
        assert_eq!(report.revision.as_deref(), Some(revision), "{client:?}");
        assert_eq!(report.tools.as_deref().unwrap(), ["get_current_time", "convert_time"], "{client:?}");
        assert!(report.text(0).contains("Europe/Paris"), "{client:?}");
        assert!(report.text(1).contains("21:00"), "{client:?}");
        assert_eq!(report.error(2)["code"], -32602, "{client:?}: {}", report.steps[2]);
        assert!(report.text(3).contains("21:00"), "{client:?}");
        reports.push(report);
    }
    if revision == "2026-07-28" {
        assert!(gateway.has_children(), "one child serves everybody, and stays");
    } else {
        gateway.must_lose_its_children();
    }
    let journal = gateway.stop();
    all_recorded(&journal, &reports);
    answered(&journal, "convert_time", 2 * clients.len());
}

/// The npm server on a free port of this machine, and its endpoint.
fn everything_server() -> (Process, String) {
    let mut command = Command::new(program("node"));
    command.arg("--import").arg(script("loopback.mjs"));
    command.arg(parts().join("node_modules/@modelcontextprotocol/server-everything/dist/index.js"));
    let server = Process::start({
        command.arg("streamableHttp");
        command
    });
    let url = server.wait_for("listening on ");
    (server, format!("{url}/mcp"))
}

/// Whether a step ended with an error of the protocol or of the tool.
fn is_refused(step: &Value) -> bool {
    step["error"].is_object() || step["result"]["isError"] == true
}

/// Checks that the journal tells of each call of a tool: by whom, and that it was answered.
fn answered(journal: &Journal, tool: &str, times: usize) {
    let calls: Vec<_> = journal.closings_of("tools/call", tool).collect();
    assert_eq!(calls.len(), times, "{tool} was called {times} times: {journal}");
    for call in calls {
        assert_eq!((&call["decision"], &call["principal"]), (&json!("allowed"), &json!("key:caller")), "{call}");
        assert!(["answered", "streamed"].contains(&call["outcome"].as_str().unwrap()), "{call}");
    }
}
