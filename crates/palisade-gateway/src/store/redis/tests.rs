//! Redis as gateways use it: the contract of nonces and claims, the windows against guard's, and what is refused.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use palisade_guard::idempotency::{CLAIMS_OF_ONE, Claims as _, Deed, Down, End, Found, Recorded};
use palisade_guard::limit::window;
use palisade_guard::sign::nonces::{Nonces as _, Seen, Use};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use redis::Script;
use tokio_util::sync::CancellationToken;

use super::window::SCRIPT;
use super::{Claims, Nonces, Redis, connect};
use crate::config::{self, Kept, OnFailure, RedisForm, Secret};
use crate::store::once::tests::{claims, nonces};
use crate::time;

#[path = "../../../../palisade-testkit/src/redis.rs"]
#[expect(dead_code, unreachable_pub, reason = "the tests of the built program use the rest")]
pub(crate) mod server;

/// The server of these tests, whose keys begin so.
fn place(prefix: &str) -> config::Redis {
    static SERVER: OnceLock<server::Redis> = OnceLock::new();
    at(SERVER.get_or_init(server::Redis::start), prefix)
}

fn at(server: &server::Redis, prefix: &str) -> config::Redis {
    config::Redis {
        form: RedisForm::Single,
        nodes: vec![("127.0.0.1".to_owned(), server.port())],
        user: Some("gate".to_owned()),
        password: Some(Secret::new(server::PASSWORD.to_owned())),
        database: 0,
        tls: false,
        ca_file: None,
        prefix: format!("palisade:{prefix}"),
        keeps: vec![Kept::Limits, Kept::Nonces, Kept::Claims],
        replicas: None,
        limits_on_failure: OnFailure::Local,
        // The tests share their processor with others.
        connect: Duration::from_secs(5),
        command: Duration::from_secs(5),
    }
}

async fn begin(place: config::Redis) -> Arc<Redis> {
    Redis::begin(place, CancellationToken::new()).await.unwrap()
}

fn now_s() -> u64 {
    time::now().unix_ms / 1000
}

/// B4, D4, D5, P-B13: Redis keeps the contract of every store, also where two gateways share it.
#[tokio::test]
async fn redis_keeps_the_contract() {
    let (one, other) = (begin(place("contract")).await, begin(place("contract")).await);
    let stop = CancellationToken::new();
    let ours = Nonces::begin(Arc::clone(&one), stop.clone());
    let theirs = Nonces::begin(Arc::clone(&other), stop.clone());
    // What was signed before anything was known is not taken.
    ours.look_once().await;
    nonces(&*ours, &*theirs, now_s() + 5).await;
    let (ours, theirs) = (Claims::begin(one, stop.clone()), Claims::begin(other, stop));
    claims(&*ours, &*theirs).await;
}

