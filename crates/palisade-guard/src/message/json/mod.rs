//! Strict JSON (RFC 8259) in one pass: every byte judged, nothing built but an outline.
//!
//! 1. The text is UTF-8 and exactly one value, by the grammar of RFC 8259; no byte order mark, no trailing bytes.
//! 2. No object names one key twice, escapes undone: parsers disagree on which of the two counts, and a gateway
//!    that judges one while the server behind it runs the other has judged nothing.
//! 3. No escape names half a surrogate pair, which some parsers replace and others refuse.
//! 4. Nesting and the number of values are bounded before anything is allocated for them.
//!
//! The [`Outline`] keeps where the outermost members stand. Values stay bytes of the original: what was judged
//! is what is sent.

mod scan;
mod text;

use std::ops::Range;

pub use scan::scan;
pub use text::text_of;

/// How deep and how large a document may be.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Arrays and objects inside one another.
    pub depth: usize,
    /// Values and keys in all.
    pub nodes: usize,
    /// Whether `"\ud83d"` alone may pass: what a caller sends may not, but servers written in JavaScript answer so
    /// when they cut a text inside an emoji.
    pub lone_surrogates: bool,
}

/// Why a document is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Not UTF-8, from this byte on.
    NotUtf8(usize),
    /// Not JSON, at this byte.
    Syntax(usize),
    /// The key that ends here stands twice in its object.
    DuplicateKey(usize),
    /// The escape here is half a surrogate pair.
    LoneSurrogate(usize),
    /// Nested deeper than the bound.
    TooDeep,
    /// More values than the bound.
    TooMany,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `"…"`
    String,
    /// A number with neither fraction nor exponent.
    Integer,
    /// Any other number.
    Number,
    /// `true` or `false`
    Bool,
    /// `null`
    Null,
}

/// One value near the root: a member of an object, or an element of an array (then its key is empty).
#[derive(Debug, Clone)]
pub struct Member {
    /// Index of the member that holds it; `None` at the root.
    pub parent: Option<u32>,
    key: Key,
    /// Where the value stands.
    pub value: Range<usize>,
    /// What the value is.
    pub kind: Kind,
}

/// The outermost members of one document, in document order.
#[derive(Debug, Clone)]
pub struct Outline {
    /// What the root is.
    pub root: Kind,
    /// Where the root stands (white space around it left out).
    pub span: Range<usize>,
    members: Vec<Member>,
    decoded: String,
}

#[derive(Debug, Clone, Copy)]
enum Key {
    /// Stands in the document as it is.
    Plain(usize, usize),
    /// Was escaped; stands in `decoded`.
    Decoded(usize, usize),
}

/// Members at most this far from the root are outlined: `params.notifications.resourceSubscriptions[0]`.
const OUTLINED: usize = 4;

/// Objects with more keys than this are checked for duplicates by sorting, not by comparing each with each.
const FEW_KEYS: usize = 16;

impl Outline {
    /// All members that `parent` holds, with their index.
    pub fn children(&self, parent: Option<u32>) -> impl Iterator<Item = (u32, &Member)> + '_ {
        (0u32..).zip(&self.members).filter(move |(_, member)| member.parent == parent)
    }

    /// The member `name` of `parent`.
    pub fn get<'a>(&'a self, text: &[u8], parent: Option<u32>, name: &str) -> Option<(u32, &'a Member)> {
        self.children(parent).find(|(_, member)| self.key(text, member) == name.as_bytes())
    }

    /// A member's key, escapes undone.
    pub fn key<'a>(&'a self, text: &'a [u8], member: &Member) -> &'a [u8] {
        key_bytes(text, &self.decoded, member.key)
    }
}

fn key_bytes<'a>(text: &'a [u8], decoded: &'a str, key: Key) -> &'a [u8] {
    match key {
        Key::Plain(from, to) => text.get(from..to),
        Key::Decoded(from, to) => decoded.as_bytes().get(from..to),
    }
    .unwrap_or_default()
}

/// The value at `path` below a value that [`scan`] found good: where it stands and what it is.
pub fn find(text: &[u8], within: Range<usize>, path: &[&str]) -> Option<(Range<usize>, Kind)> {
    let slice = text.get(within.clone())?;
    // Deep enough for any document that passed; the bounds were judged then.
    let bounds = Bounds { depth: usize::MAX, nodes: usize::MAX, lone_surrogates: true };
    let outline = scan(slice, bounds).ok()?;
    let Some((name, rest)) = path.split_first() else {
        return Some((within, outline.root));
    };
    let (_, member) = outline.get(slice, None, name)?;
    let value = within.start + member.value.start..within.start + member.value.end;
    if rest.is_empty() { Some((value, member.kind)) } else { find(text, value, rest) }
}
