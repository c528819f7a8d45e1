//! When an issuer's keys are fetched, and from where.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::Full;
use palisade_guard::login::issuer_places;
use palisade_guard::token::{Document, KeySet};
use tokio::sync::watch;
use tokio::time::Instant;

use super::Remote;
use super::get::PATIENCE;
use crate::config::KeySource;

/// What is known of the keys of an issuer.
#[derive(Default)]
pub(super) struct State {
    fetched: Option<Instant>,
    tried: Option<Instant>,
    /// The set as it was published.
    text: Bytes,
    /// Ends when the fetch that is under way does.
    under_way: Option<watch::Receiver<()>>,
    /// Names of keys that were not there, and until when nobody asks for them.
    unknown: HashMap<Box<str>, Instant>,
}

/// Time between two attempts, whoever wants them.
const PAUSE: Duration = Duration::from_mins(1);
/// After this long, keys are fetched again beside the calls.
const FRESH: Duration = Duration::from_mins(5);
/// After this long without its issuer, no key is believed.
const KEPT: Duration = Duration::from_hours(24);
/// How long a name of no key is remembered, and how many of them.
const UNKNOWN: Duration = Duration::from_mins(5);
const NAMES: usize = 256;

impl State {
    /// Seconds since the keys were fetched.
    pub(super) fn age(&self) -> Option<u64> {
        self.fetched.map(|fetched| fetched.elapsed().as_secs())
    }

    /// Whether the issuer could not be reached when its keys were to be fetched again.
    pub(super) fn is_stale(&self) -> bool {
        self.fetched.is_some_and(|fetched| fetched.elapsed() > FRESH + 2 * PAUSE)
    }

    fn may_try(&self, now: Instant) -> bool {
        self.tried.is_none_or(|tried| now.duration_since(tried) >= PAUSE)
    }

    /// Whether this name was asked for lately, and is none.
    fn is_unknown(&mut self, kid: &str, now: Instant) -> bool {
        self.unknown.retain(|_, until| *until > now);
        self.unknown.contains_key(kid)
    }
}

fn lock(remote: &Remote) -> MutexGuard<'_, State> {
    remote.state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for the fetch that is under way, or for one of its own if it is time for one.
pub(super) async fn learn(remote: &Arc<Remote>, kid: Option<&str>) {
    let Some(mut done) = begin(remote, kid) else { return };
    // Ended or dropped, there is nothing more to wait for.
    drop(tokio::time::timeout(2 * PATIENCE, done.changed()).await);
    let Some(kid) = kid.filter(|kid| !remote.ring.now().has(kid)) else { return };
    let mut state = lock(remote);
    if state.unknown.len() < NAMES {
        state.unknown.insert(kid.into(), Instant::now() + UNKNOWN);
    }
}

/// Fetches beside the calls what is old, and lets go of what is too old.
pub(super) fn tend(remote: &Arc<Remote>) {
    if matches!(remote.settings.keys, KeySource::Text(_)) {
        return;
    }
    let age = lock(remote).fetched.map(|fetched| fetched.elapsed());
    if age.is_some_and(|age| age > KEPT) && !remote.ring.now().is_empty() {
        tracing::error!(issuer = remote.settings.name, "its keys are a day old, and are not believed any more");
        remote.ring.replace(KeySet::default());
    }
    if age.is_none_or(|age| age > FRESH) {
        drop(begin(remote, None));
    }
}

