//! Abuse of HTTP/2: each known trick meets a cap, and others notice nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, Http2, PING, PRIORITY, RESET, SETTINGS, WINDOW_UPDATE, field,
    frame,
};
use super::listener::status;
use super::{Authority, Site, ask_on, client};
use crate::gate::{Gate, until};
use crate::reload;
use crate::upstream::Upstream;

struct Yard {
    authority: Authority,
    gate: Gate,
}

impl Yard {
    fn new(upstream: &Upstream, limits: &str) -> Self {
        let authority = Authority::new("tests");
        let server = authority.server();
        let upstream = format!("url = \"{}\"", upstream.url());
        let limits = format!("per_caller_per_minute = 1000000\n{limits}");
        let site = Site { server: &server, files: &[], tls: "", more: "", upstream: &upstream, limits: &limits };
        let gate = site.start();
        Self { authority, gate }
    }

    fn cut(&self, why: &str) -> u64 {
        status(&self.gate, &self.authority)["connections"]["cut"][why].as_u64().unwrap()
    }

    fn memory(&self) -> u64 {
        status(&self.gate, &self.authority)["memory_bytes"].as_u64().unwrap()
    }

    fn http2(&self, settings: &[(u16, u32)]) -> Http2 {
        Http2::open(&self.gate, &self.authority, settings)
    }

    /// The longest that another client waited for an answer while this went on.
    fn meanwhile(&self, abuse: impl FnOnce()) -> Duration {
        let over = Arc::new(AtomicBool::new(false));
        std::thread::scope(|scope| {
            let ended = Arc::clone(&over);
            let other = scope.spawn(move || {
                let mut kept = self.gate.secure(&client(&self.authority, None, &[b"http/1.1"])).unwrap();
                let call = self.gate.request("POST", "/mcp/one", &[("Connection", "keep-alive")], reload::PING);
                let mut longest = Duration::ZERO;
                while !ended.load(Ordering::Relaxed) {
                    let asked = Instant::now();
                    assert_eq!(ask_on(&mut kept, &call).unwrap().status, 200);
                    longest = longest.max(asked.elapsed());
                }
                longest
            });
            abuse();
            over.store(true, Ordering::Relaxed);
            other.join().unwrap()
        })
    }
}

/// Calm down (RFC 9113 section 7).
const ENHANCE_YOUR_CALM: u32 = 11;
/// For an answer to another client meanwhile. The machine of the tests may be busy; without a cap it is never answered.
const PATIENCE: Duration = Duration::from_secs(3);

/// R3, P-I11: rapid reset, floods of pings, settings, priorities, window updates, empty data and continuations end the connection
/// soon, another connection is answered all the while, and memory stays.
#[test]
fn floods_end_the_connection() {
    let upstream = Upstream::echo();
    let yard = Yard::new(&upstream, "");
    let before = yard.memory();
    let again = |times: usize, frame: Vec<u8>| frame.repeat(times);
    let calm = |said: Option<u32>| assert!(said.is_none_or(|code| code == ENHANCE_YOUR_CALM), "{said:?}");
    let longest = yard.meanwhile(|| {
        let http2 = yard.http2(&[]);
        let fields = http2.fields("POST");
        calm(http2.floods(|wave| {
            let each = (0..100).map(|number| 2 * (wave * 100 + number) + 1);
            each.flat_map(|stream| {
                let reset = frame(RESET, 0, stream, &8_u32.to_be_bytes());
                [frame(HEADERS, END_HEADERS, stream, &fields), reset].concat()
            })
            .collect()
        }));
        calm(yard.http2(&[]).floods(|_| again(1000, frame(PING, 0, 0, &[7; 8]))));
        calm(yard.http2(&[]).floods(|_| again(1000, frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 255, 255]))));
        calm(yard.http2(&[]).floods(|_| again(1000, frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 9]))));
        calm(yard.http2(&[]).floods(|_| again(1000, frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]))));
        let mut http2 = yard.http2(&[]);
        let begun = frame(HEADERS, END_HEADERS, 1, &http2.fields("POST"));
        http2.say(&begun).unwrap();
        calm(http2.floods(|_| again(1000, frame(DATA, 0, 1, &[]))));
        let mut http2 = yard.http2(&[]);
        let begun = frame(HEADERS, 0, 1, &http2.fields("POST"));
        http2.say(&begun).unwrap();
        calm(http2.floods(|_| again(100, frame(CONTINUATION, 0, 1, &field("x-more", "and more")))));
    });
    assert!(longest < PATIENCE, "{longest:?}");
    until("what was reset to end", || (status(&yard.gate, &yard.authority)["requests"]["open"] == 1).then_some(()));
    assert!(yard.cut("flooded") + yard.cut("malformed") >= 7);
    assert!(yard.memory() < before + (32 << 20), "{before} to {}", yard.memory());
}

