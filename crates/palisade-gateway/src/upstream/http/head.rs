//! What an upstream's answer says of itself before its body.

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
}

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
        let head = answer::read(bytes, |name, value| match name.len() {
            12 if name.eq_ignore_ascii_case("content-type") => {
                media.get_or_insert_with(|| Media::of(value));
            }
            16 if name.eq_ignore_ascii_case("content-encoding") => is_encoded |= value != b"identity",
            16 if name.eq_ignore_ascii_case("www-authenticate") => {
                let value = String::from_utf8_lossy(value);
                challenge = Some(challenge.take().map_or_else(|| value.to_string(), |before| before + ", " + &value));
            }
            14 if name.eq_ignore_ascii_case("mcp-session-id") => session = visible(value),
            _ => {}
        })?;
        let Some(answer::Head { status, length, framing, reusable }) = head else { return Ok(None) };
        let status = StatusCode::from_u16(status).map_err(|_| Broken("a status that makes no sense"))?;
        let media = media.unwrap_or(Media::Other);
        Ok(Some((Self { status, media, is_encoded, session, challenge, framing, reusable }, length)))
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

fn visible(value: &[u8]) -> Option<Box<str>> {
    let fits = !value.is_empty() && value.iter().all(u8::is_ascii_graphic);
    std::str::from_utf8(value).ok().filter(|_| fits).map(Into::into)
}
