//! `palisade sign METHOD URL`: the headers that sign a request, one on each line, as `curl -H @-` reads them.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use palisade_guard::sign::{DEFAULT_KEY_ID, IDEMPOTENCY_KEY, Occasion, Request, Scheme, Signer, Unfit};

use super::private_file;
use crate::cli::{Sign, SignScheme};
use crate::say;

/// The largest body that is signed.
const LARGEST: u64 = 64 * 1024 * 1024;

/// Signs.
pub(crate) fn sign(arguments: &Sign) -> ExitCode {
    match signed(arguments) {
        Ok(headers) => {
            for (name, value) in &headers {
                say::out(format_args!("{name}: {}", value.to_str().unwrap_or_default()));
            }
            ExitCode::SUCCESS
        }
        Err(fault) => {
            say::err(format_args!("fault: {fault}"));
            ExitCode::from(say::EX_CONFIG)
        }
    }
}

/// All headers to send beside `Host`.
fn signed(arguments: &Sign) -> Result<HeaderMap, String> {
    let signer = signer(arguments.key_file.as_deref(), arguments.key_id.as_deref(), arguments.scheme.into())?;
    let body = arguments.body.as_deref().map_or(Ok(Vec::new()), body)?;
    let url = arguments.url.parse::<Uri>().map_err(|error| format!("{}: {error}", arguments.url))?;
    let mut headers = HeaderMap::new();
    if !body.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    let idempotency_key = arguments
        .idempotency_key
        .clone()
        .or_else(|| (!body.is_empty() && arguments.scheme != SignScheme::Compat).then(palisade_gateway::new_key));
    if let Some(key) = idempotency_key {
        let value = HeaderValue::from_str(&key).map_err(|_| "the idempotency key is no header value")?;
        headers.insert(&IDEMPOTENCY_KEY, value);
    }
    for line in &arguments.headers {
        let (name, value) = header(line).ok_or_else(|| format!("{line:?} is not NAME: VALUE"))?;
        headers.insert(name, value);
    }
    let now_s = palisade_gateway::now().unix_ms / 1000;
    let nonce = palisade_gateway::new_key();
    let target = url.path_and_query().map_or("/", |target| target.as_str());
    let authority = authority(&url).ok_or_else(|| format!("{}: write http://HOST/PATH or https://", arguments.url))?;
    let method = arguments.method.to_ascii_uppercase();
    let request = Request { method: &method, authority, target, headers: &headers };
    let added = signer.sign(&request, &body, Occasion { now_s, nonce: &nonce }).map_err(words)?;
    headers.extend(added);
    Ok(headers)
}

/// A signer with the secret of a file, or of `PALISADE_SECRET`.
pub(super) fn signer(file: Option<&Path>, key_id: Option<&str>, scheme: Scheme) -> Result<Signer, String> {
    let file = file.ok_or("no secret: name a file with --key-file")?;
    let named = private_file::read(file)?;
    let key_id = key_id.map(str::to_owned).or(named.name).unwrap_or_else(|| DEFAULT_KEY_ID.to_owned());
    Signer::new(scheme, &key_id, named.secret.as_bytes()).map_err(words)
}

/// `Host` as clients send it: without the port that the scheme has anyway.
pub(super) fn authority(url: &Uri) -> Option<&str> {
    let authority = url.authority()?.as_str();
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match url.scheme_str()? {
        "http" => Some(authority.strip_suffix(":80").unwrap_or(authority)),
        "https" => Some(authority.strip_suffix(":443").unwrap_or(authority)),
        _ => None,
    }
}

fn header(line: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(':')?;
    Some((name.trim().parse().ok()?, value.trim().parse().ok()?))
}

fn body(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().take(LARGEST).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(LARGEST).read_to_end(&mut bytes))
    };
    read.map(|_| bytes).map_err(|error| format!("{} cannot be read ({error})", path.display()))
}

fn words(unfit: Unfit) -> String {
    match unfit {
        Unfit::Secret => "the secret has fewer than 32 bytes: make one with `palisade keys generate`".to_owned(),
        Unfit::KeyId => "the key id is not 1 to 64 of A-Z a-z 0-9 . _ -".to_owned(),
        Unfit::Request(fault) => fault.to_string(),
    }
}
