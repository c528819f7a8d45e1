//! One contract for every store of nonces and claims: in memory, and in a file or on a server that two gateways share.

use std::path::Path;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use palisade_guard::idempotency::{self, Claims, Deed, End, Found, Recorded};
use palisade_guard::sign::nonces::{self, KEPT_S, Nonces, Seen, Use};

use super::Once;
use crate::config::StorePlace;
use crate::store::Store;
use crate::store::tests::postgres;
use crate::time;

async fn begin(place: &StorePlace) -> Arc<Once> {
    Once::begin(Store::open(place).await.unwrap())
}

/// A store of each kind that gateways may share.
fn shared(folder: &Path, name: &str) -> [StorePlace; 2] {
    [StorePlace::File(folder.join("store.db")), StorePlace::Postgres(Box::new(postgres(name)))]
}

fn now_s() -> u64 {
    time::now().unix_ms / 1000
}

fn used(number: u8, timestamp: u64) -> Use {
    Use { once: [number; 32], timestamp }
}

fn deed(claim: u8, content: u8) -> Deed {
    Deed { claim: [claim; 32], content: [content; 32], caller: Arc::from("client:a") }
}

fn answered() -> End {
    End::Answered(Recorded { bytes: Bytes::from_static(b"{}"), error: Some(-32000) })
}

/// The contract of nonces; `other` is the same store, seen by another gateway.
pub(crate) async fn nonces(store: &dyn Nonces, other: &dyn Nonces, time: u64) {
    let now = time::now();
    assert_eq!(store.insert(used(1, time), now).await, Ok(Seen::First));
    assert_eq!(other.insert(used(1, time), now).await, Ok(Seen::Again));
    assert_eq!(store.insert(used(1, time + 1), now).await, Ok(Seen::Again), "the time does not make it another");
    assert_eq!(other.insert(used(2, time), now).await, Ok(Seen::First));
    for number in 10..30 {
        let (one, two) = tokio::join!(store.insert(used(number, time), now), other.insert(used(number, time), now));
        let mut both = [one.unwrap() == Seen::First, two.unwrap() == Seen::First];
        both.sort_unstable();
        assert_eq!(both, [false, true]);
    }
}

/// The contract of claims.
pub(crate) async fn claims(store: &dyn Claims, other: &dyn Claims) {
    let now = time::now().unix_ms;
    assert_eq!(store.claim(deed(1, 1), now).await, Ok(Found::Nothing));
    assert_eq!(other.claim(deed(1, 1), now).await, Ok(Found::UnderWay));
    assert_eq!(other.claim(deed(1, 2), now).await, Ok(Found::Another));
    store.settle([1; 32], answered(), now).await.unwrap();
    assert_eq!(other.claim(deed(1, 1), now).await, Ok(Found::Ended(answered())));
    assert_eq!(other.claim(deed(1, 2), now).await, Ok(Found::Another));
    for (claim, end) in [(2, End::Unkept), (3, End::Unknown)] {
        assert_eq!(store.claim(deed(claim, 1), now).await, Ok(Found::Nothing));
        store.settle([claim; 32], end.clone(), now).await.unwrap();
        assert_eq!(other.claim(deed(claim, 1), now).await, Ok(Found::Ended(end)));
    }
    assert_eq!(store.claim(deed(4, 1), now).await, Ok(Found::Nothing));
    store.settle([4; 32], End::Undone, now).await.unwrap();
    assert_eq!(other.claim(deed(4, 2), now).await, Ok(Found::Nothing), "what reached nobody is free");
    for number in 10..30 {
        let (one, two) = tokio::join!(store.claim(deed(number, 1), now), other.claim(deed(number, 1), now));
        let mut both = [one.unwrap() == Found::Nothing, two.unwrap() == Found::Nothing];
        both.sort_unstable();
        assert_eq!(both, [false, true]);
    }
}

/// B4, D5, I3, R24, P-B13: every store keeps the contract, also where two gateways share it.
#[tokio::test]
async fn every_store_keeps_the_contract() {
    let memory = nonces::Memory::new(100, time::now());
    nonces(&memory, &memory, now_s()).await;
    let memory = idempotency::Memory::new(100, 1000);
    claims(&memory, &memory).await;
    let folder = tempfile::tempdir().unwrap();
    for place in shared(folder.path(), "once") {
        let (one, other) = (begin(&place).await, begin(&place).await);
        nonces(one.as_ref(), other.as_ref(), now_s()).await;
        claims(one.as_ref(), other.as_ref()).await;
    }
}

/// D5: a claim that nobody heard of, because its caller had gone, is taken back; one that was heard of stands.
#[tokio::test]
async fn a_claim_that_nobody_heard_of_is_none() {
    let folder = tempfile::tempdir().unwrap();
    for place in shared(folder.path(), "unheard") {
        let (one, other) = (begin(&place).await, begin(&place).await);
        let now = time::now().unix_ms;
        assert_eq!(one.claim(deed(2, 1), now).await, Ok(Found::Nothing));
        // Polled once, the question is asked; then nobody waits for the answer.
        let mut asked = one.claim(deed(1, 1), now);
        assert!(std::future::poll_fn(|context| Poll::Ready(asked.as_mut().poll(context).is_pending())).await);
        drop(asked);
        let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
        // Whoever asks first after it was taken back has it; before that it is under way.
        while other.claim(deed(1, 1), now).await != Ok(Found::Nothing) {
            assert!(std::time::Instant::now() < end, "it stays under way");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert_eq!(other.claim(deed(2, 1), now).await, Ok(Found::UnderWay));
    }
}

/// B4, P-B14, R11: what was used is used after a restart too, and what was forgotten is not accepted again.
#[tokio::test]
async fn a_restart_forgets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for place in shared(folder.path(), "restart") {
        let (now, time) = (time::now(), now_s());
        let first = begin(&place).await;
        assert_eq!(first.insert(used(1, time), now).await, Ok(Seen::First));
        assert_eq!(first.insert(used(2, time - KEPT_S - 10), now).await, Ok(Seen::First));
        assert_eq!(first.claim(deed(1, 1), now.unix_ms).await, Ok(Found::Nothing));
        drop(first);
        let second = begin(&place).await;
        assert_eq!(second.insert(used(1, time), now).await, Ok(Seen::Again));
        assert_eq!(second.insert(used(2, time - KEPT_S - 10), now).await, Ok(Seen::Forgotten));
        let older = second.insert(used(3, time - KEPT_S - 11), now).await;
        assert_eq!(older, Ok(Seen::Forgotten), "older than the forgotten");
        assert_eq!(second.claim(deed(1, 1), now.unix_ms).await, Ok(Found::UnderWay), "it may still live");
        let later = now.unix_ms + super::ALIVE_MS + 60_000;
        let gone = second.claim(deed(1, 1), later).await;
        assert_eq!(gone, Ok(Found::Ended(End::Unknown)), "nobody has heard of it since");
    }
}
