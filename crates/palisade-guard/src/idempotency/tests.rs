//! Claims and what is heard of them.

use super::memory::Memory;
use super::{Answer, CLAIMS_OF_ONE, Claims, Deed, Down, End, Found, KEPT, Recorded, deed, judge, key};
use crate::message::{Body, Config, Facts, Message, agree, read};
use crate::refusal::Reason;
use crate::sign::IDEMPOTENCY_KEY;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// What is answered at once.
fn now<T>(answer: Answer<T>) -> Result<T, Down> {
    match pin!(answer).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answered) => answered,
        Poll::Pending => panic!("memory waits for nobody"),
    }
}

fn a_deed(claim: u16, content: u8) -> Deed {
    let mut id = [0; 32];
    id[..2].copy_from_slice(&claim.to_be_bytes());
    Deed { claim: id, content: [content; 32], caller: Arc::from("key:a") }
}

fn recorded(size: usize) -> Recorded {
    Recorded { bytes: Bytes::from(vec![b'x'; size]), error: None }
}

fn message(text: &str) -> Message {
    let config = Config::default();
    let Body::One(envelope) = read(&config, Bytes::from(text.to_owned())).unwrap() else { panic!("{text}") };
    let headers =
        HeaderMap::from_iter([("mcp-protocol-version".parse().unwrap(), HeaderValue::from_static("2025-06-18"))]);
    agree(&config, envelope, Facts { headers: Some(&headers), session: None, batched: false, extra_methods: &[] })
        .unwrap()
}

