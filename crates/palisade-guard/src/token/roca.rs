//! RSA keys that a flawed chip made (CVE-2017-15361, "ROCA"): whoever knows the modulus can factor it.
//!
//! Such a modulus is a power of 65537 modulo every small prime. By chance that is so for one in about 2^28.

/// The primes of the published test.
const PRIMES: [u32; 37] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109,
    113, 127, 131, 137, 139, 149, 151, 157, 167,
];

/// Whether a modulus has the mark.
pub(super) fn is_weak(modulus: &[u8]) -> bool {
    PRIMES.iter().all(|&prime| {
        let remainder = modulus.iter().fold(0, |rest: u32, byte| (rest * 256 + u32::from(*byte)) % prime);
        let step = 65_537 % prime;
        std::iter::successors(Some(1), |power| Some(power * step % prime).filter(|next| *next != 1))
            .take(usize::try_from(prime).unwrap_or(0))
            .any(|power| power == remainder)
    })
}
