//! The head of an HTTP/1.1 answer, and where its body ends (RFC 9112), read strictly: an upstream that two readers could
//! understand in two ways is not understood.
//!
//! 1. The body behind a head is framed in one way. A transfer coding other than `chunked`, or any in HTTP/1.0, two lengths, a
//!    length that is not digits: refused. A length beside chunks is overruled by them, and the connection is not used again
//!    (section 6.3: it may be an attempt to smuggle a second answer); nor after a body that its status forbids.
//! 2. Informational heads (1xx) are somebody else's to pass over; a switch of protocols is never asked for, so it is
//!    refused.

use std::mem::MaybeUninit;

use httparse::{ParserConfig, Response, Status};

use super::chunks::{self, Chunks};

/// The head of an answer.
#[derive(Debug)]
pub struct Head {
    /// 100 to 999, but not 101.
    pub status: u16,
    /// Its bytes, the empty line with them.
    pub length: usize,
    /// Where the body ends.
    pub framing: Framing,
    /// Whether the connection may carry another request afterwards.
    pub reusable: bool,
}

/// Where a body ends, and how far it was read.
#[derive(Debug)]
pub enum Framing {
    /// After so many more bytes.
    Length(u64),
    /// With its last chunk.
    Chunks(Chunks),
    /// With the connection.
    Connection,
}

/// It is not framed as the standard says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken(pub &'static str);

/// Fields of one head.
const FIELDS: usize = 64;

/// Reads the head that `bytes` begin with, and hands each of its fields out; `None` where more must come.
pub fn read<'b>(bytes: &'b [u8], mut field: impl FnMut(&'b str, &'b [u8])) -> Result<Option<Head>, Broken> {
    // An empty line before the head is for servers to pass over (section 2.2), and could be repeated without an end.
    if bytes.first().is_some_and(|first| *first != b'H') {
        return Err(Broken("the head is not one of HTTP/1.1"));
    }
    let mut space = [const { MaybeUninit::uninit() }; FIELDS];
    let mut answer = Response::new(&mut []);
    let parsed = ParserConfig::default().parse_response_with_uninit_headers(&mut answer, bytes, &mut space);
    let length = match parsed {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Broken("more than 64 header fields")),
        Err(_) => return Err(Broken("the head is not one of HTTP/1.1")),
    };
    let status =
        answer.code.filter(|code| *code >= 100 && *code != 101).ok_or(Broken("a status that makes no sense"))?;
    let mut seen = Seen { is_old: answer.version == Some(0), ..Seen::default() };
    for each in answer.headers.iter() {
        seen.note(each.name, each.value)?;
        field(each.name, each.value);
    }
    let (framing, reusable) = seen.framing(status)?;
    Ok(Some(Head { status, length, framing, reusable }))
}

/// What the fields say of the body.
#[derive(Default)]
struct Seen {
    /// It is of HTTP/1.0, where connections end unless it is said otherwise.
    is_old: bool,
    length: Option<u64>,
    chunked: bool,
    /// What it says of the connection: that it ends, whatever else is said, or that it goes on.
    goes_on: Option<bool>,
}

impl Seen {
    fn note(&mut self, name: &str, value: &[u8]) -> Result<(), Broken> {
        match name.len() {
            10 if name.eq_ignore_ascii_case("connection") => {
                for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                    if option.eq_ignore_ascii_case(b"close") {
                        self.goes_on = Some(false);
                    } else if option.eq_ignore_ascii_case(b"keep-alive") {
                        self.goes_on.get_or_insert(true);
                    }
                }
            }
            14 if name.eq_ignore_ascii_case("content-length") => {
                let length = decimal(value).ok_or(Broken("a content-length that is no number"))?;
                if self.length.replace(length).is_some_and(|before| before != length) {
                    return Err(Broken("two lengths"));
                }
            }
            17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                if self.chunked || !value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                    return Err(Broken("a transfer coding that was not asked for"));
                }
                self.chunked = true;
            }
            _ => {}
        }
        Ok(())
    }

    /// RFC 9112 section 6.3.
    fn framing(&self, status: u16) -> Result<(Framing, bool), Broken> {
        let reusable = self.goes_on.unwrap_or(!self.is_old);
        Ok(match self.length {
            _ if self.chunked && self.is_old => return Err(Broken("a transfer coding in HTTP/1.0")),
            length if matches!(status, 100..=199 | 204 | 304) => {
                (Framing::Length(0), reusable && !self.chunked && length.unwrap_or_default() == 0)
            }
            length if self.chunked => (Framing::Chunks(Chunks::default()), reusable && length.is_none()),
            Some(length) => (Framing::Length(length), reusable),
            None => (Framing::Connection, false),
        })
    }
}