fn begin(remote: &Arc<Remote>, kid: Option<&str>) -> Option<watch::Receiver<()>> {
    let (now, mut state) = (Instant::now(), lock(remote));
    if state.under_way.is_some() {
        return state.under_way.clone();
    }
    let in_vain =
        matches!(remote.settings.keys, KeySource::Text(_)) || kid.is_some_and(|kid| state.is_unknown(kid, now));
    if in_vain || !state.may_try(now) {
        return None;
    }
    let (tell, hear) = watch::channel(());
    state.tried = Some(now);
    state.under_way = Some(hear.clone());
    drop(state);
    let remote = Arc::clone(remote);
    tokio::spawn(async move {
        let read = fetch(&remote).await;
        let mut state = lock(&remote);
        state.under_way = None;
        match read {
            Ok((text, keys)) => {
                // The same keys stay, and with them what they verified.
                if state.text != text || remote.ring.now().is_empty() {
                    remote.ring.replace(keys);
                    state.text = text;
                }
                state.fetched = Some(Instant::now());
            }
            Err(error) => tracing::warn!(issuer = remote.settings.name, %error, "its keys cannot be fetched"),
        }
        drop(state);
        drop(tell);
    });
    Some(hear)
}

async fn fetch(remote: &Remote) -> io::Result<(Bytes, KeySet)> {
    let url = match &remote.settings.keys {
        KeySource::Url(url) => url.clone(),
        KeySource::Discovery => discover(remote).await?,
        KeySource::Text(_) => return Err(io::Error::other("its keys are in a file")),
    };
    let text = get(remote, url).await?;
    let keys = KeySet::read_public(&text).filter(|keys| !keys.is_empty());
    let keys = keys.ok_or_else(|| io::Error::other("what it publishes is no usable set of public keys"))?;
    Ok((text, keys))
}

async fn get(remote: &Remote, url: Uri) -> io::Result<Bytes> {
    let mut request = Request::new(Full::default());
    *request.uri_mut() = url;
    remote.getter.answer(request).await
}

/// Where the issuer's own metadata says that its keys are (RFC 8414, OIDC Discovery), in the order that MCP
/// wants. Metadata that names another issuer is somebody else's.
async fn discover(remote: &Remote) -> io::Result<Uri> {
    let mut last = io::Error::other("no metadata");
    for place in issuer_places(&remote.settings.url) {
        let found = match place.parse::<Uri>() {
            Ok(url) => get(remote, url).await,
            Err(error) => Err(io::Error::other(error)),
        };
        match found.and_then(|text| keys_address(&text, &remote.settings.url)) {
            Ok(url) => return Ok(url),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn keys_address(text: &[u8], issuer: &str) -> io::Result<Uri> {
    let wrong = || io::Error::other("its metadata cannot be read");
    let metadata = Document::read(text, METADATA_NODES).ok_or_else(wrong)?;
    if metadata.text("issuer").ok().flatten().as_deref() != Some(issuer) {
        return Err(io::Error::other("its metadata names another issuer"));
    }
    let url: Uri = metadata.text("jwks_uri").ok().flatten().ok_or_else(wrong)?.parse().map_err(io::Error::other)?;
    // Plain where the issuer itself is, which configuration allows on this machine alone.
    let scheme = url.scheme_str();
    let fits = scheme == Some("https") || scheme == Some("http") && issuer.starts_with("http://");
    if fits && url.host().is_some() { Ok(url) } else { Err(io::Error::other("its keys are not at an https address")) }
}

/// Values and keys of metadata.
const METADATA_NODES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::keys_address;

    /// B6, P-A18: metadata of another issuer, or that leads to a plain address, leads nowhere.
    #[test]
    fn metadata_speaks_for_its_issuer_alone() {
        let read = |issuer: &str, keys: &str| {
            let text = format!(r#"{{"issuer":"{issuer}","jwks_uri":"{keys}"}}"#);
            keys_address(text.as_bytes(), "https://h").is_ok()
        };
        assert!(read("https://h", "https://keys.example/jwks"));
        assert!(!read("https://h/", "https://keys.example/jwks"));
        assert!(!read("https://evil", "https://keys.example/jwks"));
        for elsewhere in ["http://h/jwks", "file:///etc/passwd", "/jwks", "gopher://h/"] {
            assert!(!read("https://h", elsewhere), "{elsewhere}");
        }
    }
}