/// B4, P-B14, P-K5, R8: what was signed before the data was lost is not taken again, whoever has it now.
#[tokio::test]
async fn lost_data_close_the_window() {
    let mut server = server::Redis::start();
    let redis = begin(at(&server, "lost")).await;
    let store = Nonces::begin(Arc::clone(&redis), CancellationToken::new());
    let time = now_s();
    let used = |number, timestamp| Use { once: [number; 32], timestamp };
    assert_eq!(store.insert(used(1, time), time::now()).await, Ok(Seen::Forgotten), "signed before it began");
    assert_eq!(store.insert(used(2, time + 20), time::now()).await, Ok(Seen::First));
    assert_eq!(store.insert(used(2, time + 20), time::now()).await, Ok(Seen::Again));
    assert_eq!(store.insert(used(3, time - 500), time::now()).await, Ok(Seen::Forgotten), "too long ago");
    server.ask(&["FLUSHALL"]);
    let again = store.insert(used(2, time + 20), time::now()).await;
    assert_eq!(again, Ok(Seen::Forgotten), "signed for a moment that is still to come");
    assert_eq!(store.insert(used(4, time + 25), time::now()).await, Ok(Seen::First));
    server.kill();
    assert!(store.insert(used(4, time + 25), time::now()).await.is_err());
    server.resume();
    let end = std::time::Instant::now() + Duration::from_secs(5);
    loop {
        match store.insert(used(4, time + 25), time::now()).await {
            Err(_) => assert!(std::time::Instant::now() < end, "it does not come back"),
            told => break assert_eq!(told, Ok(Seen::Forgotten)),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(store.insert(used(5, time + 29), time::now()).await, Ok(Seen::First));
}

/// D5: a claim that nobody heard of is taken back, one of a gateway that is gone is unknown, and what could not be written
/// down is, later.
#[tokio::test]
async fn claims_outlive_what_happens_to_gateways() {
    let mut server = server::Redis::with("appendonly yes\nappendfsync always");
    let place = config::Redis { command: Duration::from_millis(250), ..at(&server, "claims") };
    let (stop, now) = (CancellationToken::new(), time::now().unix_ms);
    let gone = CancellationToken::new();
    let first = Redis::begin(place.clone(), gone.clone()).await.unwrap();
    let ours = Claims::begin(first, gone.clone());
    let theirs = Claims::begin(begin(place).await, stop);
    let deed = |claim: u8| Deed { claim: [claim; 32], content: [1; 32], caller: Arc::from("client:a") };
    // Asked, and then nobody waits.
    let mut asked = ours.claim(deed(1), now);
    assert!(std::future::poll_fn(|context| std::task::Poll::Ready(asked.as_mut().poll(context).is_pending())).await);
    drop(asked);
    until("taken back", async || theirs.claim(deed(1), now).await == Ok(Found::Nothing)).await;
    // Ended while Redis is away, and nothing of it is left there.
    assert_eq!(ours.claim(deed(2), now).await, Ok(Found::Nothing));
    server.kill();
    assert!(ours.settle([2; 32], End::Unkept, now).await.is_err());
    server.resume();
    until("paid", async || theirs.claim(deed(2), now).await == Ok(Found::Ended(End::Unkept))).await;
    // Under way at a gateway that stops.
    until("made", async || ours.claim(deed(3), now).await == Ok(Found::Nothing)).await;
    assert_eq!(theirs.claim(deed(3), now).await, Ok(Found::UnderWay));
    gone.cancel();
    until("unknown", async || theirs.claim(deed(3), now).await == Ok(Found::Ended(End::Unknown))).await;
}

/// D5: a caller has so many claims, and answers of so many bytes; time makes room, and nobody else feels it.
#[tokio::test]
async fn a_callers_claims_are_bounded() {
    let server = server::Redis::start();
    let store = Claims::begin(begin(at(&server, "bounds")).await, CancellationToken::new());
    let now = time::now().unix_ms;
    let deed = |claim: u8, caller: &str| Deed { claim: [claim; 32], content: [1; 32], caller: Arc::from(caller) };
    let key = |name: &str| format!("palisade:bounds:{{c{}}}:{name}", super::window::short("client:a"));
    let fill = "for at = 1, ARGV[2] do redis.call('ZADD', KEYS[1], ARGV[1], at) end";
    let most = CLAIMS_OF_ONE.to_string();
    server.ask(&["EVAL", fill, "1", &key("all"), &(now + 60_000).to_string(), &most]);
    assert_eq!(store.claim(deed(1, "client:a"), now).await, Err(Down::Crowded));
    assert_eq!(store.claim(deed(1, "client:b"), now).await, Ok(Found::Nothing));
    server.ask(&["EVAL", fill, "1", &key("all"), "1", &most]);
    assert_eq!(store.claim(deed(2, "client:a"), now).await, Ok(Found::Nothing), "their time is over");
    server.ask(&["HSET", &key("weights"), "all", &(64 << 20).to_string()]);
    let answer = End::Answered(Recorded { bytes: Bytes::from_static(b"{}"), error: None });
    store.settle([2; 32], answer.clone(), now).await.unwrap();
    assert_eq!(store.claim(deed(2, "client:a"), now).await, Ok(Found::Ended(End::Unkept)), "no room for its answer");
    server.ask(&["HSET", &key("weights"), "all", "0"]);
    assert_eq!(store.claim(deed(3, "client:a"), now).await, Ok(Found::Nothing));
    store.settle([3; 32], answer.clone(), now).await.unwrap();
    assert_eq!(store.claim(deed(3, "client:a"), now).await, Ok(Found::Ended(answer)));
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let end = std::time::Instant::now() + Duration::from_secs(30);
    while !holds().await {
        assert!(std::time::Instant::now() < end, "{what} does not come");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// D4, P-B14: a server that throws out what it has no room for is refused, one that does not know us too; one that is not
/// there is waited for.
#[tokio::test]
async fn what_will_not_do_is_refused() {
    let server = server::Redis::start();
    let place = at(&server, "refused");
    server.ask(&["CONFIG", "SET", "maxmemory-policy", "volatile-lru"]);
    let told = Redis::begin(place.clone(), CancellationToken::new()).await.err().unwrap().to_string();
    assert!(told.contains("would throw out") && told.contains("noeviction"), "{told}");
    server.ask(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    let wrong = config::Redis { password: Some(Secret::new("Canary-wrong".to_owned())), ..place.clone() };
    let told = Redis::begin(wrong, CancellationToken::new()).await.err().unwrap().to_string();
    assert!(told.contains("does not know us") && !told.contains("Canary"), "{told}");
    server.ask(&["ACL", "SETUSER", "gate", "-info"]);
    let told = Redis::begin(place.clone(), CancellationToken::new()).await.err().unwrap().to_string();
    assert!(told.contains("does not let its user"), "{told}");
    let nobody = config::Redis { nodes: vec![("127.0.0.1".to_owned(), 1)], ..place };
    let redis = begin(nobody).await;
    let status = redis.status();
    assert_eq!((&status["reachable"], redis.replicas()), (&false.into(), None), "{status}");
}

/// When calls come: bursts, both sides of the edges of a cluster and of the span, idle gaps.
fn times() -> impl Strategy<Value = Vec<u64>> {
    let step = prop_oneof![
        6 => Just(0),
        6 => 1..50_u64,
        4 => 1..6000_u64,
        2 => prop::sample::select(vec![1, 2727, 2728, 2729, 59_999, 60_000, 60_001]),
        1 => 0..200_000_u64,
    ];
    prop::collection::vec(step, 1..120).prop_map(|steps| {
        steps
            .into_iter()
            .scan(1_800_000_000_000, |now, step| {
                *now += step;
                Some(*now)
            })
            .collect()
    })
}

/// D1, D4: the window of Redis says of every call what guard's window says of it, word for word; so what guard's properties
/// promise holds for all gateways together.
#[test]
fn the_window_is_guards_window() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let place = place("lockstep");
    let wire = runtime.block_on(connect::open(&place)).unwrap_or_else(|error| panic!("{error}"));
    // Its own text, with another clock.
    let script = Script::new(&SCRIPT.replace("redis.call('TIME')", "{ARGV[2], ARGV[3]}"));
    assert_ne!(script.get_hash(), Script::new(SCRIPT).get_hash());
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() });
    let number = std::sync::atomic::AtomicU32::new(0);
    let limits = prop_oneof![1..10_u32, 20..30_u32, 30..90_u32];
    runner
        .run(&(prop::collection::vec(limits, 1..3), times()), |(limits, times)| {
            let key = format!("{}:{}", place.prefix, number.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
            let mut wire = wire.clone();
            let mut guards = window::Window::<u32, 23>::default();
            for (turn, now) in times.into_iter().enumerate() {
                // A limit may be changed while calls are counted.
                let limit = limits[turn / 40 % limits.len()];
                let mut ask = script.key(&key);
                ask.arg(limit).arg(now / 1000).arg(now % 1000 * 1000);
                let told: (u8, u32, u64, u64) = runtime.block_on(ask.invoke_async(&mut wire)).unwrap();
                let want = guards.admit(limit, now);
                let want = (u8::from(want.admitted), want.remaining, want.retry_ms, want.reset_ms);
                prop_assert_eq!(told, want, "at {} of {}", now, limit);
            }
            Ok(())
        })
        .unwrap();
}

/// D4, P-H6: a clock of Redis that is set back frees nobody, and locks nobody out for longer than a minute.
#[test]
fn a_clock_that_is_set_back() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let place = place("back");
    let mut wire = runtime.block_on(connect::open(&place)).unwrap_or_else(|error| panic!("{error}"));
    let script = Script::new(&SCRIPT.replace("redis.call('TIME')", "{ARGV[2], ARGV[3]}"));
    let mut at = |second: u32| {
        let mut ask = script.key(format!("{}:1", place.prefix));
        ask.arg(2).arg(second).arg(0);
        let told: (u8, u32, u64, u64) = runtime.block_on(ask.invoke_async(&mut wire)).unwrap();
        told.0 == 1
    };
    assert_eq!([at(10_000), at(10_010), at(10_020)], [true, true, false]);
    // The two stand at 4,990 and 5,000 from now on.
    assert_eq!([at(5_000), at(5_049), at(5_050), at(5_059), at(5_060)], [false, false, true, false, true]);
}
