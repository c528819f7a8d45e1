//! Eight servers that people really run, in one `palisade.toml`: every official client lists and calls all of them.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::thread;

use serde_json::{Value, json};

use crate::harness::{Client, Gateway, Plan, Report, Setup, all_recorded, program};

/// One call that a client makes of a server, and a word that its answer holds.
struct Visit {
    server: &'static str,
    tools: usize,
    call: &'static str,
    arguments: Value,
    answer: &'static str,
    /// Whether it speaks 2026-07-28 too.
    modern: bool,
}

/// A3: eight servers, each at a path of its own, for every client in each era that the server speaks.
#[test]
fn every_client_reaches_every_server() {
    let world = World::new();
    let gateway = Setup::run().config(world.config()).start();
    let reports: Vec<Report> = thread::scope(|scope| {
        let gateway = &gateway;
        let visits = world.visits().into_iter().map(|visit| scope.spawn(move || reach(gateway, &visit)));
        let started: Vec<_> = visits.collect();
        started.into_iter().flat_map(|visits| visits.join().unwrap()).collect()
    });
    all_recorded(&gateway.stop(), &reports);
}

/// A3: the same eight servers through `/mcp`: every client, in each era it speaks, lists all their tools and calls each.
#[test]
fn every_client_reaches_every_server_through_the_aggregate() {
    let world = World::new();
    let gateway = Setup::run().config(format!("{}[aggregate]\ntimeout = \"60s\"\n", world.config())).start();
    let visits = world.visits();
    let wanted: usize = visits.iter().map(|visit| visit.tools).sum();
    let mut reports = Vec::new();
    for client in [&Client::LEGACY[..], &Client::MODERN, &Client::AUTO].concat() {
        let calls = visits.iter().fold(Plan::to(&gateway), |plan, visit| plan.call(visit.call, &visit.arguments));
        let report = calls.call("time.get_current_time", &json!({"timezone": "UTC"})).visit(client);
        report.must_succeed();
        assert_eq!(report.tools.as_ref().unwrap().len(), wanted, "{client:?}: {:?}", report.tools);
        for (visit, step) in visits.iter().zip(&report.steps) {
            assert!(step.to_string().contains(visit.answer), "{client:?} at {}: {step}", visit.server);
        }
        assert!(report.steps[visits.len()].to_string().contains("UTC"), "{client:?}");
        reports.push(report);
    }
    all_recorded(&gateway.stop(), &reports);
}

/// Every client at one server: the legacy ones one after another, then the modern ones.
fn reach(gateway: &Gateway, visit: &Visit) -> Vec<Report> {
    let modern: &[Client] = if visit.modern { &Client::MODERN } else { &[] };
    let clients = Client::LEGACY.iter().chain(modern);
    let one = |client: &Client| {
        let mut plan = Plan::to(gateway).call(visit.call, &visit.arguments);
        plan.url = format!("{}/{}", gateway.mcp(), visit.server);
        let report = plan.visit(*client);
        report.must_succeed();
        let listed = report.tools.as_ref().unwrap().len();
        assert_eq!(listed, visit.tools, "{client:?} at {}: {:?}", visit.server, report.tools);
        let told = report.steps[0].to_string();
        assert!(told.contains(visit.answer), "{client:?} at {}: {told}", visit.server);
        report
    };
    clients.map(one).collect()
}

/// What the servers work on: a folder of files, a repository, a database, a page.
struct World {
    folder: tempfile::TempDir,
    page: String,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("note.txt"), "a note in a file").unwrap();
        let repository = folder.path().join("repository");
        git(folder.path(), &["init", "--quiet", "repository"]);
        std::fs::write(repository.join("read.me"), "text").unwrap();
        git(&repository, &["add", "read.me"]);
        let author = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"];
        git(&repository, &[&author[..], &["commit", "--quiet", "--message", "the first commit"]].concat());
        Self { folder, page: page() }
    }

    fn config(&self) -> String {
        let at = |name: &str| self.folder.path().join(name).to_str().unwrap().to_owned();
        let folder = self.folder.path().to_str().unwrap();
        let servers: [(&str, Vec<String>); 8] = [
            ("everything", vec!["stdio".into()]),
            ("filesystem", vec![folder.into()]),
            ("memory", vec![]),
            ("sequential-thinking", vec![]),
            ("time", vec!["--local-timezone".into(), "UTC".into()]),
            ("git", vec!["--repository".into(), at("repository")]),
            ("fetch", vec!["--ignore-robots-txt".into(), "--allow-private-ips".into()]),
            ("sqlite", vec!["--db-path".into(), at("data.db")]),
        ];
        let mut config = "environment = \"development\"\n".to_owned();
        for (name, arguments) in servers {
            let command = [vec![program(&format!("mcp-server-{name}"))], arguments].concat();
            writeln!(config, "[servers.{name}]\ncommand = {command:?}").unwrap();
            if name == "memory" {
                writeln!(config, "env = {{ MEMORY_FILE_PATH = {:?} }}", at("memory.json")).unwrap();
            }
        }
        config
    }

    fn visits(&self) -> Vec<Visit> {
        let legacy =
            |server, tools, call, arguments, answer| Visit { server, tools, call, arguments, answer, modern: false };
        let note = self.folder.path().join("note.txt");
        let repository = self.folder.path().join("repository");
        let noon = json!({"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"});
        let thought = json!({"thought": "first", "nextThoughtNeeded": false, "thoughtNumber": 1, "totalThoughts": 1});
        let dual = |visit: Visit| Visit { modern: true, ..visit };
        vec![
            legacy("everything", 13, "echo", json!({"message": "Grüße"}), "Echo: Grüße"),
            legacy("filesystem", 14, "read_text_file", json!({"path": note}), "a note in a file"),
            legacy("memory", 9, "read_graph", json!({}), "entities"),
            legacy("sequential-thinking", 1, "sequentialthinking", thought, "thoughtNumber"),
            dual(legacy("time", 2, "convert_time", noon, "21:00")),
            dual(legacy("git", 12, "git_log", json!({"repo_path": repository}), "the first commit")),
            dual(legacy("fetch", 1, "fetch", json!({"url": self.page}), "words of a page")),
            legacy("sqlite", 6, "list_tables", json!({}), "[]"),
        ]
    }
}

fn git(folder: &Path, arguments: &[&str]) {
    let status = Command::new("git").current_dir(folder).args(arguments).status().unwrap();
    assert!(status.success(), "git {arguments:?}");
}

/// A page on this machine, for the server that fetches pages.
fn page() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _request = stream.read(&mut [0; 4096]).unwrap();
            let body = "<html><body><p>words of a page</p></body></html>";
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close";
            write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
        }
    });
    format!("http://{address}/page.html")
}
