//! Answers of HTTP/1.1: the same head and body however they are cut, and never more of a body than bytes.
//!
//! The first byte of the input is the size of the pieces that the rest arrives in.

use palisade_guard::framing::answer::{Broken, Framing, read};

use super::pieces::{Read, whole_and_cut};

/// Panics where something does not hold.
pub fn hold(input: &[u8]) {
    let Some((stream, whole, _)) = whole_and_cut(input, body) else { return };
    assert!(whole.len() < stream.len() || stream.is_empty(), "data out of nothing");
}

/// The bytes of the body, and whether they are one so far.
fn body(stream: &[u8], size: usize) -> Read<u8, Broken> {
    let (mut came, mut framing, mut data) = (Vec::new(), None, Vec::new());
    for piece in stream.chunks(size) {
        came.extend_from_slice(piece);
        if framing.is_none() {
            match read(&came, |name, value| assert!(!name.contains([':', '\n']) && !value.contains(&b'\n'))) {
                Ok(Some(head)) => {
                    assert!(head.length <= came.len() && head.status != 101);
                    assert!(head.reusable <= !matches!(head.framing, Framing::Connection), "nobody could tell its end");
                    came.drain(..head.length);
                    framing = Some(head.framing);
                }
                Ok(None) => continue,
                Err(broken) => return (data, Err(broken)),
            }
        }
        let Some(framing) = &mut framing else { continue };
        let mut bytes = came.as_slice();
        loop {
            match framing.next(&mut bytes) {
                Ok(Some(some)) => data.extend_from_slice(some),
                Ok(None) => break,
                Err(broken) => return (data, Err(broken)),
            }
        }
        assert!(bytes.is_empty() || framing.is_done(), "bytes are left, and the body is not at its end");
        if framing.is_done() {
            break;
        }
        came.clear();
    }
    (data, Ok(()))
}
