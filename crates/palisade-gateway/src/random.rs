//! The one place that asks for randomness.

use aws_lc_rs::rand;

/// Random bytes from the operating system's generator. A gateway without randomness could make handles that others
/// guess, so there is no other way than to stop.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut out = [0; N];
    #[expect(clippy::expect_used, reason = "without randomness nothing here is safe to do")]
    rand::fill(&mut out).expect("the operating system gives randomness");
    out
}

/// A new key: 32 random bytes in URL-safe base64, 43 characters.
pub fn new_key() -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes::<32>())
}
