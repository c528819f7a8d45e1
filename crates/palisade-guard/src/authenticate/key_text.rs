//! The text of a managed key: `mcp_k3v9t0x1q8za_J4bN8sT2vX6zB0dF4hK8mP2rU6wY0aCd_1bn2y5`.
//!
//! 1. A prefix that says what it is: small letters, digits and `_`, with `_` at its end; `mcp_` unless the operator
//!    says otherwise.
//! 2. The public id: 12 small letters or digits. It alone stands in records.
//! 3. `_` and the secret: letters and digits, 32 unless the operator says otherwise; each carries 5.95 random bits.
//! 4. `_` and the checksum: CRC-32 (ISO-HDLC, as in zip) of all before this `_`, as 6 letters or digits to the base 62
//!    (`0`–`9`, `A`–`Z`, `a`–`z`), the most significant first. A scanner that finds such a text in a repository can tell
//!    a real key from one that only looks like it, without asking anybody.
//!
//! Nothing in it needs to be escaped in a URL, a header, a shell or JSON, and a double click selects all of it.
//!
//! # Caveat
//! The checksum is no secret and proves nothing: whoever makes up a key can make up its checksum.

/// Characters of a public id.
pub const ID: usize = 12;
/// The fewest characters of a secret: 131 bits.
pub const SHORTEST: usize = 22;
/// The most.
pub const LONGEST: usize = 128;
/// The longest prefix.
pub const PREFIX: usize = 16;
const CHECKSUM: usize = 6;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The part of a key that everybody may know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicId([u8; ID]);

impl PublicId {
    /// The id that is written so.
    pub fn read(text: &[u8]) -> Option<Self> {
        let small = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        text.try_into().ok().map(Self).filter(|id| id.0.iter().all(small))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        // Only ASCII gets in.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// A number for tables: ids are random and made by us, so nobody can choose many that fall together.
    pub(super) fn place(&self) -> u64 {
        let number = self.0.first_chunk().map_or(0, |first| u64::from_le_bytes(*first));
        // The high half of the product depends on all bits of the id, the low half on few.
        let spread = u128::from(number) * u128::from(0x9e37_79b9_7f4a_7c15_u64);
        u64::try_from(spread >> 64).unwrap_or_default()
            ^ u64::try_from(spread & u128::from(u64::MAX)).unwrap_or_default()
    }
}

/// Whether this may stand in front of keys.
pub fn is_prefix(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (2..=PREFIX).contains(&text.len()) && text.ends_with('_') && !text.starts_with('_') && text.bytes().all(plain)
}

/// The id in a text that has the form of a managed key, checksum included; `None` for every other text.
pub fn read(text: &[u8]) -> Option<PublicId> {
    if text.len() > PREFIX + ID + 1 + LONGEST + 1 + CHECKSUM {
        return None;
    }
    let (signed, checksum) = text.split_at_checked(text.len().checked_sub(CHECKSUM + 1)?)?;
    let secret_at = signed.iter().rposition(|byte| *byte == b'_')? + 1;
    let (front, secret) = signed.split_at_checked(secret_at)?;
    let (prefix, id) = front.split_at_checked(front.len().checked_sub(ID + 1)?)?;
    let id = PublicId::read(id.strip_suffix(b"_")?)?;
    let sound = (SHORTEST..=LONGEST).contains(&secret.len())
        && secret.iter().all(u8::is_ascii_alphanumeric)
        && std::str::from_utf8(prefix).is_ok_and(is_prefix)
        && checksum.strip_prefix(b"_") == Some(&checksum_of(signed)[..]);
    sound.then_some(id)
}

/// The text of a key from its parts.
pub fn write(prefix: &str, id: PublicId, secret: &str) -> String {
    let mut text = format!("{prefix}{}_{secret}", id.as_str());
    let checksum = checksum_of(text.as_bytes());
    text.push('_');
    text.extend(checksum.map(char::from));
    text
}

/// A public id out of random bytes; `None` if too many of them are of no use, which asks for others.
pub fn id_from(random: &[u8]) -> Option<PublicId> {
    // Small letters and digits are 36; 252 is the largest multiple of it in a byte, so that none is likelier.
    let mut digits = random.iter().filter(|byte| **byte < 252).map(|byte| byte % 36);
    let mut id = [0; ID];
    for place in &mut id {
        *place = DIGITS.get(usize::from(digits.next()?)).copied()?.to_ascii_lowercase();
    }
    Some(PublicId(id))
}

/// A secret of this length out of random bytes; `None` if too many of them are of no use.
pub fn secret_from(random: &[u8], length: usize) -> Option<String> {
    let digits = random.iter().filter(|byte| **byte < 248).map(|byte| usize::from(byte % 62));
    let secret: String = digits.take(length).filter_map(|digit| DIGITS.get(digit)).copied().map(char::from).collect();
    (secret.len() == length).then_some(secret)
}

fn checksum_of(text: &[u8]) -> [u8; CHECKSUM] {
    let mut number = crc32(text);
    let mut written = [b'0'; CHECKSUM];
    for place in written.iter_mut().rev() {
        let digit = usize::try_from(number % 62).unwrap_or_default();
        *place = DIGITS.get(digit).copied().unwrap_or(b'0');
        number /= 62;
    }
    written
}

/// CRC-32/ISO-HDLC.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        let index = usize::from(crc.to_le_bytes()[0] ^ byte);
        TABLE.get(index).copied().unwrap_or_default() ^ (crc >> 8)
    };
    !bytes.iter().fold(u32::MAX, step)
}

