//! What a table promises about memory and about being full.

use super::{MOST_SHARDS, Table};
use crate::limit::seed::Seed;
use crate::limit::subject::Subject;
use std::net::{IpAddr, Ipv6Addr};

type Narrow = Table<u16, 23>;

/// One address of the `n`th /64.
fn v6(n: u32) -> Subject {
    let prefix = 0x2001_0db8_u128 << 96 | u128::from(n) << 64;
    Subject::address(IpAddr::V6(Ipv6Addr::from(prefix | 1)))
}

fn table(capacity: usize) -> Narrow {
    Table::new(capacity, Seed::new([9; 16]))
}

/// D3: subjects are found again among many, however many there are, and each has its own window.
#[test]
fn subjects_do_not_share() {
    let table = table(10_000);
    for n in 0..5000 {
        assert!(table.admit(&v6(n), 2, 0).admitted);
    }
    for n in 0..5000 {
        assert_eq!(table.admit(&v6(n), 2, 1).remaining, 0, "{n}");
    }
    assert_eq!(table.len(), 5000);
    assert!((0..5000).all(|n| !table.admit(&v6(n), 2, 2).admitted));
}

/// D3: idle subjects make place for newcomers: the table stays as large as one minute's subjects.
#[test]
fn newcomers_take_the_places_of_the_idle() {
    let table = table(100_000);
    for n in 0..10_000 {
        table.admit(&v6(n), 2, u64::from(n));
    }
    let bytes = table.bytes();
    for n in 10_000..100_000 {
        assert!(table.admit(&v6(n), 2, 100_000 + u64::from(n) * 20).admitted);
    }
    assert!(table.len() <= 10_000, "{}", table.len());
    assert!(table.bytes() <= bytes + bytes / 5, "{} after {bytes}", table.bytes());
}

/// D3: after a flood the memory is given back, and who still has calls is still known.
#[test]
fn memory_is_given_back() {
    let table = table(100_000);
    let empty = table.bytes();
    for n in 0..50_000 {
        table.admit(&v6(n), 2, 0);
    }
    for n in 0..100 {
        table.admit(&v6(n), 2, 59_000);
    }
    table.forget_idle(60_000);
    assert_eq!(table.len(), 100);
    assert!(table.bytes() < empty + MOST_SHARDS * 8192, "{}", table.bytes() - empty);
    // Both calls share a cluster or not; none of the hundred has lost the newer one.
    assert!((0..100).all(|n| table.admit(&v6(n), 2, 60_000).remaining == 0));
    table.forget_idle(1_000_000);
    assert_eq!(table.len(), 0);
}

/// H4 of the pitfalls, D3: a full table shares windows among newcomers and refills nobody.
#[test]
fn a_full_table_is_stricter() {
    let table = table(4);
    for n in 0..4 {
        assert!(table.admit(&v6(n), 3, 0).admitted);
    }
    // The fifth and sixth share their /32's window.
    assert!(table.admit(&v6(5), 3, 0).admitted);
    assert!(table.admit(&v6(6), 3, 0).admitted);
    assert!(table.admit(&v6(5), 3, 0).admitted);
    assert!(!table.admit(&v6(6), 3, 0).admitted && !table.admit(&v6(7), 3, 0).admitted);
    // Those who were first are as they were.
    assert_eq!((0..4).map(|n| table.admit(&v6(n), 3, 1).remaining).collect::<Vec<_>>(), [1; 4]);
    assert_eq!(table.len(), 4);
}

/// H4 of the pitfalls: leaving the crowd for a window of one's own refills nothing.
#[test]
fn moving_out_of_the_crowd_refills_nothing() {
    let table = table(1);
    assert!(table.admit(&v6(0), 2, 0).admitted);
    assert!(table.admit(&v6(1), 2, 30_000).admitted);
    assert!(table.admit(&v6(1), 2, 30_000).admitted);
    assert!(!table.admit(&v6(1), 2, 30_000).admitted);
    // The first has left; the second gets its place, and its history with it.
    assert!(!table.admit(&v6(1), 2, 60_000).admitted);
    assert_eq!(table.len(), 1);
    assert!(!table.admit(&v6(1), 2, 89_999).admitted);
    assert!(table.admit(&v6(1), 2, 90_000).admitted);
}

/// D3: a table that may remember nobody still limits.
#[test]
fn no_capacity_at_all() {
    let table = table(0);
    assert!(table.admit(&v6(0), 1, 0).admitted);
    assert!(!table.admit(&v6(0), 1, 0).admitted);
    assert_eq!(table.len(), 0);
    table.forget_idle(60_000);
    assert!(table.admit(&v6(0), 1, 60_000).admitted);
}

/// D1: many threads together admit exactly the limit.
#[test]
fn threads_share_one_quota() {
    let table = table(100);
    let count = || (0..1000).filter(|now| table.admit(&v6(0), 700, *now).admitted).count();
    let admitted: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(count)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(admitted, 700);
}
