//! Strict DER (X.690): every element whole, every length in its one form, nothing left over.

/// What is left to read of a structure.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'d>(&'d [u8]);

/// One element: its tag and what is in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element<'d> {
    pub(super) tag: u8,
    pub(super) content: &'d [u8],
}

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTETS: u8 = 0x04;
pub(super) const OID: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

impl<'d> Reader<'d> {
    pub(super) const fn new(bytes: &'d [u8]) -> Self {
        Self(bytes)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next element.
    pub(super) fn next(&mut self) -> Option<Element<'d>> {
        let (&tag, rest) = self.0.split_first()?;
        // Tags above 30 take more bytes; a certificate has none.
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (length, rest) = length(rest)?;
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(Element { tag, content })
    }

    /// The content of the next element, which has this tag.
    pub(super) fn expect(&mut self, tag: u8) -> Option<&'d [u8]> {
        self.next().filter(|element| element.tag == tag).map(|element| element.content)
    }

    /// What is inside the next element, which has this tag.
    pub(super) fn inside(&mut self, tag: u8) -> Option<Self> {
        self.expect(tag).map(Self)
    }

    /// Whether the next element has this tag.
    pub(super) fn is_next(&self, tag: u8) -> bool {
        self.0.first() == Some(&tag)
    }

    /// Passes over the next element, if it has this tag.
    pub(super) fn skip(&mut self, tag: u8) -> Option<()> {
        if self.is_next(tag) { self.expect(tag).map(drop) } else { Some(()) }
    }
}

/// A length and what follows it: in the short form below 128, else in as few bytes as there can be.
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    if first < 0x80 {
        return Some((first.into(), rest));
    }
    let (digits, rest) = rest.split_at_checked((first & 0x7f).into())?;
    if digits.is_empty() || digits.len() > 3 || digits.first() == Some(&0) {
        return None;
    }
    let length = digits.iter().fold(0_usize, |length, digit| length << 8 | usize::from(*digit));
    (length >= 0x80).then_some((length, rest))
}