fn call(id: u32, name: &str, rest: &str) -> Message {
    message(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{name}",{rest}}}}}"#))
}

/// D5, P-C1: claimed once; the same again hears what became of it, another one that it is another.
#[test]
fn a_claim_is_made_once() {
    let store = Memory::new(9, 1000);
    let first = a_deed(1, 1);
    assert_eq!(now(store.claim(first.clone(), 0)), Ok(Found::Nothing));
    assert_eq!(now(store.claim(first.clone(), 1)), Ok(Found::UnderWay));
    assert_eq!(now(store.claim(a_deed(1, 2), 1)), Ok(Found::Another));
    now(store.settle(first.claim, End::Answered(recorded(5)), 2)).unwrap();
    assert_eq!(now(store.claim(first.clone(), 3)), Ok(Found::Ended(End::Answered(recorded(5)))));
    assert_eq!(now(store.claim(a_deed(1, 2), 3)), Ok(Found::Another));
    let kept = u64::try_from(KEPT.as_millis()).unwrap();
    assert_eq!(now(store.claim(first.clone(), kept)), Ok(Found::Nothing), "a day later it is forgotten");
    now(store.settle(first.claim, End::Undone, kept)).unwrap();
    assert_eq!(now(store.claim(a_deed(1, 2), kept)), Ok(Found::Nothing), "what reached nobody is free");
    now(store.settle(first.claim, End::Unknown, kept)).unwrap();
    assert_eq!(now(store.claim(a_deed(1, 2), kept)), Ok(Found::Ended(End::Unknown)));
}

/// D5, A8, P-C1: claims, claims of one caller and bytes are bounded, and all of it comes back.
#[test]
fn claims_are_bounded() {
    let store = Memory::new(2, 10);
    for claim in 0..2 {
        assert_eq!(now(store.claim(a_deed(claim, 1), 0)), Ok(Found::Nothing));
        now(store.settle(a_deed(claim, 1).claim, End::Answered(recorded(6)), 0)).unwrap();
    }
    assert!(matches!(now(store.claim(a_deed(2, 1), 0)), Err(Down::Store(_))));
    assert_eq!(now(store.claim(a_deed(0, 1), 0)), Ok(Found::Ended(End::Answered(recorded(6)))));
    assert_eq!(now(store.claim(a_deed(1, 1), 0)), Ok(Found::Ended(End::Unkept)), "there was no room for its answer");
    let kept = u64::try_from(KEPT.as_millis()).unwrap();
    for claim in 3..5 {
        assert_eq!(now(store.claim(a_deed(claim, 1), kept)), Ok(Found::Nothing));
        now(store.settle(a_deed(claim, 1).claim, End::Answered(recorded(5)), 0)).unwrap();
        assert_eq!(now(store.claim(a_deed(claim, 1), kept)), Ok(Found::Ended(End::Answered(recorded(5)))));
    }

    let store = Memory::new(usize::MAX, 10);
    for claim in 0..u16::try_from(CLAIMS_OF_ONE).unwrap() {
        assert_eq!(now(store.claim(a_deed(claim, 1), 0)), Ok(Found::Nothing));
    }
    let next = a_deed(u16::MAX, 1);
    assert_eq!(now(store.claim(next.clone(), 0)), Err(Down::Crowded));
    assert_eq!(now(store.claim(Deed { caller: Arc::from("key:b"), ..next }, 0)), Ok(Found::Nothing));
}

/// D5: the id and the progress token may be others, the parameters may not; caller, server and tool are scopes.
#[test]
fn what_makes_two_calls_the_same() {
    let caller = Arc::from("key:a");
    let of = |message: &Message| deed(&caller, "desk", message, "k");
    let first = of(&call(1, "buy", r#""arguments":{"n":1}"#));
    assert_eq!(first, of(&call(2, "buy", r#""arguments":{"n":1}"#)));
    let content = |rest: &str| of(&call(1, "buy", rest)).content;
    assert_ne!(first.content, content(r#""arguments":{"n":2}"#));
    assert_ne!(first.content, content(r#""arguments":{"n":1},"task":{}"#));
    let token = |token: u32| content(&format!(r#""_meta":{{"progressToken":{token}}},"arguments":{{}}"#));
    assert_eq!(token(1), token(22));
    let message = call(1, "buy", r#""arguments":{"n":1}"#);
    let others = [
        deed(&Arc::from("key:b"), "desk", &message, "k"),
        deed(&caller, "shop", &message, "k"),
        deed(&caller, "desk", &message, "l"),
        of(&call(1, "sell", r#""arguments":{"n":1}"#)),
        deed(&Arc::from("key:ad"), "esk", &message, "k"),
    ];
    assert!(others.iter().all(|other| other.claim != first.claim));
}

/// D5, B4: a key is one text; whoever signs must send it.
#[test]
fn a_key_has_a_form() {
    let with = |values: &[&[u8]]| {
        let values = values.iter().map(|value| (IDEMPOTENCY_KEY.clone(), HeaderValue::from_bytes(value).unwrap()));
        values.fold(HeaderMap::new(), |mut all, (name, value)| {
            all.append(name, value);
            all
        })
    };
    assert_eq!(key(&with(&[]), false).unwrap(), None);
    assert_eq!(key(&with(&[b"order 17"]), true).unwrap(), Some("order 17"));
    for bad in [with(&[b""]), with(&[b"a", b"a"]), with(&[b"\xfcber"]), with(&[&[b'k'; 256]])] {
        assert_eq!(key(&bad, false).unwrap_err().reason(), Reason::IdempotencyKeyInvalid);
    }
    assert_eq!(key(&with(&[]), true).unwrap_err().reason(), Reason::IdempotencyKeyInvalid);
}

/// D5, E9: in flight comes with a time to come back; the other conflicts do not.
#[test]
fn what_is_heard() {
    let in_flight = judge(Ok(Found::UnderWay)).unwrap_err();
    assert_eq!((in_flight.reason(), in_flight.retry_after_seconds()), (Reason::IdempotencyConflict, Some(1)));
    for found in [Found::Another, Found::Ended(End::Unknown), Found::Ended(End::Unkept)] {
        let refusal = judge(Ok(found)).unwrap_err();
        assert_eq!((refusal.reason(), refusal.retry_after_seconds()), (Reason::IdempotencyConflict, None));
    }
    assert_eq!(judge(Ok(Found::Nothing)).unwrap(), None);
    assert_eq!(judge(Ok(Found::Ended(End::Answered(recorded(1))))).unwrap(), Some(recorded(1)));
    assert_eq!(judge(Err(Down::Store(""))).unwrap_err().reason(), Reason::StoreUnavailable);
}
