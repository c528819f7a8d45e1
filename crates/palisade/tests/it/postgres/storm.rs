//! Calls while the server's connections are cut again and again, and a network that takes everything and answers nothing.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use palisade_testkit::postgres::Postgres;

use super::store;
use crate::gate::until;
use crate::once::NO_LIMITS;
use crate::signed::{Draft, signed_gate};
use crate::upstream::Upstream;

/// A call whose arguments say which one it is.
fn numbered(number: usize) -> Draft {
    let mut draft = Draft::call(&format!("storm {number}")).with("host", "localhost");
    draft.body = String::from_utf8(draft.body).unwrap().replace("\"n\":1", &format!("\"n\":{number}")).into_bytes();
    draft
}

/// R9, R24, D5, P-C1: connections are cut in the middle of commits, at two gateways, while callers send each call until it is
/// answered: each is run exactly once, and none is lost.
#[test]
fn calls_run_once_while_connections_are_cut() {
    const CALLS: usize = 120;
    let (server, upstream) = (Postgres::start(), Upstream::echo());
    let settings = format!("{}\n{NO_LIMITS}", store(&server, "storm"));
    let gates = [signed_gate(&upstream.url(), "hmac", &settings), signed_gate(&upstream.url(), "hmac", &settings)];
    let (next, over, refused) = (AtomicUsize::new(0), AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'gate'";
            while !over.load(SeqCst) {
                server.sql("storm", cut);
            }
        });
        let callers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, SeqCst);
                        if number >= CALLS {
                            return;
                        }
                        let mut turn = number;
                        until("the call to be answered", || {
                            turn += 1;
                            let gate = &gates[turn % 2];
                            let answer = numbered(number).signed(gate).send(gate);
                            assert!([200, 409, 503].contains(&answer.status), "{}", answer.text());
                            refused.fetch_add(usize::from(answer.status != 200), SeqCst);
                            (answer.status == 200).then_some(())
                        });
                    }
                })
            })
            .collect();
        let ended: Vec<_> = callers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        over.store(true, SeqCst);
        for ended in ended {
            ended.unwrap();
        }
    });
    let mut runs = BTreeMap::new();
    for call in upstream.calls() {
        let body: serde_json::Value = serde_json::from_slice(&call).unwrap();
        *runs.entry(body["params"]["arguments"]["n"].as_u64().unwrap()).or_insert(0) += 1;
    }
    let wrong: Vec<_> = runs.iter().filter(|(_, times)| **times != 1).collect();
    assert!(wrong.is_empty() && runs.len() == CALLS, "{} calls, not once: {wrong:?}", runs.len());
    assert!(refused.load(SeqCst) > 0, "nothing was cut");
}

/// A network between a gateway and the server. What is open when it breaks never carries anything again.
struct Network {
    address: SocketAddr,
    broken: Arc<AtomicBool>,
}

impl Network {
    fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, broken) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(false)));
        let is_broken = Arc::clone(&broken);
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let (is_broken, lost) = (Arc::clone(&is_broken), Arc::new(AtomicBool::new(false)));
                thread::spawn(move || {
                    let Ok(far) = TcpStream::connect(("127.0.0.1", port)) else { return };
                    let (from, to) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                    let (also_broken, also_lost) = (Arc::clone(&is_broken), Arc::clone(&lost));
                    thread::spawn(move || carry(from, to, &also_broken, &also_lost));
                    carry(far, near, &is_broken, &lost);
                });
            }
        });
        Self { address, broken }
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, broken: &AtomicBool, lost: &AtomicBool) {
    let mut bytes = [0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if broken.load(SeqCst) {
            lost.store(true, SeqCst);
        }
        if !lost.load(SeqCst) && to.write_all(&bytes[..count]).is_err() {
            return;
        }
    }
}

/// R9, P-K8: a network that takes everything and answers nothing; what was open before stays silent for ever, and the gateway
/// is back all the same.
#[test]
fn a_network_that_swallows() {
    let (server, upstream) = (Postgres::start(), Upstream::echo());
    let network = Network::to(server.port());
    let settings = store(&server, "network").replace(&server.port().to_string(), &network.address.port().to_string());
    let gate = signed_gate(&upstream.url(), "hmac", &format!("{settings}\n{NO_LIMITS}"));
    let send = |key: &str| Draft::call(key).signed(&gate).send(&gate);
    // Several connections are open, and stay.
    thread::scope(|scope| {
        for number in 0..20 {
            scope.spawn(move || assert_eq!(send(&format!("before {number}")).status, 200));
        }
    });
    network.broken.store(true, SeqCst);
    for number in 0..5 {
        let answer = send(&format!("broken {number}"));
        assert_eq!((answer.status, answer.code().as_str()), (503, "MCP-003"), "{}", answer.text());
    }
    network.broken.store(false, SeqCst);
    let began = Instant::now();
    until("the gateway to be back", || (send("after").status == 200).then_some(()));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}
