//! Facts of the wire, the same for every transport.

use std::fmt;

/// The name of one arrival, made by us and never taken from a caller: 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CorrelationId([u8; 32]);

impl CorrelationId {
    /// A name from a random prefix of this process and a counter: unique, not secret.
    pub fn new(prefix: u64, counter: u64) -> Self {
        let mut text = [0; 32];
        for (digits, value) in text.chunks_exact_mut(16).zip([prefix, counter]) {
            for (place, digit) in digits.iter_mut().enumerate() {
                let nibble = value >> (60 - 4 * place) & 0xf;
                *digit = HEX.get(usize::try_from(nibble).unwrap_or(0)).copied().unwrap_or(b'0');
            }
        }
        Self(text)
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use super::CorrelationId;

    /// G1: a correlation id is ours and unique.
    #[test]
    fn prefix_and_counter_make_the_name() {
        assert_eq!(CorrelationId::new(0x0123_4567_89ab_cdef, 42).as_str(), "0123456789abcdef000000000000002a");
    }
}