/// Digits alone: no sign, no space, no list.
fn decimal(value: &[u8]) -> Option<u64> {
    let digits = (1..=19).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value).ok().filter(|_| digits)?.parse().ok()
}

impl Framing {
    /// Takes the next data off the front of `input`; `None` when `input` is used up or the body has ended.
    pub fn next<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<&'i [u8]>, Broken> {
        match self {
            Self::Chunks(chunks) => chunks.next(input).map_err(|chunks::Broken| Broken("its chunks are broken")),
            Self::Length(left) => {
                let most = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                let Some((data, rest)) = input.split_at_checked(most) else { return Ok(None) };
                *left = left.saturating_sub(u64::try_from(most).unwrap_or(u64::MAX));
                *input = rest;
                Ok(Some(data).filter(|data| !data.is_empty()))
            }
            Self::Connection => Ok(Some(std::mem::take(input)).filter(|data| !data.is_empty())),
        }
    }

    /// Whether the body has ended, whatever may follow on the connection.
    pub const fn is_done(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunks(chunks) => chunks.is_done(),
            Self::Connection => false,
        }
    }

    /// Whether the body is whole if the connection ends here.
    pub const fn may_end(&self) -> bool {
        matches!(self, Self::Connection) || self.is_done()
    }
}

#[cfg(test)]
mod tests {
    use super::{Broken, Framing, Head, read};
    use proptest::prelude::*;

    fn head(fields: &str) -> Result<Head, Broken> {
        let head = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
        read(head.as_bytes(), |_, _| {}).map(|head| head.expect("a whole head"))
    }

