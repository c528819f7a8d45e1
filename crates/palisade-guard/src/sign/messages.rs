//! HTTP Message Signatures (RFC 9421) with Content-Digest (RFC 9530), in a strict profile.
//!
//! 1. One signature, in one `Signature-Input` and one `Signature`, under any one label.
//! 2. Its parameters are `created`, `nonce`, `keyid`, `alg="hmac-sha256"` and `tag="palisade"`; `expires` may stand beside
//!    them, and nothing else.
//! 3. It covers `@method`, `@authority`, `@path` and `@query`; `content-digest` wherever there is a body, which says
//!    `sha-256` and nothing else; and of the headers `content-type`, `idempotency-key`, `x-api-version`, `last-event-id`
//!    and every `mcp-*` each one that is sent. Other headers may be covered.
//! 4. Components have no parameters and stand once.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName};

use super::fields::{Bare, Content, Item, Parameters, dictionary};
use super::parts::{is_protocols, key_id, needed, nonce, single};
use super::{
    CONTENT_DIGEST, Fault, IDEMPOTENCY_KEY, Request, SIGNATURE, SIGNATURE_INPUT, Scheme, Statement, X_API_VERSION,
};

/// What every signature covers.
const DERIVED: [&str; 4] = ["@method", "@authority", "@path", "@query"];
/// `alg`
const ALGORITHM: &str = "hmac-sha256";
/// `tag`
const TAG: &str = "palisade";
/// The label that we write.
const LABEL: &str = "palisade";

/// What a request says in these headers.
pub(super) fn read(request: &Request<'_>) -> Result<Statement, Fault> {
    let headers = request.headers;
    let input = needed(headers, &SIGNATURE_INPUT, "Signature-Input is missing")?;
    let input = dictionary(input).ok_or(Fault::Malformed("Signature-Input is no dictionary"))?;
    let signature = needed(headers, &SIGNATURE, "Signature is missing")?;
    let signature = dictionary(signature).ok_or(Fault::Malformed("Signature is no dictionary"))?;
    let ([input], [signature]) = (input.as_slice(), signature.as_slice()) else {
        return Err(Fault::Malformed("there is not exactly one signature"));
    };
    let (Content::Inner(items, parameters), Content::Item(Item { value: Bare::Bytes(mac), parameters: none })) =
        (&input.content, &signature.content)
    else {
        return Err(Fault::Malformed("Signature-Input has no list, or Signature no bytes"));
    };
    let mac = mac.as_slice().try_into().map_err(|_| Fault::Malformed("the signature has not 32 bytes"))?;
    if input.key != signature.key || !none.is_empty() {
        return Err(Fault::Malformed("Signature-Input and Signature are not of one label"));
    }
    let covered = covered(items)?;
    must_cover(headers, &covered)?;
    let said = said(parameters)?;
    Ok(Statement {
        scheme: Scheme::Messages,
        key_id: key_id(said.key_id)?.into(),
        timestamp: said.created,
        expires: said.expires,
        nonce: Some(nonce(said.nonce)?.into()),
        base: base(request, &covered, input.raw)?,
        mac,
        digest: if covered.contains(&"content-digest") { Some(digest(headers)?) } else { None },
    })
}

/// The names of the components.
fn covered(items: &[Item]) -> Result<Vec<&str>, Fault> {
    let mut names = Vec::with_capacity(items.len());
    for item in items {
        match &item.value {
            Bare::String(name) if item.parameters.is_empty() && !names.contains(&name.as_str()) => {
                names.push(name.as_str());
            }
            _ => return Err(Fault::Malformed("a component of the signature has parameters, or stands twice")),
        }
    }
    Ok(names)
}

/// Everything that could change what the request does.
fn must_cover(headers: &HeaderMap, covered: &[&str]) -> Result<(), Fault> {
    let has = |name: &str| covered.contains(&name);
    let derived = DERIVED.iter().all(|name| has(name));
    if derived && headers.keys().all(|name| !must_be_covered(name) || has(name.as_str())) {
        return Ok(());
    }
    Err(Fault::Malformed("the signature leaves out what it must cover"))
}

/// Whether a header that is sent must be signed.
pub(super) fn must_be_covered(name: &HeaderName) -> bool {
    is_protocols(name)
        || *name == CONTENT_TYPE
        || [&CONTENT_DIGEST, &IDEMPOTENCY_KEY, &X_API_VERSION].into_iter().any(|other| name == other)
}

struct Said<'p> {
    created: u64,
    expires: Option<u64>,
    nonce: &'p str,
    key_id: &'p str,
}

