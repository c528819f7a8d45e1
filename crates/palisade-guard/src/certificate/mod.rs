//! What a certificate says: the names it was issued for, and how long it is good.
//!
//! Whether it is to be believed is not judged here. Whoever reads a client's certificate has had its chain, its signatures
//! and the lists of revocations checked before; this reads the few facts on which rules rest, once for each connection.
//!
//! 1. Strict: what is not DER, or holds a name twice over in two extensions, has no facts at all.
//! 2. A name is visible ASCII. One with a NUL or a line break in it could be read as another one further on.
//! 3. Other kinds of names than [`Certificate`] has are passed over.

mod der;
mod name;
mod time;

use crate::digest::sha256;

use der::{BOOLEAN, INTEGER, OCTETS, OID, Reader, SEQUENCE};

/// The facts of one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// SHA-256 of the whole.
    pub fingerprint: [u8; 32],
    /// From when on it is good, in seconds since 1970.
    pub not_before: u64,
    /// Until when.
    pub not_after: u64,
    /// Its subject as RFC 4514 writes it; `None` where a part of it has no such form here.
    pub subject: Option<Box<str>>,
    /// Host names.
    pub dns: Vec<Box<str>>,
    /// URIs, which SPIFFE uses.
    pub uris: Vec<Box<str>>,
    /// Addresses of mail.
    pub emails: Vec<Box<str>>,
}

/// Names of one certificate.
const NAMES: usize = 100;
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// `[0]`, `[1]`, `[2]` and `[3]` of a certificate's body.
const VERSION: u8 = 0xa0;
const ISSUER_ID: u8 = 0x81;
const SUBJECT_ID: u8 = 0x82;
const EXTENSIONS: u8 = 0xa3;

impl Certificate {
    /// Reads a certificate; `None` if it cannot be read to its end.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut whole = Reader::new(bytes);
        let mut certificate = whole.inside(SEQUENCE)?;
        let mut body = certificate.inside(SEQUENCE)?;
        certificate.expect(SEQUENCE)?;
        certificate.next()?;
        if !whole.is_empty() || !certificate.is_empty() {
            return None;
        }
        body.skip(VERSION)?;
        body.expect(INTEGER)?;
        body.expect(SEQUENCE)?;
        body.expect(SEQUENCE)?;
        let mut validity = body.inside(SEQUENCE)?;
        let (not_before, not_after) = (time::read(validity.next()?)?, time::read(validity.next()?)?);
        let subject = name::read(body.inside(SEQUENCE)?);
        body.expect(SEQUENCE)?;
        let fingerprint = sha256(bytes);
        let (dns, uris, emails) = Default::default();
        let mut read = Self { fingerprint, not_before, not_after, subject, dns, uris, emails };
        body.skip(ISSUER_ID)?;
        body.skip(SUBJECT_ID)?;
        if body.is_next(EXTENSIONS) {
            read.extensions(body.inside(EXTENSIONS)?.inside(SEQUENCE)?)?;
        }
        (body.is_empty() && validity.is_empty()).then_some(read)
    }

    /// Whether it is good at this time.
    pub const fn is_valid_at(&self, unix_ms: u64) -> bool {
        let now = unix_ms / 1000;
        self.not_before <= now && now <= self.not_after
    }

    fn extensions(&mut self, mut extensions: Reader<'_>) -> Option<()> {
        let mut seen = false;
        while !extensions.is_empty() {
            let mut extension = extensions.inside(SEQUENCE)?;
            let id = extension.expect(OID)?;
            extension.skip(BOOLEAN)?;
            let value = extension.expect(OCTETS)?;
            if !extension.is_empty() {
                return None;
            }
            if id == SUBJECT_ALT_NAME {
                if std::mem::replace(&mut seen, true) {
                    return None;
                }
                self.names(value)?;
            }
        }
        Some(())
    }

    fn names(&mut self, value: &[u8]) -> Option<()> {
        let mut value = Reader::new(value);
        let mut names = value.inside(SEQUENCE)?;
        let mut count = 0;
        while !names.is_empty() {
            let name = names.next()?;
            let list = match name.tag {
                0x81 => &mut self.emails,
                0x82 => &mut self.dns,
                0x86 => &mut self.uris,
                _ => continue,
            };
            count += 1;
            let is_plain = !name.content.is_empty() && name.content.iter().all(u8::is_ascii_graphic);
            let text = std::str::from_utf8(name.content).ok().filter(|_| is_plain && count <= NAMES)?;
            list.push(text.into());
        }
        value.is_empty().then_some(())
    }
}

#[cfg(test)]
mod tests;
