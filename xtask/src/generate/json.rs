//! Reading our own JSON Schema with the guard's own reader: this program needs no other.

use palisade_guard::message::json::{Bounds, Kind, scan, text_of};

/// One value of a document.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value<'t>(&'t str);

impl<'t> Value<'t> {
    /// A whole document, or a part of one.
    pub(super) const fn new(text: &'t str) -> Self {
        Self(text)
    }

    /// Members of an object with their names, or elements of an array.
    pub(super) fn members(self) -> Vec<(String, Self)> {
        let bounds = Bounds { depth: 128, nodes: 1_000_000, lone_surrogates: false };
        let text = self.0.as_bytes();
        let Ok(outline) = scan(text, bounds) else { return Vec::new() };
        let members = outline.children(None).filter_map(|(_, member)| {
            let key = String::from_utf8_lossy(outline.key(text, member)).into_owned();
            Some((key, Self(self.0.get(member.value.clone())?)))
        });
        members.collect()
    }

    /// The member of this name.
    pub(super) fn get(self, name: &str) -> Option<Self> {
        self.members().into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The text of a string.
    pub(super) fn text(self) -> Option<String> {
        (self.kind() == Some(Kind::String)).then(|| text_of(self.0.as_bytes()).into_owned())
    }

    /// The value as it is written, on one line.
    pub(super) fn written(self) -> String {
        self.0.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn kind(self) -> Option<Kind> {
        let bounds = Bounds { depth: 128, nodes: 1_000_000, lone_surrogates: false };
        scan(self.0.as_bytes(), bounds).ok().map(|outline| outline.root)
    }
}

#[cfg(test)]
mod tests {
    use super::Value;

    #[test]
    fn a_document_is_walked() {
        let document = Value::new("{\"a\": {\"b\": \"x\\ny\"}, \"c\": [1,\n 2]}");
        assert_eq!(document.get("a").and_then(|a| a.get("b")).and_then(Value::text).as_deref(), Some("x\ny"));
        assert_eq!(document.get("c").map(Value::written).as_deref(), Some("[1, 2]"));
        assert_eq!(document.get("c").map(|c| c.members().len()), Some(2));
        assert!(document.get("d").is_none() && document.text().is_none());
    }
}