fn said(parameters: &Parameters) -> Result<Said<'_>, Fault> {
    let (mut created, mut expires, mut nonce, mut key_id) = (None, None, None, None);
    let (mut algorithm, mut tag) = (None, None);
    for (name, value) in parameters {
        match (name.as_str(), value) {
            ("created", Bare::Integer(seconds)) => created = ten_digits(*seconds),
            ("expires", Bare::Integer(seconds)) => {
                expires = Some(ten_digits(*seconds).ok_or(Fault::Malformed("expires is not ten digits"))?);
            }
            ("nonce", Bare::String(text)) => nonce = Some(text.as_str()),
            ("keyid", Bare::String(text)) => key_id = Some(text.as_str()),
            ("alg", Bare::String(text)) => algorithm = Some(text.as_str()),
            ("tag", Bare::String(text)) => tag = Some(text.as_str()),
            _ => return Err(Fault::Malformed("a parameter of the signature is not known here")),
        }
    }
    match (created, nonce, key_id, algorithm, tag) {
        (Some(created), Some(nonce), Some(key_id), Some(ALGORITHM), Some(TAG)) => {
            Ok(Said { created, expires, nonce, key_id })
        }
        _ => Err(Fault::Malformed("created, nonce, keyid, alg=\"hmac-sha256\" or tag=\"palisade\" is missing")),
    }
}

fn ten_digits(seconds: i64) -> Option<u64> {
    (1_000_000_000..10_000_000_000).contains(&seconds).then(|| seconds.unsigned_abs())
}

/// The signature base (RFC 9421 section 2.5).
pub fn base(request: &Request<'_>, covered: &[&str], parameters: &str) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::with_capacity(512);
    let (path, query) = request.target.split_once('?').unwrap_or((request.target, ""));
    for name in covered {
        out.push(b'"');
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\": ");
        match *name {
            "@method" => out.extend_from_slice(request.method.as_bytes()),
            "@authority" => out.extend_from_slice(request.signed_authority().as_bytes()),
            "@path" => out.extend_from_slice(path.as_bytes()),
            "@query" => {
                out.push(b'?');
                out.extend_from_slice(query.as_bytes());
            }
            field => out.extend_from_slice(value(request.headers, field)?.as_bytes()),
        }
        out.push(b'\n');
    }
    out.extend_from_slice(b"\"@signature-params\": ");
    out.extend_from_slice(parameters.as_bytes());
    Ok(out)
}

/// A header's one value. The components' own headers cannot be covered by what they hold.
fn value<'h>(headers: &'h HeaderMap, field: &str) -> Result<&'h str, Fault> {
    let unknown = Fault::Malformed("a component of the signature is not in the request");
    let lower = !field.bytes().any(|byte| byte.is_ascii_uppercase());
    let name = HeaderName::from_bytes(field.as_bytes()).ok().filter(|_| lower).ok_or(unknown)?;
    single(headers, &name)?.map(str::trim).ok_or(unknown)
}

/// What `Content-Digest` says.
fn digest(headers: &HeaderMap) -> Result<[u8; 32], Fault> {
    let malformed = Fault::Malformed("Content-Digest is not one sha-256");
    let text = needed(headers, &CONTENT_DIGEST, "Content-Digest is missing")?;
    let members = dictionary(text).ok_or(malformed)?;
    let [member] = members.as_slice() else { return Err(malformed) };
    match &member.content {
        Content::Item(Item { value: Bare::Bytes(bytes), parameters })
            if member.key == "sha-256" && parameters.is_empty() =>
        {
            bytes.as_slice().try_into().map_err(|_| malformed)
        }
        _ => Err(malformed),
    }
}

/// `Content-Digest` of a body.
pub(super) fn digest_text(digest: &[u8; 32]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(digest))
}

/// The components and parameters that we sign, as `Signature-Input` has them behind its label.
pub(super) fn input(headers: &HeaderMap, created: u64, nonce: &str, key_id: &str) -> (Vec<String>, String) {
    let mut names: Vec<&str> = headers.keys().filter(|name| must_be_covered(name)).map(HeaderName::as_str).collect();
    names.sort_unstable();
    let covered: Vec<String> = DERIVED.into_iter().chain(names).map(str::to_owned).collect();
    let list = covered.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(" ");
    let parameters =
        format!("({list});created={created};nonce=\"{nonce}\";keyid=\"{key_id}\";alg=\"{ALGORITHM}\";tag=\"{TAG}\"");
    (covered, parameters)
}

/// `Signature-Input` and `Signature`.
pub(super) fn texts(parameters: &str, mac: &[u8; 32]) -> (String, String) {
    (format!("{LABEL}={parameters}"), format!("{LABEL}=:{}:", STANDARD.encode(mac)))
}

/// The signature base of a request that is signed so; `None` for any other.
pub fn base_of(request: &Request<'_>) -> Option<Vec<u8>> {
    read(request).ok().map(|statement| statement.base)
}
