//! Which use touches which windows, and how much memory a client takes.

use super::{COARSE, Config, FINE, Limits};
use crate::limit::subject::Subject;
use crate::refusal::{Detail, Reason};
use std::net::Ipv6Addr;

fn limits(config: Config) -> Limits {
    Limits::new(config, [5; 16])
}

fn office() -> Subject {
    Subject::address([192, 0, 2, 1].into())
}

/// D1: who authenticates does not eat the address's small limit, and strangers do not eat a caller's.
#[test]
fn uses_do_not_touch_each_other() {
    let limits = limits(Config { per_address: 2, ceiling: 100, per_caller: 3, capacity: 100 });
    let (alice, bob) = (limits.subject_of("alice"), limits.subject_of("bob"));
    for _ in 0..2 {
        limits.unauthenticated(&office(), 0).unwrap();
    }
    limits.unauthenticated(&office(), 0).unwrap_err();
    for caller in [alice, bob] {
        for _ in 0..3 {
            limits.arrive(&office(), 0).unwrap();
            limits.caller(&caller, limits.per_caller(), 0).unwrap();
        }
        limits.caller(&caller, limits.per_caller(), 0).unwrap_err();
    }
    // Without authentication the address itself is the caller: even so not the same window.
    assert_eq!(limits.caller(&office(), limits.per_caller(), 0).unwrap().remaining, 2);
    assert_eq!(limits.unauthenticated(&office(), 60_000).unwrap().remaining, 1);
}

/// D1: the ceiling counts every call of an address, and a refusal says limit, remaining, reset and when to retry.
#[test]
fn a_refusal_names_its_numbers() {
    let limits = limits(Config { ceiling: 2, ..Config::default() });
    limits.arrive(&office(), 0).unwrap();
    limits.arrive(&office(), 30_000).unwrap();
    let refusal = limits.arrive(&office(), 45_000).unwrap_err();
    assert_eq!(refusal.reason(), Reason::RateLimited);
    assert_eq!(refusal.retry_after_seconds(), Some(15));
    let want = [
        ("scope", Detail::Text("ceiling".into())),
        ("limit", Detail::Number(2)),
        ("remaining", Detail::Number(0)),
        ("window_seconds", Detail::Number(60)),
        ("reset_seconds", Detail::Number(45)),
    ];
    assert_eq!(refusal.details(), want);
}

/// D1: who authenticates gives the place back, however many there are; strangers keep theirs for 60 s.
#[test]
fn who_is_known_takes_no_place() {
    for ceiling in [10, 70_000] {
        let limits = limits(Config { ceiling, ..Config::default() });
        for now in 0..100_000_u64 {
            limits.arrive(&office(), now / 10).unwrap();
            limits.known(&office(), now / 10);
        }
        for now in 0..u64::from(ceiling) {
            limits.arrive(&office(), 20_000 + now % 10_000).unwrap();
        }
        limits.arrive(&office(), 30_000).unwrap_err();
        limits.known(&office(), 30_000);
        limits.arrive(&office(), 30_000).unwrap();
        limits.arrive(&office(), 30_000).unwrap_err();
        limits.arrive(&office(), 100_000).unwrap();
    }
}

/// D1, B9: an address's TLS handshakes have a ceiling of their own, and its calls another.
#[test]
fn handshakes_are_counted_apart() {
    let limits = limits(Config { ceiling: 2, ..Config::default() });
    for _ in 0..2 {
        limits.arrive(&office(), 0).unwrap();
        limits.handshake(&office(), 0).unwrap();
    }
    limits.arrive(&office(), 0).unwrap_err();
    limits.handshake(&office(), 0).unwrap_err();
    limits.handshake(&Subject::address([192, 0, 2, 2].into()), 0).unwrap();
}

/// D1: a reload changes the limits and forgives nothing.
#[test]
fn a_reload_keeps_the_counts() {
    let before = limits(Config { per_address: 2, ..Config::default() });
    before.unauthenticated(&office(), 0).unwrap();
    before.unauthenticated(&office(), 0).unwrap();
    let after = before.with_config(Config { per_address: 3, ..Config::default() });
    assert_eq!(after.unauthenticated(&office(), 1).unwrap().remaining, 0);
    before.unauthenticated(&office(), 2).unwrap_err();
}

/// D1: a limit beyond 65,535 is exact too.
#[test]
fn a_wide_limit() {
    let limits = limits(Config::default());
    let batch = limits.subject_of("batch");
    for left in (0..100_000).rev() {
        assert_eq!(limits.caller(&batch, 100_000, 5).unwrap().remaining, left);
    }
    limits.caller(&batch, 100_000, 60_004).unwrap_err();
    limits.caller(&batch, 100_000, 60_005).unwrap();
}

/// D3: one client's windows, ceiling and own, take at most 200 bytes, index and spare places included.
#[test]
fn a_client_takes_two_hundred_bytes() {
    let limits = limits(Config::default());
    let empty = limits.bytes();
    let clients = 100_000_u32;
    for n in 0..clients {
        let address = Subject::address(Ipv6Addr::from(u128::from(n) << 64).into());
        limits.arrive(&address, 0).unwrap();
        limits.caller(&limits.subject_of(&n.to_string()), limits.per_caller(), 0).unwrap();
    }
    let each = (limits.bytes() - empty).div_ceil(usize::try_from(clients).unwrap());
    assert!(each <= 200, "{each} bytes");
    assert!(size_of::<super::window::Window<u16, FINE>>() + size_of::<super::window::Window<u16, COARSE>>() <= 144);
}

/// D3: a million hostile addresses that fail to authenticate stay under 256 MiB, all windows together, and the
/// memory comes back.
#[test]
fn a_million_addresses() {
    let limits = limits(Config::default());
    let empty = limits.bytes();
    for n in 0..1_000_000_u128 {
        let address = Subject::address(Ipv6Addr::from(0x2001_0db8 << 96 | n << 64).into());
        limits.arrive(&address, 0).unwrap();
        limits.unauthenticated(&address, 0).unwrap();
    }
    assert_eq!(limits.len(), 2_000_000);
    let bytes = limits.bytes();
    assert!(bytes < 256 << 20, "{} MiB", bytes >> 20);
    assert!(bytes - empty <= 200 * 1_000_000, "{} bytes each", (bytes - empty) / 1_000_000);
    limits.forget_idle(60_000);
    assert!(limits.is_empty());
    assert!(limits.bytes() < empty + (1 << 20), "{} KiB", limits.bytes() >> 10);
}
