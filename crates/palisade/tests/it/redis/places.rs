//! Redis over TLS, found by Sentinels, and as a cluster.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use palisade_testkit::redis::{PASSWORD, Redis};

use super::{shared, signed_gate, status};
use crate::gate::{Gate, until, write_private};
use crate::signed::Draft;
use crate::tls::Authority;
use crate::upstream::Upstream;

fn works(gate: &Gate, key: &str) {
    until("a signed call to be taken", || (Draft::call(key).signed(gate).send(gate).status == 200).then_some(()));
}

/// D4, P-K2: over TLS the server must be certified for its name by the authority of the file, and by no other.
#[test]
fn the_server_must_be_certified() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let certificate = ours.server();
    let (server, upstream) = (Redis::with_tls(&certificate.pem, &certificate.key), Upstream::echo());
    let folder = tempfile::tempdir().unwrap();
    let over = |name: &str, authority: &Authority, host: &str| {
        let path = folder.path().join(name);
        write_private(&path, &authority.pem);
        let url = shared(&server).replace("redis://gate@127.0.0.1", &format!("rediss://gate@{host}"));
        format!("{url}replicas = 1\nca_file = \"{}\"\n", path.display())
    };
    works(&signed_gate(&over("right.pem", &ours, "localhost"), &upstream), "tls");
    let wrong = signed_gate(&over("wrong.pem", &other, "localhost"), &upstream);
    let plain = signed_gate(&format!("{}replicas = 1\n", shared(&server)), &upstream);
    for gate in [&wrong, &plain] {
        let answer = Draft::call("wrong").signed(gate).send(gate);
        assert_eq!((answer.status, answer.code().as_str()), (503, "MCP-003"), "{}", answer.text());
        assert_eq!(status(gate)["reachable"], false);
    }
}

/// D4, R8, P-K6: Sentinels say who takes writes; after a failover the gateway follows them by itself, and what was taken before
/// is not taken again.
#[test]
fn sentinels_are_followed() {
    let (mut first, upstream) = (Redis::start(), Upstream::echo());
    let port = first.port().to_string();
    let second = Redis::with(&format!("replicaof 127.0.0.1 {port}\nrepl-diskless-sync-delay 0"));
    until("the second to follow", || {
        second.ask(&["INFO", "replication"]).contains("master_link_status:up").then_some(())
    });
    let folder = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).unwrap().port();
    let settings = format!(
        "port {free}\nbind 127.0.0.1\ndir {0}\nlogfile {0}/log\nsentinel monitor desk 127.0.0.1 {port} 1\n\
         sentinel auth-pass desk {PASSWORD}\nsentinel down-after-milliseconds desk 500\n\
         sentinel failover-timeout desk 3000\n",
        folder.path().display()
    );
    let file = folder.path().join("sentinel.conf");
    fs::write(&file, settings).unwrap();
    let mut sentinel = Command::new("redis-server")
        .arg(&file)
        .arg("--sentinel")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let log = || fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        until("the Sentinel to know the second", || log().contains("+slave").then_some(()));
        // One that is not there is passed over.
        let url = shared(&first).replace(&format!("127.0.0.1:{port}"), &format!("127.0.0.1:1,127.0.0.1:{free}"));
        let gate = signed_gate(&format!("{url}master = \"desk\"\n"), &upstream);
        works(&gate, "before");
        let taken = until("it to be taken", || {
            let kept = Draft::call("kept").signed(&gate);
            (kept.send(&gate).status == 200).then_some(kept)
        });
        first.kill();
        until("the second to be promoted", || {
            assert_ne!(taken.send(&gate).status, 200);
            second.ask(&["INFO", "replication"]).contains("role:master").then_some(())
        });
        let began = Instant::now();
        works(&gate, "after");
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        assert_ne!(taken.send(&gate).status, 200);
        assert_eq!(status(&gate)["form"], "sentinel");
    }));
    sentinel.kill().unwrap();
    sentinel.wait().unwrap();
    tried.unwrap();
}

/// D4, R8: three nodes are one Redis; while one of them is gone nobody waits, and nothing is taken that cannot be known.
#[test]
fn a_cluster_is_one() {
    let upstream = Upstream::echo();
    let mut nodes: Vec<Redis> = (0..3).map(|_| Redis::with("cluster-enabled yes\ncluster-node-timeout 1000")).collect();
    let ranges = [("0", "5460"), ("5461", "10922"), ("10923", "16383")];
    for (node, (first, last)) in nodes.iter().zip(ranges) {
        node.ask(&["CLUSTER", "ADDSLOTSRANGE", first, last]);
        node.ask(&["CLUSTER", "MEET", "127.0.0.1", &nodes[0].port().to_string()]);
    }
    until("the cluster", || {
        nodes.iter().all(|node| node.ask(&["CLUSTER", "INFO"]).contains("cluster_state:ok")).then_some(())
    });
    let hosts: Vec<_> = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
    let settings = shared(&nodes[0]).replace(&hosts[0], &hosts.join(","));
    let gates = [(); 2].map(|()| signed_gate(&format!("{settings}cluster = true\n"), &upstream));
    for number in 0..20 {
        works(&gates[number % 2], &format!("cluster {number}"));
    }
    let taken = until("it to be taken", || {
        let kept = Draft::call("kept").with("host", "localhost").signed(&gates[0]);
        (kept.send(&gates[0]).status == 200).then_some(kept)
    });
    assert_eq!(taken.send(&gates[1]).status, 401, "both know");
    let counts: Vec<usize> = nodes.iter().map(|node| node.ask(&["DBSIZE"]).parse().unwrap()).collect();
    assert!(counts.iter().all(|count| *count > 0), "each has a part: {counts:?}");
    nodes[2].kill();
    let began = Instant::now();
    for number in 0..10 {
        let asked = Instant::now();
        let answer = Draft::call(&format!("gone {number}")).signed(&gates[0]).send(&gates[0]);
        assert!([200, 503].contains(&answer.status), "{}", answer.text());
        assert!(asked.elapsed() < Duration::from_millis(1200), "{:?}", asked.elapsed());
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_ne!(taken.send(&gates[1]).status, 200);
    nodes[2].resume();
    for number in 0..10 {
        works(&gates[number % 2], &format!("back {number}"));
    }
}
