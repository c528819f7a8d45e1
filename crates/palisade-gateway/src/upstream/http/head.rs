//! What an upstream's answer says of itself before its body.

use std::time::Duration;

use http::StatusCode;
use palisade_guard::framing::answer::{self, Broken, Framing};
use palisade_guard::refusal::Refusal;

use super::super::invalid;

/// The head of an answer, as far as a proxy of MCP needs it.
pub(super) struct Head {
    pub(super) status: StatusCode,
    media: Media,
    /// The body is encoded although identity was asked for.
    is_encoded: bool,
    /// `Mcp-Session-Id`, if it is visible ASCII.
    pub(super) session: Option<Box<str>>,
    /// `WWW-Authenticate`: one text, as lists of challenges may be split over several fields.
    pub(super) challenge: Option<String>,
    pub(super) framing: Framing,
    /// Whether the connection may carry another request.
    pub(super) reusable: bool,
    /// How long it is kept for that.
    pub(super) kept_for: Duration,
}

/// For how long a connection is kept whose upstream does not say: servers in wide use close theirs after five seconds, and
/// a request that meets the close is lost.
pub(super) const KEPT_FOR: Duration = Duration::from_secs(4);
/// The same where it says so, at most; it is let go of a second early.
const KEPT_AT_MOST: u64 = 600;

/// What a body claims to be.
#[derive(Clone, Copy)]
pub(super) enum Media {
    Json,
    Events,
    Other,
}

impl Head {
    /// The head that `bytes` begin with and how long it is, if all of it has come.
    pub(super) fn read(bytes: &[u8]) -> Result<Option<(Self, usize)>, Broken> {
        let (mut media, mut is_encoded, mut session, mut challenge) = (None, false, None, None::<String>);
        let mut kept_for = KEPT_FOR;
        let head = answer::read(bytes, |name, value| match name.len() {
            12 if name.eq_ignore_ascii_case("content-type") => {
                media.get_or_insert_with(|| Media::of(value));
            }
            16 if name.eq_ignore_ascii_case("content-encoding") => is_encoded |= value != b"identity",
            16 if name.eq_ignore_ascii_case("www-authenticate") => {
                let value = String::from_utf8_lossy(value);
                challenge = Some(challenge.take().map_or_else(|| value.to_string(), |before| before + ", " + &value));
            }
            14 if name.eq_ignore_ascii_case("mcp-session-id") => {
                session.get_or_insert_with(|| visible(value));
            }
            10 if name.eq_ignore_ascii_case("keep-alive") => kept_for = timeout(value).unwrap_or(kept_for),
            _ => {}
        })?;
        let Some(answer::Head { status, length, framing, reusable }) = head else { return Ok(None) };
        let status = StatusCode::from_u16(status).map_err(|_| Broken("a status that makes no sense"))?;
        let (media, session) = (media.unwrap_or(Media::Other), session.flatten());
        Ok(Some((Self { status, media, is_encoded, session, challenge, framing, reusable, kept_for }, length)))
    }

    /// What the body claims to be. An encoded one is refused: what is not read is not passed on.
    pub(super) fn media(&self) -> Result<Media, Refusal> {
        if self.is_encoded {
            return Err(invalid("the upstream encoded its answer although identity was asked for"));
        }
        Ok(self.media)
    }
}

impl Media {
    fn of(value: &[u8]) -> Self {
        let essence = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        match essence {
            _ if essence.eq_ignore_ascii_case(b"application/json") => Self::Json,
            _ if essence.eq_ignore_ascii_case(b"text/event-stream") => Self::Events,
            _ => Self::Other,
        }
    }
}

/// `timeout=SECONDS` of a `Keep-Alive` field (RFC 2068 section 19.7.1.1; Node's servers send it), a second less.
fn timeout(value: &[u8]) -> Option<Duration> {
    let mut parameters = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let seconds = parameters.find_map(|parameter| parameter.strip_prefix(b"timeout="))?;
    let seconds: u64 = std::str::from_utf8(seconds).ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds.saturating_sub(1).min(KEPT_AT_MOST)))
}

fn visible(value: &[u8]) -> Option<Box<str>> {
    let fits = !value.is_empty() && value.iter().all(u8::is_ascii_graphic);
    std::str::from_utf8(value).ok().filter(|_| fits).map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::Head;

    fn head(fields: &str) -> Head {
        let head = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
        Head::read(head.as_bytes()).ok().flatten().unwrap().0
    }

    /// A3: a connection is let go of before its upstream closes it.
    #[test]
    fn connections_are_let_go_of_in_time() {
        let seconds = |fields| head(fields).kept_for.as_secs();
        assert_eq!((seconds(""), seconds("Keep-Alive: timeout=5\r\n")), (4, 4));
        assert_eq!((seconds("Keep-Alive: max=9, timeout=75\r\n"), seconds("Keep-Alive: timeout=1\r\n")), (74, 0));
        assert_eq!((seconds("Keep-Alive: timeout=99999\r\n"), seconds("Keep-Alive: timeout=x\r\n")), (600, 4));
    }

    /// A1: of two session ids the first counts, and one that is not visible ASCII is none.
    #[test]
    fn a_session_is_named_once() {
        assert_eq!(head("Mcp-Session-Id: a\r\nMcp-Session-Id: b\r\n").session.as_deref(), Some("a"));
        assert_eq!(head("Mcp-Session-Id: a b\r\n").session, None);
    }
}
