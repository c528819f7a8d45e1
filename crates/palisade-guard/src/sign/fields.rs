//! Dictionaries of structured fields (RFC 9651), in the part that signatures are written in.
//!
//! Strict where the standard leaves room: of two members with one key neither counts, and what no signature needs
//! (decimals, dates, display strings) is refused.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bare {
    /// At most fifteen digits.
    Integer(i64),
    /// Visible ASCII and blanks.
    String(String),
    /// A word.
    Token(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// `?1`
    Boolean(bool),
}

/// What is said about a value.
pub type Parameters = Vec<(String, Bare)>;

/// A value with its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The value.
    pub value: Bare,
    /// Its parameters.
    pub parameters: Parameters,
}

/// What a member of a dictionary is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// One value.
    Item(Item),
    /// Several in parentheses.
    Inner(Vec<Item>, Parameters),
}

/// A member of a dictionary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member<'t> {
    /// Its key.
    pub key: String,
    /// What it is.
    pub content: Content,
    /// The text behind `key=`, as it was written.
    pub raw: &'t str,
}

/// Reads a dictionary.
pub fn dictionary(text: &str) -> Option<Vec<Member<'_>>> {
    let mut reader = Reader { text, at: 0 };
    let mut members: Vec<Member<'_>> = Vec::new();
    reader.skip(b" ");
    while !reader.is_at_end() {
        let member = reader.member()?;
        if members.iter().any(|other| other.key == member.key) {
            return None;
        }
        members.push(member);
        reader.skip(b" \t");
        if reader.is_at_end() {
            return Some(members);
        }
        reader.take(b',')?;
        reader.skip(b" \t");
        // A comma promises another member.
        if reader.is_at_end() {
            return None;
        }
    }
    Some(members)
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn take(&mut self, wanted: u8) -> Option<()> {
        (self.next()? == wanted).then_some(())
    }

    fn skip(&mut self, which: &[u8]) {
        self.run(|byte| which.contains(&byte));
    }

    fn is_at_end(&self) -> bool {
        self.at == self.text.len()
    }

    /// The longest run of such bytes.
    fn run(&mut self, fits: impl Fn(u8) -> bool) -> &'t str {
        let begin = self.at;
        while self.peek().is_some_and(&fits) {
            self.at += 1;
        }
        self.text.get(begin..self.at).unwrap_or_default()
    }

    fn member(&mut self) -> Option<Member<'t>> {
        let key = self.key()?;
        if self.peek() != Some(b'=') {
            let parameters = self.parameters()?;
            let content = Content::Item(Item { value: Bare::Boolean(true), parameters });
            return Some(Member { key, content, raw: "" });
        }
        self.at += 1;
        let begin = self.at;
        let content = if self.peek() == Some(b'(') { self.inner()? } else { Content::Item(self.item()?) };
        Some(Member { key, content, raw: self.text.get(begin..self.at)? })
    }

    fn inner(&mut self) -> Option<Content> {
        self.take(b'(')?;
        let mut items = Vec::new();
        loop {
            self.skip(b" ");
            if self.peek()? == b')' {
                self.at += 1;
                return Some(Content::Inner(items, self.parameters()?));
            }
            items.push(self.item()?);
            if !matches!(self.peek()?, b' ' | b')') {
                return None;
            }
        }
    }

    fn item(&mut self) -> Option<Item> {
        Some(Item { value: self.bare()?, parameters: self.parameters()? })
    }

    fn parameters(&mut self) -> Option<Parameters> {
        let mut parameters: Parameters = Vec::new();
        while self.peek() == Some(b';') {
            self.at += 1;
            self.skip(b" ");
            let key = self.key()?;
            let value = if self.peek() == Some(b'=') {
                self.at += 1;
                self.bare()?
            } else {
                Bare::Boolean(true)
            };
            if parameters.iter().any(|(other, _)| *other == key) {
                return None;
            }
            parameters.push((key, value));
        }
        Some(parameters)
    }

    fn key(&mut self) -> Option<String> {
        let first = self.peek()?;
        let inside =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-' | b'.' | b'*');
        (first.is_ascii_lowercase() || first == b'*').then(|| self.run(inside).to_owned())
    }

    fn bare(&mut self) -> Option<Bare> {
        match self.peek()? {
            b'-' | b'0'..=b'9' => self.integer(),
            b'"' => self.string(),
            b':' => self.bytes(),
            b'?' => self.boolean(),
            b'*' | b'A'..=b'Z' | b'a'..=b'z' => {
                let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte);
                Some(Bare::Token(self.run(inside).to_owned()))
            }
            _ => None,
        }
    }

    fn integer(&mut self) -> Option<Bare> {
        let negative = self.peek() == Some(b'-');
        self.at += usize::from(negative);
        let digits = self.run(|byte| byte.is_ascii_digit());
        if !(1..=15).contains(&digits.len()) || self.peek() == Some(b'.') {
            return None;
        }
        let number: i64 = digits.parse().ok()?;
        Some(Bare::Integer(if negative { -number } else { number }))
    }

    fn string(&mut self) -> Option<Bare> {
        self.take(b'"')?;
        let mut text = String::new();
        loop {
            match self.next()? {
                b'"' => return Some(Bare::String(text)),
                b'\\' => match self.next()? {
                    escaped @ (b'"' | b'\\') => text.push(char::from(escaped)),
                    _ => return None,
                },
                plain @ b' '..=b'~' => text.push(char::from(plain)),
                _ => return None,
            }
        }
    }

    fn bytes(&mut self) -> Option<Bare> {
        self.take(b':')?;
        let encoded = self.run(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='));
        self.take(b':')?;
        STANDARD.decode(encoded).ok().map(Bare::Bytes)
    }

    fn boolean(&mut self) -> Option<Bare> {
        self.take(b'?')?;
        match self.next()? {
            b'0' => Some(Bare::Boolean(false)),
            b'1' => Some(Bare::Boolean(true)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
