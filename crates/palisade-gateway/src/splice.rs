//! Putting other bytes in a few places of a message. Everything else stays byte for byte as it was.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

/// `bytes` with some places replaced; places never overlap.
pub(crate) fn replace<W: AsRef<[u8]>>(bytes: &Bytes, mut places: Vec<(Range<usize>, W)>) -> Bytes {
    if places.is_empty() {
        return bytes.clone();
    }
    places.sort_by_key(|(span, _)| span.start);
    let mut out = BytesMut::with_capacity(bytes.len() + 32);
    let mut at = 0;
    for (span, with) in places {
        out.extend_from_slice(bytes.get(at..span.start).unwrap_or_default());
        out.extend_from_slice(with.as_ref());
        at = span.end;
    }
    out.extend_from_slice(bytes.get(at..).unwrap_or_default());
    out.freeze()
}

/// A text as it is written in JSON.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::{quoted, replace};
    use bytes::Bytes;

    /// A3: only the named places of a message change.
    #[test]
    fn places_are_replaced_in_order() {
        let bytes = Bytes::from_static(b"{\"id\": \"a\", \"t\": 7 }");
        let places = vec![(17..18, b"22".as_slice()), (7..10, b"1".as_slice())];
        assert_eq!(replace(&bytes, places), "{\"id\": 1, \"t\": 22 }");
        assert_eq!(replace::<&[u8]>(&bytes, vec![]), bytes);
        assert_eq!(quoted("a\"\n"), r#""a\"\n""#);
    }
}
