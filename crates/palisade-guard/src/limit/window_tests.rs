//! What a window promises at its edges. Random histories: `tests/limit_props.rs`.

use super::{LAST_MS, SPAN_MS, Verdict, Window};

type Narrow = Window<u16, 23>;
type Wide = Window<u32, 23>;

fn admitted<const N: usize>(window: &mut Narrow, limit: u32, times: [u64; N]) -> [bool; N] {
    times.map(|now| window.admit(limit, now).admitted)
}

/// D1: calls of one instant leave together, 60.000 s later, and `Retry-After` never says more.
#[test]
fn a_burst_leaves_after_sixty_seconds() {
    for limit in [1, 23, 24, 100, 1000, 65_535] {
        let mut window = Narrow::default();
        for left in (0..limit).rev() {
            assert_eq!(window.admit(limit, 7).remaining, left);
        }
        let refused = Verdict { admitted: false, remaining: 0, retry_ms: SPAN_MS, reset_ms: SPAN_MS };
        assert_eq!(window.admit(limit, 7), refused);
        assert_eq!(window.admit(limit, 60_006), Verdict { retry_ms: 1, reset_ms: 1, ..refused });
        assert_eq!(window.admit(limit, 60_007).remaining, limit - 1);
    }
}

/// D1: a small limit is exact: each call leaves 60.000 s after it came.
#[test]
fn small_limits_are_exact() {
    let mut window = Narrow::default();
    assert_eq!(admitted(&mut window, 3, [0, 1, 2, 3]), [true, true, true, false]);
    assert_eq!(admitted(&mut window, 3, [60_000, 60_000, 60_001, 60_001, 60_002]), [true, false, true, false, true]);
}

/// D1: a larger limit forgets a spread call at most one width late, and says when.
#[test]
fn spread_calls_leave_within_one_width() {
    let mut window = Narrow::default();
    let width = Narrow::width_ms(100);
    for call in 0..100 {
        assert!(window.admit(100, call * (width - 1) / 99).admitted);
    }
    assert_eq!(window.admit(100, width).retry_ms, SPAN_MS - 1);
    assert_eq!(admitted(&mut window, 100, [SPAN_MS + width - 2, SPAN_MS + width - 1]), [false, true]);
}

/// D1: the ring outlasts 60 s: calls at both ends of each cluster leave when they should, however long it goes on.
#[test]
fn the_ring_is_long_enough() {
    let mut window = Narrow::default();
    let width = Narrow::width_ms(1000);
    for cluster in 0..100 {
        let live = |now| (0..=cluster).filter(|earlier| earlier * width + width - 1 + SPAN_MS > now).count();
        for (now, of_this) in [(cluster * width, 1), (cluster * width + width - 1, 2)] {
            let left = u32::try_from(1000 - 2 * (live(now) - 1) - of_this).unwrap();
            assert_eq!(window.admit(1000, now).remaining, left, "at {now}");
        }
    }
}

/// D1: limits of millions are counted one by one.
#[test]
fn wide_counts() {
    let mut window = Wide::default();
    for call in 0..10_000_000_u64 {
        assert!(window.admit(10_000_000, call / 1000).admitted);
    }
    assert!(!window.admit(10_000_000, 10_000).admitted);
    assert!(window.admit(10_000_001, 10_000).admitted);
    assert!(!window.admit(10_000_001, 59_999).admitted);
    assert!(window.admit(10_000_001, 70_000).admitted);
}

/// D1: a limit of nothing admits nothing, and the answer still has a number.
#[test]
fn nothing_is_nothing() {
    let refused = Verdict { admitted: false, remaining: 0, retry_ms: SPAN_MS, reset_ms: 0 };
    assert_eq!(Narrow::default().admit(0, 5), refused);
}

/// D1: a clock that jumps forgets all, one that steps back forgives nothing, the last instants do not overflow.
#[test]
fn time_at_its_extremes() {
    let mut window = Narrow::default();
    assert_eq!(
        admitted(&mut window, 1, [0, 59_999, 60_000, 0, 60_000, 120_000]),
        [true, false, true, false, false, true]
    );
    assert_eq!(admitted(&mut window, 1, [1 << 40, (1 << 40) + 65_536, 0]), [true, true, false]);
    assert_eq!(admitted(&mut window, 1, [LAST_MS - SPAN_MS, LAST_MS - 1, LAST_MS]), [true, false, true]);
    assert_eq!(admitted(&mut window, 2, [u64::MAX, u64::MAX, u64::MAX - 1, 0]), [true, false, false, false]);
}

/// D1: a limit that changes under a full window only gets stricter, and never panics.
#[test]
fn limits_that_change() {
    let mut window = Narrow::default();
    for call in 0..23 {
        assert!(window.admit(23, call).admitted);
    }
    let mut admitted = 23;
    for now in (2000..58_000).step_by(500) {
        admitted += u32::from(window.admit(1000, now).admitted);
    }
    assert_eq!(window.admit(1000, 58_000).remaining, 1000 - admitted - 1);
    let lowered = window.admit(5, 58_001);
    assert!(!lowered.admitted && lowered.retry_ms <= SPAN_MS);
    assert!(window.admit(5, 58_001 + lowered.retry_ms).admitted);
}

/// D3: a window is idle exactly when its newest call has left.
#[test]
fn idle() {
    let mut window = Narrow::default();
    assert!(window.is_idle(0));
    window.admit(10, 5);
    assert!(!window.is_idle(0) && !window.is_idle(60_004) && window.is_idle(60_005));
}
