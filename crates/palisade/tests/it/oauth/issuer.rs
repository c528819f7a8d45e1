//! An issuer of tokens that the tests hold in their hands: its keys, what it publishes, and how often it is asked.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use palisade_guard::token::{Signer, Type};
use serde_json::{Value, json};

use crate::upstream::{Upstream, json as answer};

/// One issuer: an HTTP server with a set of keys, and what it says of opaque tokens.
pub(crate) struct Issuer {
    server: Upstream,
    /// Opaque tokens that it took back.
    revoked: Arc<Mutex<Vec<String>>>,
    /// Whether it answers questions about tokens with an error.
    ill: Arc<AtomicBool>,
    /// Held while it takes its time to say that a token is unknown.
    slow: Arc<Mutex<()>>,
    keys: Arc<Mutex<Vec<Value>>>,
}

impl Issuer {
    /// An issuer that publishes one key, `k1`.
    pub(crate) fn start() -> Self {
        let keys = Arc::new(Mutex::new(vec![key("k1").published().unwrap()]));
        let (revoked, ill) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicBool>::default());
        let slow = Arc::<Mutex<()>>::default();
        let held = Arc::clone(&slow);
        let (published, taken_back, is_ill) = (Arc::clone(&keys), Arc::clone(&revoked), Arc::clone(&ill));
        let server = Upstream::scripted(Box::new(move |request| {
            if request.body.is_empty() {
                return answer("200 OK", "", &json!({"keys": *published.lock().unwrap()}).to_string());
            }
            if is_ill.load(Relaxed) {
                return answer("500 Internal Server Error", "", "{}");
            }
            // The token says itself what is to be said of it.
            let body = String::from_utf8_lossy(&request.body).into_owned();
            let token = body.trim_start_matches("token=").split('&').next().unwrap().to_owned();
            let good = request.header("authorization") == Some("Basic Z2F0ZTpnYXRlLXNlY3JldA==");
            let good = good && !taken_back.lock().unwrap().contains(&token);
            let port = token.strip_prefix("good-").and_then(|rest| rest.split('-').next());
            let said = if let Some(port) = port.filter(|_| good) {
                let aud = format!("http://127.0.0.1:{port}/mcp");
                json!({"active": true, "sub": "ada", "aud": [aud, format!("{aud}/stub")], "scope": "mcp:tools"})
            } else {
                drop(held.lock());
                json!({"active": false})
            };
            answer("200 OK", "", &said.to_string())
        }));
        Self { server, revoked, ill, slow, keys }
    }

    /// Its identifier.
    pub(crate) fn url(&self) -> String {
        self.server.url().trim_end_matches("/mcp").to_owned()
    }

    /// Takes an opaque token back.
    pub(super) fn revoke(&self, token: &str) {
        self.revoked.lock().unwrap().push(token.to_owned());
    }

    /// From now on it answers no question about tokens, or answers again.
    pub(super) fn is_ill(&self, ill: bool) {
        self.ill.store(ill, Relaxed);
    }

    /// It says of no token that it is unknown, until this is dropped.
    pub(super) fn takes_its_time(&self) -> MutexGuard<'_, ()> {
        self.slow.lock().unwrap()
    }

    /// Publishes these keys instead.
    pub(crate) fn publish(&self, kids: &[&str]) {
        *self.keys.lock().unwrap() = kids.iter().map(|kid| key(kid).published().unwrap()).collect();
    }

    /// How often it was asked for its keys, and about tokens.
    pub(crate) fn asked(&self) -> (usize, usize) {
        let requests = self.server.requests();
        let about = requests.iter().filter(|request| !request.body.is_empty()).count();
        (requests.len() - about, about)
    }

    /// Good claims for a resource.
    pub(crate) fn claims(&self, resource: &str) -> Value {
        let now = now();
        json!({
            "iss": self.url(), "sub": "ada", "aud": resource, "exp": now + 300, "iat": now, "nbf": now, "jti": "t1",
            "scope": "mcp:tools",
        })
    }
}

/// A key that every test can make again.
pub(crate) fn key(kid: &str) -> Signer {
    let mut seed = [9; 32];
    seed[..kid.len()].copy_from_slice(kid.as_bytes());
    Signer::ed25519(kid, &seed).unwrap()
}

/// A token of these claims.
pub(crate) fn token(kid: &str, claims: &Value) -> String {
    key(kid).sign(Type::Access, claims)
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
