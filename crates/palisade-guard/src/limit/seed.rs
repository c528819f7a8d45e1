//! The secret that keeps hash tables from being flooded: `SipHash`, keyed by randomness that is handed in.
//!
//! A hash without a secret lets a client choose addresses or names that all fall into one bucket, or share another
//! caller's window. `SipHash` (Aumasson, Bernstein 2012) is a keyed function made against exactly that.

/// 128 secret random bits, drawn once when the process starts.
#[derive(Clone, Copy)]
pub struct Seed {
    low: u64,
    high: u64,
}

impl Seed {
    /// Takes the randomness.
    pub const fn new(secret: [u8; 16]) -> Self {
        let [low, high] = halves(secret);
        Self { low, high }
    }

    /// Hashes 16 bytes to 64 bits (SipHash-1-3): where a subject stands in a table.
    pub const fn place(&self, bytes: [u8; 16]) -> u64 {
        let [low, high] = halves(bytes);
        let mut state = State::new(*self);
        state.absorb::<1>(low);
        state.absorb::<1>(high);
        state.absorb::<1>(16 << 56);
        state.2 ^= 0xff;
        state.finish::<3>()
    }

    /// Hashes a text to 128 bits (SipHash-2-4): its name in a table, the same for the life of the process.
    pub fn name(&self, text: &str) -> [u8; 16] {
        let mut state = State::new(*self);
        state.1 ^= 0xee;
        let (words, rest) = text.as_bytes().as_chunks::<8>();
        for word in words {
            state.absorb::<2>(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        // The length modulo 256 closes the text, as the definition has it.
        let [length, ..] = text.len().to_le_bytes();
        last[7] = length;
        state.absorb::<2>(u64::from_le_bytes(last));
        state.2 ^= 0xee;
        let low = state.finish::<4>();
        state.1 ^= 0xdd;
        let high = state.finish::<4>();
        (u128::from(low) | u128::from(high) << 64).to_le_bytes()
    }
}

/// The four words of `SipHash`.
struct State(u64, u64, u64, u64);

impl State {
    const fn new(key: Seed) -> Self {
        Self(
            key.low ^ 0x736f_6d65_7073_6575,
            key.high ^ 0x646f_7261_6e64_6f6d,
            key.low ^ 0x6c79_6765_6e65_7261,
            key.high ^ 0x7465_6462_7974_6573,
        )
    }

    const fn absorb<const ROUNDS: u8>(&mut self, word: u64) {
        self.3 ^= word;
        self.mix::<ROUNDS>();
        self.0 ^= word;
    }

    const fn finish<const ROUNDS: u8>(&mut self) -> u64 {
        self.mix::<ROUNDS>();
        self.0 ^ self.1 ^ self.2 ^ self.3
    }

    const fn mix<const ROUNDS: u8>(&mut self) {
        let mut round = 0;
        while round < ROUNDS {
            self.0 = self.0.wrapping_add(self.1);
            self.2 = self.2.wrapping_add(self.3);
            self.1 = self.1.rotate_left(13) ^ self.0;
            self.3 = self.3.rotate_left(16) ^ self.2;
            self.0 = self.0.rotate_left(32);
            self.2 = self.2.wrapping_add(self.1);
            self.0 = self.0.wrapping_add(self.3);
            self.1 = self.1.rotate_left(17) ^ self.2;
            self.3 = self.3.rotate_left(21) ^ self.0;
            self.2 = self.2.rotate_left(32);
            round += 1;
        }
    }
}

#[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "the halves of 128 bits, in const")]
const fn halves(bytes: [u8; 16]) -> [u64; 2] {
    let whole = u128::from_le_bytes(bytes);
    [whole as u64, (whole >> 64) as u64]
}

#[cfg(test)]
mod tests {
    use super::Seed;

    const KEY: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

    /// D3: names of callers are `SipHash`-2-4 of 128 bits, by the reference vectors for the empty text and 00.
    #[test]
    fn names_match_the_reference() {
        let name = |text| u128::from_be_bytes(Seed::new(KEY).name(text));
        assert_eq!(name(""), 0xa381_7f04_ba25_a8e6_6df6_7214_c755_0293);
        assert_eq!(name("\0"), 0xda87_c1d8_6b99_af44_3476_5911_9b22_fc45);
    }

    /// D3: places depend on the secret and on every byte.
    #[test]
    fn places_are_keyed() {
        let place = Seed::new(KEY).place([0; 16]);
        assert_ne!(place, Seed::new([1; 16]).place([0; 16]));
        for at in 0..16 {
            let mut bytes = [0; 16];
            bytes[at] = 1;
            assert_ne!(place, Seed::new(KEY).place(bytes), "byte {at}");
        }
    }
}
