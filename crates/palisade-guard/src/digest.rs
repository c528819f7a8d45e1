//! SHA-256, and bytes as hexadecimal digits.

use aws_lc_rs::digest;

/// SHA-256 (FIPS 180-4).
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

/// Lower-case hexadecimal digits, two for each byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| digits(*byte)).map(char::from).collect()
}

/// The same at the end of `out`.
pub(crate) fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(bytes.iter().flat_map(|byte| digits(*byte)));
}

fn digits(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [byte >> 4, byte & 0xf].map(|nibble| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0'))
}

/// 32 bytes out of 64 hexadecimal digits, of either case.
pub fn read_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let nibble = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let read = text.len() == 64
        && bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)).all(|(byte, pair)| {
            let [high, low] = pair else { return false };
            nibble(high).zip(nibble(low)).map(|(high, low)| *byte = high << 4 | low).is_some()
        });
    read.then_some(bytes)
}

/// The same of lower-case digits alone: what has one form where it is signed or chained.
pub(crate) fn read_lower_hex(text: &str) -> Option<[u8; 32]> {
    read_hex(text).filter(|_| !text.bytes().any(|byte| byte.is_ascii_uppercase()))
}

#[cfg(test)]
mod tests {
    use super::{hex, read_hex, read_lower_hex, sha256};

    /// B2: digits are what was written, in either case, and nothing else is a digest.
    #[test]
    fn digits_are_read_as_written() {
        let digest = sha256(b"abc");
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(
            (hex(&digest).as_str(), read_hex(text), read_hex(&text.to_uppercase())),
            (text, Some(digest), Some(digest))
        );
        assert_eq!((read_lower_hex(text), read_lower_hex(&text.to_uppercase())), (Some(digest), None));
        for wrong in
            ["", &text[1..], &format!("{text}0"), &text.replace('b', "g"), &text.replace("ba", "+a"), &"é".repeat(32)]
        {
            assert_eq!(read_hex(wrong), None, "{wrong}");
        }
    }
}