/// R3, P-I11: a header that unpacks to many times its size is refused before it is unpacked; the cap is that of HTTP/1.1.
#[test]
fn a_header_bomb_does_not_unpack() {
    let upstream = Upstream::echo();
    let yard = Yard::new(&upstream, "");
    let before = yard.memory();
    let mut http2 = yard.http2(&[]);
    // Into the dynamic table, and from there again and again: 16 KiB become 60 MB.
    let mut large = field("x-large", &"a".repeat(3900));
    large[0] = 0x40;
    let block = [http2.fields("POST"), large, vec![0xbe; 8000]].concat();
    for stream in [1, 3, 5, 7] {
        let call =
            [frame(HEADERS, END_HEADERS, stream, &block), frame(DATA, END_STREAM, stream, reload::PING)].concat();
        if http2.say(&call).is_err() {
            break;
        }
    }
    let ping = frame(PING, 0, 0, &[7; 8]);
    drop(http2.say(&ping));
    while let Some(frame) = http2.next() {
        assert!(frame.kind != HEADERS || frame.payload[0] != 0x88, "it was served");
        if frame.kind == PING {
            break;
        }
    }
    assert!(upstream.requests().is_empty());
    assert!(yard.memory() < before + (32 << 20), "{before} to {}", yard.memory());
}

/// R3, P-I11: no more streams than are announced; the rest is refused as not begun, so that a client may try again.
#[test]
fn streams_have_a_cap() {
    let slow = Upstream::scripted(Box::new(|request| {
        std::thread::sleep(Duration::from_secs(3));
        crate::upstream::result(request)
    }));
    let yard = Yard::new(&slow, "");
    let mut http2 = yard.http2(&[]);
    let settings = http2.until(SETTINGS, 0).payload;
    let most = settings.chunks(6).find(|setting| setting[..2] == [0, 3]).map(|setting| setting[2..].to_vec());
    assert_eq!(most, Some(100_u32.to_be_bytes().to_vec()));
    http2.say(&frame(SETTINGS, 1, 0, &[])).unwrap();
    let fields = http2.fields("POST");
    let heads = (0..110).flat_map(|number| frame(HEADERS, END_HEADERS, 2 * number + 1, &fields));
    let bodies = (0..100).flat_map(|number| frame(DATA, END_STREAM, 2 * number + 1, reload::PING));
    let calls: Vec<u8> = heads.chain(bodies).collect();
    http2.say(&calls).unwrap();
    let (mut answered, mut refused) = (0, 0);
    while answered + refused < 110 {
        let frame = http2.next().expect("the connection goes on");
        match frame.kind {
            HEADERS if frame.payload[0] == 0x88 => answered += 1,
            RESET => {
                assert_eq!(frame.payload, 7_u32.to_be_bytes(), "REFUSED_STREAM");
                refused += 1;
            }
            _ => {}
        }
    }
    assert_eq!((answered, refused), (100, 10));
}

/// A8, R3, P-I11: a client that asks for much and opens no window is cut when `timeouts.write` is over, however it answers pings, and
/// nothing of its answers stays.
#[test]
fn a_closed_window_ends_the_connection() {
    let large = Upstream::scripted(Box::new(|_| {
        let text = "a".repeat(500_000);
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"text":"{text}"}}}}"#);
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
        (head + &body).into_bytes()
    }));
    let yard = Yard::new(&large, "[timeouts]\nwrite = \"3s\"\nkeep_alive = \"1s\"\n");
    // SETTINGS_INITIAL_WINDOW_SIZE
    for window in [0, 70_000] {
        let before = yard.cut("stalled");
        let mut http2 = yard.http2(&[(4, window)]);
        let calls: Vec<u8> = (0..50).flat_map(|number| http2.call(2 * number + 1, reload::PING)).collect();
        http2.say(&calls).unwrap();
        let started = Instant::now();
        while let Some(frame) = http2.next() {
            if frame.kind == PING && frame.flags == 0 {
                drop(http2.say(&super::frames::frame(PING, 1, 0, &frame.payload)));
            }
            assert!(started.elapsed() < Duration::from_secs(20), "it goes on");
        }
        assert!(yard.cut("stalled") > before, "{window}");
    }
    until("nothing to be open", || (status(&yard.gate, &yard.authority)["requests"]["open"] == 1).then_some(()));
}

/// A8: who takes HTTP/2 and says nothing has the time of a head.
#[test]
fn silence_ends() {
    let upstream = Upstream::echo();
    let yard = Yard::new(&upstream, "[timeouts]\nheader = \"1s\"\n");
    let mut http2 = yard.http2(&[]);
    let started = Instant::now();
    while http2.next().is_some() {}
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(yard.cut("slow_head"), 1);
}