    /// How the body ends, and whether the connection goes on.
    fn told(fields: &str) -> Result<(String, bool), &'static str> {
        head(fields).map(|head| (format!("{:?}", head.framing), head.reusable)).map_err(|Broken(why)| why)
    }

    /// A1, R5: one head, one framing; what could be read in two ways is refused.
    #[test]
    fn a_body_is_framed_in_one_way() {
        let chunks = format!("{:?}", Framing::Chunks(super::Chunks::default()));
        let sound = [
            ("Content-Length: 12\r\n", "Length(12)", true),
            ("content-length: 12\r\nContent-Length: 12\r\n", "Length(12)", true),
            ("Content-Length: 0\r\nConnection: keep-alive, Close\r\n", "Length(0)", false),
            ("Content-Length: 0\r\nConnection: close\r\nConnection: keep-alive\r\n", "Length(0)", false),
            ("Content-Length: 0\r\nConnection: keep-alive\r\nConnection: close\r\n", "Length(0)", false),
            ("Transfer-Encoding: Chunked\r\n", &chunks, true),
            ("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", &chunks, false),
            ("Content-Type: text/event-stream\r\n", "Connection", false),
        ];
        for (fields, framing, reusable) in sound {
            assert_eq!(told(fields), Ok((framing.to_owned(), reusable)), "{fields:?}");
        }
        for broken in [
            "Content-Length: 1\r\nContent-Length: 2\r\n",
            "Content-Length: 1, 1\r\n",
            "Content-Length: +1\r\n",
            "Content-Length: -1\r\n",
            "Content-Length: 0x1\r\n",
            "Content-Length:\r\n",
            "Content-Length: 99999999999999999999\r\n",
            "Content-Length: 1 2\r\n",
            "Transfer-Encoding: gzip\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked, identity\r\n",
            "Content-Length : 1\r\n",
            "Content-Length: 1\r\n folded: 2\r\n",
            "a\0: 1\r\n",
            &"a: b\r\n".repeat(65),
        ] {
            assert!(told(broken).is_err(), "{broken:?} is {:?}", told(broken));
        }
    }

    /// A1: some statuses have no body, and an answer of HTTP/1.0 ends with its connection unless it says otherwise.
    #[test]
    fn status_and_version_count() {
        let of = |head: &str| {
            let head = read(head.as_bytes(), |_, _| {}).map(|head| head.expect("a whole head"));
            head.map(|head| (head.status, format!("{:?}", head.framing), head.reusable)).map_err(|Broken(why)| why)
        };
        let no_body = |status, reusable| Ok((status, "Length(0)".to_owned(), reusable));
        assert_eq!(of("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"), no_body(204, true));
        assert_eq!(of("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"), no_body(204, false));
        assert_eq!(of("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n"), no_body(204, false));
        assert_eq!(of("HTTP/1.1 304 Not Modified\r\n\r\n"), no_body(304, true));
        assert_eq!(of("HTTP/1.1 100 Continue\r\n\r\n"), no_body(100, true));
        assert_eq!(of("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"), no_body(200, false));
        assert_eq!(of("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: Keep-Alive\r\n\r\n"), no_body(200, true));
        for strange in [
            "HTTP/1.1 101 Switching\r\n\r\n",
            "HTTP/1.1 099 No\r\n\r\n",
            "HTTP/2 200 OK\r\n\r\n",
            "ICY 200\r\n",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n",
            "\r\nHTTP/1.1 200 OK\r\n\r\n",
        ] {
            assert!(of(strange).is_err(), "{strange:?}");
        }
        assert!(read(b"HTTP/1.1 200 OK\r\nContent-Le", |_, _| {}).is_ok_and(|head| head.is_none()));
    }

    /// A1: every field is handed out, and what is behind the head stays where it is.
    #[test]
    fn fields_are_handed_out() {
        let (mut seen, bytes) = (Vec::new(), b"HTTP/1.1 200 OK\r\nA: 1\r\nMcp-Session-Id: x y \r\n\r\nbody");
        let head = read(bytes, |name, value| seen.push((name, value))).unwrap().unwrap();
        assert_eq!(seen, [("A", &b"1"[..]), ("Mcp-Session-Id", b"x y")]);
        assert_eq!(&bytes[head.length..], b"body");
    }

    proptest! {
        /// A1: of a length, so many bytes are the body, however they are cut, and no more.
        #[test]
        fn a_length_is_kept(body in prop::collection::vec(any::<u8>(), 0..200), cut in 1usize..40, more in 0usize..20) {
            let mut framing = Framing::Length(u64::try_from(body.len()).unwrap());
            let (bytes, mut data, mut left) = ([&body[..], &vec![b'x'; more]].concat(), Vec::new(), 0);
            for mut piece in bytes.chunks(cut) {
                while let Some(some) = framing.next(&mut piece).unwrap() {
                    data.extend_from_slice(some);
                }
                left += piece.len();
            }
            prop_assert_eq!((data, left, framing.is_done()), (body, more, true));
        }

        /// R5: any bytes are a head, the beginning of one, or broken; a head is no longer than what came.
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(prop::sample::select(&b"HTP/1. 20\r\n:a\xE9,"[..]), 0..80)) {
            let bytes = [b"HTTP/1.1 200 OK\r\n".as_slice(), &bytes].concat();
            if let Ok(Some(head)) = read(&bytes, |_, _| {}) {
                prop_assert!(head.length <= bytes.len());
            }
        }
    }
}
