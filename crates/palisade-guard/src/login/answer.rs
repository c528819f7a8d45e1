//! The answer of an authorization server, as a browser brings it. Anybody can call our address, so anybody's words come
//! here: a page that the person has open, another program, an authorization server that was not asked.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// What an answer must bear.
#[derive(Clone, Copy)]
pub struct Expected<'a> {
    /// What we sent along.
    pub state: &'a str,
    /// Whom we asked.
    pub issuer: &'a str,
    /// Whether it said that its answers name it (RFC 9207).
    pub says_who: bool,
}

/// What an answer is.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// The code that is worth a token.
    Code(Zeroizing<String>),
    /// The login did not succeed: the code of the error.
    Refused(String),
    /// Another authorization server than the one that was asked wants to be answered (RFC 9700, mix-up).
    Mixed,
    /// None of our login's: the login goes on.
    Stranger,
}

/// The longest query.
const LONGEST: usize = 8 * 1024;

/// Reads the query of a call of our address.
pub fn answer(query: &str, expected: Expected<'_>) -> Answer {
    let fields = (query.len() <= LONGEST).then(|| fields(query)).flatten().unwrap_or_default();
    let one = |name: &str| {
        let mut values = fields.iter().filter(|(given, _)| given == name).map(|(_, value)| value.as_str());
        values.next().filter(|_| values.next().is_none())
    };
    let is_ours = one("state").is_some_and(|state| bool::from(state.as_bytes().ct_eq(expected.state.as_bytes())));
    if !is_ours {
        return Answer::Stranger;
    }
    // Letter by letter, and before anything else is believed: of errors too.
    let named = fields.iter().any(|(name, _)| name == "iss");
    if (named || expected.says_who) && one("iss") != Some(expected.issuer) {
        return Answer::Mixed;
    }
    match (one("code"), one("error")) {
        (Some(code), None) if !code.is_empty() => Answer::Code(Zeroizing::new(code.to_owned())),
        (_, error) => Answer::Refused(super::tokens::word(error.unwrap_or("no_code"))),
    }
}

/// The fields of a query; `None` if one cannot be read.
fn fields(query: &str) -> Option<Vec<(String, String)>> {
    let field = |field: &str| {
        let (name, value) = field.split_once('=').unwrap_or((field, ""));
        Some((decoded(name)?, decoded(value)?))
    };
    query.split('&').filter(|text| !text.is_empty()).map(field).collect()
}

fn decoded(text: &str) -> Option<String> {
    let (mut bytes, mut out) = (text.bytes(), Vec::with_capacity(text.len()));
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let [high, low] = [bytes.next()?, bytes.next()?].map(|digit| char::from(digit).to_digit(16));
                u8::try_from(high? << 4 | low?).ok()?
            }
            b'+' => b' ',
            other => other,
        });
    }
    String::from_utf8(out).ok()
}