#[expect(clippy::as_conversions, clippy::cast_possible_truncation, clippy::indexing_slicing, reason = "in a constant")]
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut entry = index as u32;
        let mut bit = 0;
        while bit < 8 {
            entry = if entry & 1 == 1 { 0xedb8_8320 ^ (entry >> 1) } else { entry >> 1 };
            bit += 1;
        }
        table[index] = entry;
        index += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::{PublicId, crc32, id_from, is_prefix, read, secret_from, write};

    const ID: &[u8] = b"k3v9t0x1q8za";
    const SECRET: &str = "J4bN8sT2vX6zB0dF4hK8mP2rU6wY0aCd";

    fn key() -> String {
        write("mcp_", PublicId::read(ID).unwrap(), SECRET)
    }

    /// B3: the form is the one that is documented, and the checksum is the one that everybody computes.
    #[test]
    fn the_form_is_the_documented_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926, "the check value of CRC-32/ISO-HDLC");
        assert_eq!(key(), "mcp_k3v9t0x1q8za_J4bN8sT2vX6zB0dF4hK8mP2rU6wY0aCd_1bn2y5");
        assert_eq!(read(key().as_bytes()).unwrap().as_str().as_bytes(), ID);
        let other = write("acme_live_", PublicId::read(ID).unwrap(), &SECRET.repeat(4));
        assert!(read(other.as_bytes()).is_some(), "other prefix, other length: {other}");
    }

    /// B3, F3: no other text is taken for a key: not one with any character changed, cut or added.
    #[test]
    fn every_change_shows() {
        let key = key();
        for place in 0..key.len() {
            let mut changed = key.clone().into_bytes();
            changed[place] = if changed[place] == b'a' { b'b' } else { b'a' };
            assert_eq!(read(&changed), None, "{}", String::from_utf8_lossy(&changed));
            assert_eq!(read(&key.as_bytes()[..place]), None);
            assert_eq!(read(&key.as_bytes()[place + 1..]), None);
        }
        for text in ["", "_", "mcp_", "mcp__", "mcp_Zk3rT9wQx7LmN2vB8yHcD4fGj6KpS1aE", "a.b.c", "\u{fc}_\u{fc}_\u{fc}"]
        {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
        for short in ["mcp_", "m", "_", "Mcp_", "mcp", "mcp-", "a_very_long_prefix_"] {
            let text = write(short, PublicId::read(ID).unwrap(), SECRET);
            assert_eq!(read(text.as_bytes()).is_some(), is_prefix(short), "{text}");
        }
    }

    /// B3: what is made of random bytes has the wanted length, uses every character, and says when it needs more.
    #[test]
    fn ids_and_secrets_are_made_of_random_bytes() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(secret_from(&all, 32).unwrap().len(), 32);
        assert_eq!(secret_from(&all[..31], 32), None);
        assert_eq!(secret_from(&[255; 64], 32), None, "bytes that would make some characters likelier are left out");
        let mut counts = std::collections::BTreeMap::<char, usize>::new();
        secret_from(&all, 248).unwrap().chars().for_each(|each| *counts.entry(each).or_default() += 1);
        assert!(counts.len() == 62 && counts.values().all(|count| *count == 4), "{counts:?}");
        assert!(id_from(&all).is_some() && id_from(&all[..11]).is_none());
    }
}
