//! A JSON object of somebody else's, read member by member.

use std::borrow::Cow;

use crate::message::json::{self, Bounds, Kind, Outline};

/// An object that every parser reads alike: no member stands twice.
pub struct Document<'t> {
    text: &'t [u8],
    outline: Outline,
}

/// A member that is there and is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wrong;

/// Texts in one list.
const LIST: usize = 64;

impl<'t> Document<'t> {
    /// The object of a text with at most `nodes` values and keys.
    pub fn read(text: &'t [u8], nodes: usize) -> Option<Self> {
        let outline = json::scan(text, Bounds { depth: 16, nodes, lone_surrogates: false }).ok()?;
        (outline.root == Kind::Object).then_some(Self { text, outline })
    }

    /// Whether it has a member `name`, whatever it is.
    pub fn has(&self, name: &str) -> bool {
        self.outline.get(self.text, None, name).is_some()
    }

    /// The text of a member; `None` where there is none.
    pub fn text(&self, name: &str) -> Result<Option<Cow<'t, str>>, Wrong> {
        match self.outline.get(self.text, None, name) {
            None => Ok(None),
            Some((_, member)) if member.kind == Kind::String => {
                Ok(Some(json::text_of(self.text.get(member.value.clone()).unwrap_or_default())))
            }
            Some(_) => Err(Wrong),
        }
    }

    /// The texts of a list; of a text alone, that one.
    pub fn texts(&self, name: &str) -> Result<Option<Vec<Cow<'t, str>>>, Wrong> {
        let Some((index, member)) = self.outline.get(self.text, None, name) else { return Ok(None) };
        if member.kind == Kind::String {
            return Ok(self.text(name)?.map(|text| vec![text]));
        }
        let elements = self.outline.children(Some(index));
        if member.kind != Kind::Array || self.outline.children(Some(index)).count() > LIST {
            return Err(Wrong);
        }
        let text = |element: &json::Member| match element.kind {
            Kind::String => Ok(json::text_of(self.text.get(element.value.clone()).unwrap_or_default())),
            _ => Err(Wrong),
        };
        elements.map(|(_, element)| text(element)).collect::<Result<_, _>>().map(Some)
    }

    /// Whole seconds of a `NumericDate` (RFC 7519 section 2), which may have a fraction.
    pub fn seconds(&self, name: &str) -> Result<Option<u64>, Wrong> {
        let Some((_, member)) = self.outline.get(self.text, None, name) else { return Ok(None) };
        let text = self.text.get(member.value.clone()).and_then(|text| std::str::from_utf8(text).ok()).ok_or(Wrong)?;
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !matches!(member.kind, Kind::Integer | Kind::Number) || !digits(whole) || !digits(fraction) {
            return Err(Wrong);
        }
        whole.parse().ok().filter(|seconds| *seconds <= LAST_SECOND).map(Some).ok_or(Wrong)
    }

    /// A yes or no.
    pub fn truth(&self, name: &str) -> Result<Option<bool>, Wrong> {
        match self.outline.get(self.text, None, name) {
            None => Ok(None),
            Some((_, member)) if member.kind == Kind::Bool => {
                Ok(Some(self.text.get(member.value.clone()) == Some(b"true".as_slice())))
            }
            Some(_) => Err(Wrong),
        }
    }

    /// The objects of a list, each as its bytes.
    pub fn objects(&self, name: &str) -> Result<Vec<&'t [u8]>, Wrong> {
        let (index, member) = self.outline.get(self.text, None, name).ok_or(Wrong)?;
        if member.kind != Kind::Array {
            return Err(Wrong);
        }
        let bytes = |element: &json::Member| match element.kind {
            Kind::Object => self.text.get(element.value.clone()).ok_or(Wrong),
            _ => Err(Wrong),
        };
        self.outline.children(Some(index)).map(|(_, element)| bytes(element)).collect()
    }
}

/// The end of the year 9999: beyond it nobody means a time.
const LAST_SECOND: u64 = 253_402_300_799;
