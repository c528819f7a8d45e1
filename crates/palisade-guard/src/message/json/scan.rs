//! The one pass over a document.

use super::text::{hex4, unescape};
use super::{Bounds, FEW_KEYS, Fault, Key, Kind, Member, OUTLINED, Outline, key_bytes};

/// Judges one document.
pub fn scan(text: &[u8], bounds: Bounds) -> Result<Outline, Fault> {
    std::str::from_utf8(text).map_err(|error| Fault::NotUtf8(error.valid_up_to()))?;
    // Room for an ordinary message, so that it grows nothing.
    let (keys, members) = (Vec::with_capacity(16), Vec::with_capacity(16));
    let mut scan = Scan { text, at: 0, bounds, nodes: 0, keys, decoded: String::new(), members };
    scan.space();
    let start = scan.at;
    let root = scan.value(0, None, true)?;
    let end = scan.at;
    scan.space();
    if scan.at != text.len() {
        return Err(Fault::Syntax(scan.at));
    }
    Ok(Outline { root, span: start..end, members: scan.members, decoded: scan.decoded })
}

struct Scan<'t> {
    text: &'t [u8],
    at: usize,
    bounds: Bounds,
    nodes: usize,
    /// Keys of all objects that are open now; each object knows where its own begin.
    keys: Vec<Key>,
    decoded: String,
    members: Vec<Member>,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    const fn wrong<T>(&self) -> Result<T, Fault> {
        Err(Fault::Syntax(self.at))
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        if self.peek() != Some(byte) {
            return self.wrong();
        }
        self.at += 1;
        Ok(())
    }

    /// One value. `depth` is how many arrays and objects stand around it.
    fn value(&mut self, depth: usize, parent: Option<u32>, outlined: bool) -> Result<Kind, Fault> {
        self.count()?;
        match self.peek() {
            Some(b'{') => self.object(depth + 1, parent, outlined),
            Some(b'[') => self.array(depth + 1, parent, outlined),
            Some(b'"') => self.string().map(|_| Kind::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word(b"true", Kind::Bool),
            Some(b'f') => self.word(b"false", Kind::Bool),
            Some(b'n') => self.word(b"null", Kind::Null),
            _ => self.wrong(),
        }
    }

    const fn count(&mut self) -> Result<(), Fault> {
        self.nodes += 1;
        if self.nodes > self.bounds.nodes { Err(Fault::TooMany) } else { Ok(()) }
    }

    fn object(&mut self, depth: usize, parent: Option<u32>, outlined: bool) -> Result<Kind, Fault> {
        let own = self.keys.len();
        self.open(depth)?;
        if self.peek() != Some(b'}') {
            loop {
                self.space();
                let key = self.key(own)?;
                self.space();
                self.expect(b':')?;
                self.space();
                self.member(depth, parent, outlined.then_some(key))?;
                self.space();
                if self.peek() != Some(b',') {
                    break;
                }
                self.at += 1;
            }
        }
        self.expect(b'}')?;
        self.close_keys(own)?;
        Ok(Kind::Object)
    }

    fn array(&mut self, depth: usize, parent: Option<u32>, outlined: bool) -> Result<Kind, Fault> {
        self.open(depth)?;
        if self.peek() != Some(b']') {
            loop {
                self.space();
                self.member(depth, parent, outlined.then_some(Key::Plain(0, 0)))?;
                self.space();
                if self.peek() != Some(b',') {
                    break;
                }
                self.at += 1;
            }
        }
        self.expect(b']')?;
        Ok(Kind::Array)
    }

    fn open(&mut self, depth: usize) -> Result<(), Fault> {
        if depth > self.bounds.depth {
            return Err(Fault::TooDeep);
        }
        self.at += 1;
        self.space();
        Ok(())
    }

    /// A value inside an array or object; outlined where `key` is given.
    fn member(&mut self, depth: usize, parent: Option<u32>, key: Option<Key>) -> Result<(), Fault> {
        let start = self.at;
        let Some(key) = key else {
            return self.value(depth, None, false).map(|_| ());
        };
        let index = self.members.len();
        self.members.push(Member { parent, key, value: start..start, kind: Kind::Null });
        // What stands inside a tool's arguments is the tool's own matter.
        let arguments = depth == 2 && key_bytes(self.text, &self.decoded, key) == b"arguments";
        let deeper = depth < OUTLINED && !arguments;
        let kind = self.value(depth, u32::try_from(index).ok(), deeper)?;
        if let Some(member) = self.members.get_mut(index) {
            member.value.end = self.at;
            member.kind = kind;
        }
        Ok(())
    }

    /// One key; refused at once if a small object has it already.
    fn key(&mut self, own: usize) -> Result<Key, Fault> {
        self.count()?;
        let (start, escaped) = (self.at + 1, self.string()?);
        let end = self.at - 1;
        let key = if escaped {
            let from = self.decoded.len();
            let raw = self.text.get(start..end).unwrap_or_default();
            self.decoded.push_str(&unescape(raw));
            Key::Decoded(from, self.decoded.len())
        } else {
            Key::Plain(start, end)
        };
        let siblings = self.keys.get(own..).unwrap_or_default();
        if siblings.len() < FEW_KEYS {
            let bytes = key_bytes(self.text, &self.decoded, key);
            if siblings.iter().any(|other| key_bytes(self.text, &self.decoded, *other) == bytes) {
                return Err(Fault::DuplicateKey(end));
            }
        }
        self.keys.push(key);
        Ok(key)
    }

    /// Forgets an object's keys; a large object is checked here, by sorting: an attacker who chooses the keys
    /// cannot make this quadratic.
    fn close_keys(&mut self, own: usize) -> Result<(), Fault> {
        let (text, decoded) = (self.text, &self.decoded);
        if let Some(keys) = self.keys.get_mut(own..).filter(|keys| keys.len() > FEW_KEYS) {
            keys.sort_unstable_by(|a, b| key_bytes(text, decoded, *a).cmp(key_bytes(text, decoded, *b)));
            let twice = keys.windows(2).any(|pair| match pair {
                [a, b] => key_bytes(text, decoded, *a) == key_bytes(text, decoded, *b),
                _ => false,
            });
            if twice {
                return Err(Fault::DuplicateKey(self.at));
            }
        }
        self.keys.truncate(own);
        Ok(())
    }

    /// A string, quotes included. Says whether it holds escapes.
    fn string(&mut self) -> Result<bool, Fault> {
        self.expect(b'"')?;
        let mut escaped = false;
        loop {
            self.plain();
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return self.wrong(),
            }
        }
    }

    /// Skips bytes that need no look, eight at a time: no quote, no backslash, no control character.
    fn plain(&mut self) {
        const ONES: u64 = 0x0101_0101_0101_0101;
        const HIGH: u64 = 0x8080_8080_8080_8080;
        let has_zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
        while let Some(chunk) = self.text.get(self.at..).and_then(<[u8]>::first_chunk::<8>) {
            let word = u64::from_le_bytes(*chunk);
            let quote = has_zero(word ^ (ONES * 0x22));
            let backslash = has_zero(word ^ (ONES * 0x5c));
            let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
            // The lowest mark is exact; a borrow can only make false ones above it.
            let marks = quote | backslash | control;
            if marks != 0 {
                self.at += usize::try_from(marks.trailing_zeros() / 8).unwrap_or(0);
                return;
            }
            self.at += 8;
        }
        while self.peek().is_some_and(|byte| byte != b'"' && byte != b'\\' && byte >= 0x20) {
            self.at += 1;
        }
    }

    fn escape(&mut self) -> Result<(), Fault> {
        let start = self.at;
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => match self.hex()? {
                0xd800..=0xdbff if self.text.get(self.at..self.at + 2) == Some(b"\\u".as_slice()) => {
                    self.at += 1;
                    match self.hex()? {
                        0xdc00..=0xdfff => Ok(()),
                        _ => self.lone(start),
                    }
                }
                0xd800..=0xdfff => self.lone(start),
                _ => Ok(()),
            },
            _ => self.wrong(),
        }
    }

    const fn lone(&self, start: usize) -> Result<(), Fault> {
        if self.bounds.lone_surrogates { Ok(()) } else { Err(Fault::LoneSurrogate(start)) }
    }

    /// `uXXXX`, the `u` included.
    fn hex(&mut self) -> Result<u16, Fault> {
        let digits = self.text.get(self.at + 1..self.at + 5).unwrap_or_default();
        let Some(unit) = hex4(digits) else { return self.wrong() };
        self.at += 5;
        Ok(unit)
    }

    fn number(&mut self) -> Result<Kind, Fault> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        let mut kind = Kind::Integer;
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
            kind = Kind::Number;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
            kind = Kind::Number;
        }
        Ok(kind)
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { self.wrong() } else { Ok(()) }
    }

    fn word(&mut self, word: &[u8], kind: Kind) -> Result<Kind, Fault> {
        if !self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            return self.wrong();
        }
        self.at += word.len();
        Ok(kind)
    }
}
