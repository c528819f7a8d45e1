//! What guessing costs: each wrong credential makes the next refusal in its block of addresses come later.
//!
//! 1. A block is an IPv4 /24 or an IPv6 /48: what one site is given. Whoever guesses from many addresses has them there.
//!    So wide a block wrongs nobody, since only wrong credentials wait: a right one never does, whoever else guesses.
//! 2. The first five wrong ones cost nothing, so a mistyped key is told at once. The sixth waits 100 ms, and each that
//!    follows twice as long, up to the longest penalty.
//! 3. Six seconds forgive one. So ten in a minute, from an office in which tokens run out, stay without penalty.
//! 4. How long one waits depends on the block alone, never on what was wrong.
//!
//! A request without any credential is no guess: that is how clients ask what they need.
//!
//! # Caveat
//! Blocks that fall into the same place share a penalty. There are 16,384 places, and nobody can choose theirs.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::seed::Seed;

/// The penalties of all blocks, in memory that never grows.
pub struct Penalties {
    seed: Seed,
    /// What is owed, in thousandths of a wrong credential, above the time when that was so.
    places: Box<[AtomicU64]>,
}

const PLACES: usize = 1 << 14;
/// Wrong credentials that cost nothing.
const FREE: u64 = 5;
/// What one wrong credential owes.
const ONE: u64 = 1000;
/// What is forgiven takes this many milliseconds for each thousandth.
const FORGIVEN_MS: u64 = 6;
/// More is not owed, so that a block is free again two minutes after the last.
const MOST: u64 = 20 * ONE;
/// The first penalty.
const FIRST_MS: u64 = 100;
/// Bits of the time.
const TIME_BITS: u32 = 44;
const TIME: u64 = (1 << TIME_BITS) - 1;

impl Penalties {
    /// Nobody owes anything. `secret` is fresh randomness.
    pub fn new(secret: [u8; 16]) -> Self {
        Self { seed: Seed::new(secret), places: (0..PLACES).map(|_| AtomicU64::new(0)).collect() }
    }

    /// A wrong credential came from this address: how long its refusal has to wait.
    pub fn wrong(&self, address: IpAddr, longest: Duration, now_ms: u64) -> Duration {
        let number = usize::try_from(self.seed.place(block(address)) % 16_384).unwrap_or_default();
        let Some(place) = self.places.get(number) else { return longest };
        let now_ms = now_ms & TIME;
        let owes = |before: u64| {
            let passed = now_ms.saturating_sub(before & TIME);
            ((before >> TIME_BITS).saturating_sub(passed / FORGIVEN_MS) + ONE).min(MOST)
        };
        // Whoever came long ago and is refused late must not set the time back: what is owed would be forgiven.
        let after = |before: u64| Some(owes(before) << TIME_BITS | now_ms.max(before & TIME));
        let before = place.fetch_update(Relaxed, Relaxed, after);
        let over = (owes(before.unwrap_or_default()) / ONE).saturating_sub(FREE);
        let Some(doublings) = over.checked_sub(1).and_then(|over| u32::try_from(over).ok()) else {
            return Duration::ZERO;
        };
        Duration::from_millis(FIRST_MS << doublings).min(longest)
    }
}

/// The block of an address: the first address of its IPv4 /24 or IPv6 /48. IPv4 is told from IPv6 by its mapped form.
pub const fn block(address: IpAddr) -> [u8; 16] {
    let (bits, kept) = match address.to_canonical() {
        IpAddr::V4(address) => (address.to_ipv6_mapped().to_bits(), 96 + 24),
        IpAddr::V6(address) => (address.to_bits(), 48),
    };
    (bits >> (128 - kept) << (128 - kept)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::{Penalties, block};
    use std::net::IpAddr;
    use std::time::Duration;

    const LONGEST: Duration = Duration::from_secs(10);

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// P-A11: penalties grow with each guess up to the longest, and are forgiven while nobody guesses.
    #[test]
    fn guesses_cost_more_and_more() {
        let penalties = Penalties::new([7; 16]);
        let guess = |now_ms| penalties.wrong(address("192.0.2.1"), LONGEST, now_ms).as_millis();
        let told: Vec<_> = (0..14).map(|_| guess(1_000_000)).collect();
        assert_eq!(told, [0, 0, 0, 0, 0, 100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        for _ in 0..1000 {
            assert_eq!(guess(1_000_000), 10_000);
        }
        assert_eq!(guess(1_000_000 + 90_000), 100, "of 20 that are owed, 15 were forgiven in 90 s");
        assert_eq!(guess(1_000_000 + 300_000), 0);
    }

    /// P-A11: who came long ago and is refused late, with a body held back, brings nobody forgiveness.
    #[test]
    fn a_late_refusal_forgives_nothing() {
        let penalties = Penalties::new([7; 16]);
        let wrong = |now_ms| penalties.wrong(address("192.0.2.1"), LONGEST, now_ms);
        for _ in 0..9 {
            wrong(1_000_000);
        }
        let before = wrong(1_000_000);
        wrong(900_000);
        assert!(wrong(1_000_000) > before, "{before:?}");
    }

    /// P-A11: ten wrong credentials in a minute, for ever, stay without a penalty.
    #[test]
    fn an_office_is_not_punished() {
        let penalties = Penalties::new([7; 16]);
        for turn in 1..500 {
            assert_eq!(penalties.wrong(address("192.0.2.1"), LONGEST, turn * 6000), Duration::ZERO);
        }
    }

    /// P-A11, A9: a block is what one site has, however its addresses are written; its neighbour owes nothing.
    #[test]
    fn a_block_is_a_site() {
        for (one, other, same) in [
            ("192.0.2.1", "192.0.2.254", true),
            ("192.0.2.1", "::ffff:192.0.2.7", true),
            ("192.0.2.1", "192.0.3.1", false),
            ("2001:db8:1::1", "2001:db8:1:ffff::1", true),
            ("2001:db8:1::1", "2001:db8:2::1", false),
            ("::1", "127.0.0.1", false),
        ] {
            assert_eq!(block(address(one)) == block(address(other)), same, "{one} {other}");
        }
    }

    /// P-A11, D3: a flood from a million blocks takes no more memory, and each of them still pays.
    #[test]
    fn memory_never_grows() {
        let penalties = Penalties::new([7; 16]);
        for number in 0..1_000_000_u32 {
            penalties.wrong(IpAddr::from((number << 8).to_be_bytes()), LONGEST, 1);
        }
        assert_eq!(penalties.places.len(), 16_384);
        assert_eq!(penalties.wrong(address("203.0.113.1"), LONGEST, 1), LONGEST);
    }
}
