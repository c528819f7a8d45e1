//! Others' issuers of tokens, as far as the world must be asked about them: their keys, and what they say of a token.
//!
//! 1. Keys are fetched beside the calls: at the start, and again while they are in use. A call waits only for a key that
//!    nobody knows, once a minute at most, and all who wait wait for one fetch.
//! 2. What was fetched stays in force for a day when the issuer is out of reach, and the status page says so.
//! 3. A name of a key that the issuer does not know is not asked for again for a while.
//! 4. An issuer goes on through a new configuration if nothing of it changed.

pub(crate) mod get;
mod keys;
mod said;
mod turns;

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use palisade_guard::authenticate::resource::canonical;
use palisade_guard::authenticate::token::{Audience, Issuer};
use palisade_guard::digest::sha256;
use palisade_guard::grant::Grant;
use palisade_guard::limit::penalty::block;
use palisade_guard::refusal::Refusal;
use palisade_guard::token::{KeySet, Keyring};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::config::{self as checked, KeySource};
use crate::descriptors::Descriptors;
use get::Getter;
use keys::State;
pub(crate) use said::unsaid;
use turns::Turns;

/// Issuers by their identifiers.
pub(crate) type Remotes = BTreeMap<Box<str>, Arc<Remote>>;

/// One issuer.
pub(crate) struct Remote {
    settings: checked::Issuer,
    ring: Arc<Keyring>,
    getter: Getter,
    state: Mutex<State>,
    /// Questions about tokens that nobody knows, by the block of addresses that they come from.
    unknown: Turns<[u8; 16]>,
    /// Questions about tokens that were good, by their names: strangers have none.
    known: Turns<[u8; 32]>,
    /// Questions of streams.
    again: Semaphore,
}

/// A place among the streams that ask.
pub(crate) struct Turn<'r> {
    remote: &'r Remote,
    _place: SemaphorePermit<'r>,
}

impl Turn<'_> {
    /// What the issuer says of a token now.
    pub(crate) async fn ask(&self, token: &[u8]) -> Result<bytes::Bytes, Refusal> {
        said::question(self.remote, token).await
    }
}

/// A call's turn to ask, given back when it is dropped.
pub(crate) struct Place<'r> {
    _of_block: Option<turns::Turn<'r, [u8; 16]>>,
    _of_token: Option<turns::Turn<'r, [u8; 32]>>,
}

/// Questions about tokens that one issuer is asked at one time: so many of each kind.
const QUESTIONS: usize = 16;
/// Those about unknown tokens that come from one block of addresses.
const OF_BLOCK: usize = 2;

/// The issuers of a configuration; what is equal to one before is that one.
pub(crate) fn remotes(
    settings: &[checked::Issuer],
    descriptors: &Arc<Descriptors>,
    before: Option<&Remotes>,
) -> io::Result<Remotes> {
    let same = |issuer: &checked::Issuer| {
        before?.get(&*issuer.url).filter(|remote| remote.settings.is_reached_as(issuer)).map(Arc::clone)
    };
    let each = settings.iter().map(|issuer| {
        let remote = match same(issuer) {
            Some(remote) => remote,
            None => Arc::new(Remote::new(issuer.clone(), Arc::clone(descriptors))?),
        };
        Ok((Box::from(issuer.url.as_str()), remote))
    });
    each.collect()
}

impl Remote {
    fn new(settings: checked::Issuer, descriptors: Arc<Descriptors>) -> io::Result<Self> {
        let ring = Keyring::default();
        if let KeySource::Text(text) = &settings.keys {
            ring.replace(KeySet::read_public(text.as_bytes()).unwrap_or_default());
        }
        let getter = Getter::new(&settings, descriptors)?;
        let (ring, state) = (Arc::new(ring), Mutex::default());
        let (unknown, known) = (Turns::new(QUESTIONS, OF_BLOCK), Turns::new(QUESTIONS, 1));
        Ok(Self { settings, ring, getter, state, unknown, known, again: Semaphore::new(QUESTIONS) })
    }

    /// How its tokens are judged.
    pub(crate) fn judged(&self, settings: &checked::Issuer) -> Issuer {
        let named = settings.audiences.iter().map(|audience| canonical(audience).into());
        Issuer {
            url: settings.url.as_str().into(),
            prefix: format!("oauth:{}:", settings.name).into(),
            audience: if settings.audiences.is_empty() { Audience::Resource } else { Audience::Named(named.collect()) },
            algorithms: settings.algorithms.clone(),
            principal_claim: settings.principal_claim.as_str().into(),
            groups_claim: settings.groups_claim.as_deref().map(Into::into),
            words: settings.words.clone(),
            grant: Grant { servers: settings.servers.clone(), limit: settings.limit, ..Grant::default() },
            leeway: settings.leeway,
            keyring: Arc::clone(&self.ring),
            introspects: settings.introspection.as_ref().map(|asked| asked.believed.as_secs()),
        }
    }

    /// Fetches its keys for a token whose key is not here, if that may help.
    pub(crate) async fn learn(self: &Arc<Self>, kid: Option<&str>) {
        keys::learn(self, kid).await;
    }

    /// Fetches its keys beside the calls, where it is time to.
    pub(crate) fn tend(self: &Arc<Self>) {
        keys::tend(self);
    }

    /// What it says of a token, as it says it.
    pub(crate) async fn ask(&self, token: &[u8]) -> Result<bytes::Bytes, Refusal> {
        said::question(self, token).await
    }

    /// A call's place to ask from. Strangers decide how often it is asked about tokens that nobody knows, so each block of
    /// addresses has few places; about a token that was good one question is asked at a time, and no stranger is in its way.
    pub(crate) async fn place(&self, token: &[u8], was_good: bool, from: IpAddr) -> Option<Place<'_>> {
        Some(if was_good {
            Place { _of_block: None, _of_token: Some(self.known.turn(sha256(token)).await?) }
        } else {
            Place { _of_block: Some(self.unknown.turn(block(from)).await?), _of_token: None }
        })
    }

    /// A stream's turn to ask. Streams wait for one another, and take no place from calls.
    pub(crate) async fn turn(&self) -> Option<Turn<'_>> {
        Some(Turn { remote: self, _place: self.again.acquire().await.ok()? })
    }

    /// For the status page: how many keys it has, how old they are, and whether it is out of reach.
    pub(crate) fn status(&self) -> Value {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        json!({"keys": self.ring.now().len(), "fetched_seconds_ago": state.age(), "stale": state.is_stale()})
    }
}
