//! Tokens of our own: issued, refreshed and taken back while gateways run. The command and REST call the same operations.
//!
//! 1. An access token is good for minutes, and says itself what it allows. A refresh token is good once: it buys the next
//!    pair. Shown a second time it was stolen, by its first or its second user, and the whole family ends.
//! 2. What an operation acknowledges is on the disk, together with a record of who did it.
//! 3. Every gateway that shares the store sees a revocation within a second, the one that made it at once ([`live`]).
//! 4. Nobody can give a token more of the administration than they have.
//! 5. Ed25519 keys are made on first need and kept in the store, which is for its owner alone. After a rotation the key
//!    before verifies on for as long as a token that it signed can be good.

mod error;
mod live;
mod wanted;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use palisade_guard::authenticate::resource::canonical;
use palisade_guard::authenticate::token::{Audience, Issuer};
use palisade_guard::digest::hex;
use palisade_guard::grant::Grant;
use palisade_guard::token::revoked::{ENTRIES, Kind, Revoked};
use palisade_guard::token::{Algorithm, Claims, Compact, KeySet, Keyring, Rules, Signer, Type};
use serde_json::{Value, json};

use crate::config::{Secret, Signing, Tokens};
use crate::journal::Durability;
use crate::keys::Asker;
use crate::random;
use crate::store::changes::{self, Change};
use crate::store::tokens::{self, Family, KeyRow, Taken};
use crate::store::{self, Store, later, now};
use crate::time;
pub use error::Error;
pub(crate) use live::Live;
pub use wanted::{Issued, Purpose, Wanted};

/// Families that can be refreshed at one time.
const FAMILIES: i64 = 100_000;
/// Seconds by which clocks of gateways may differ.
const LEEWAY: u64 = 5;

/// What makes tokens.
pub struct Mint {
    store: Store,
    settings: Tokens,
    ring: Arc<Keyring>,
    revoked: Arc<Revoked>,
    now: RwLock<InForce>,
}

/// The keys that are in force.
#[derive(Default)]
struct InForce {
    signer: Option<Arc<Signer>>,
    published: Vec<Value>,
}

impl Mint {
    /// The mint of a store; it knows nothing before it is loaded.
    pub fn new(store: Store, settings: Tokens) -> Self {
        let (ring, revoked, now) = (Arc::default(), Arc::default(), RwLock::default());
        Self { store, settings, ring, revoked, now }
    }

    /// How its tokens are judged.
    pub(crate) fn judged(&self) -> Issuer {
        let own = |what: &str| self.audience(what).into();
        Issuer {
            url: self.settings.issuer.as_str().into(),
            prefix: "token:".into(),
            audience: Audience::Own { mcp: own("mcp"), api: own("api"), refresh: own("refresh") },
            algorithms: vec![Algorithm::EdDsa, Algorithm::Hs256],
            principal_claim: "sub".into(),
            groups_claim: Some("groups".into()),
            words: None,
            grant: Grant::default(),
            leeway: LEEWAY,
            keyring: Arc::clone(&self.ring),
            introspects: None,
        }
    }

    /// What was taken back.
    pub(crate) const fn revoked(&self) -> &Arc<Revoked> {
        &self.revoked
    }

    /// The keys that verify its tokens, for everybody to read (RFC 7517).
    pub fn published(&self) -> Value {
        json!({"keys": self.now.read().unwrap_or_else(PoisonError::into_inner).published})
    }

    /// Makes a pair of tokens.
    pub async fn issue(&self, wanted: &Wanted, servers: &[Arc<str>], by: Asker<'_>) -> Result<Issued, Error> {
        wanted.check(servers)?;
        wanted.within(by)?;
        let now = now();
        let family = Family {
            id: name(),
            holder: format!("token:{}", wanted.subject),
            wanted: json!(wanted).to_string(),
            generation: 0,
            expires: later(now, self.settings.refresh),
        };
        let mut writing = self.store.write(Durability::Strict).await?;
        if tokens::count(&mut writing).await? >= FAMILIES {
            return Err(Error::Full);
        }
        self.must_sign(&mut writing).await?;
        tokens::begin(&mut writing, &family, now).await?;
        changes::add(&mut writing, &change("token.issue", &family.id, by.who, Some(&family.wanted))).await?;
        writing.commit().await?;
        self.load().await?;
        self.pair(&family, wanted, now)
    }

    /// The next pair of a family, for its refresh token of this generation.
    pub async fn refresh(&self, family: &str, generation: u64) -> Result<Issued, Error> {
        let now = now();
        let mut writing = self.store.write(Durability::Strict).await?;
        let found = tokens::family(&mut writing, family).await?.filter(|found| found.expires > now);
        let mut found = found.ok_or(Error::Unknown)?;
        if u64::try_from(found.generation) != Ok(generation) {
            self.take_back(&mut writing, (Kind::Family, family), now, "token.reused", &found.holder).await?;
            writing.commit().await?;
            self.load().await?;
            return Err(Error::Reused);
        }
        let wanted: Wanted = serde_json::from_str(&found.wanted).map_err(|_| Error::Unknown)?;
        found.generation += 1;
        found.expires = later(now, self.settings.refresh);
        tokens::refreshed(&mut writing, family, found.expires).await?;
        writing.commit().await?;
        self.pair(&found, &wanted, now)
    }

    /// The family and generation of a refresh token's text.
    pub async fn read_refresh(&self, text: &str) -> Result<(String, u64), Error> {
        self.load().await?;
        let rules = Rules { issuer: &self.settings.issuer, typ: Type::Refresh, complete: true, leeway: LEEWAY };
        let compact = Compact::read(text.as_bytes()).map_err(|_| Error::NotGood)?;
        let keys = self.ring.now();
        let key = keys.find(&compact).map_err(|_| Error::NotGood)?;
        let claims = Claims::verified(&compact, key, &rules, time::now().unix_ms / 1000).map_err(|_| Error::NotGood)?;
        claims.text("fam").map(String::from).zip(claims.number("gen")).ok_or(Error::NotGood)
    }

    /// Takes back a token, a family, or everything of a holder.
    pub async fn revoke(&self, kind: Kind, name: &str, by: Asker<'_>) -> Result<(), Error> {
        if name.is_empty() || name.len() > 512 || name.chars().any(char::is_control) {
            return Err(Error::Wrong("name", "write the name of a token, a family or a holder".to_owned()));
        }
        // A name that nobody can have would be taken back in vain, and whoever did it believe a stolen token dead.
        if kind == Kind::Holder && !["token:", "oauth:"].iter().any(|method| name.starts_with(method)) {
            let cure = "write the holder as records name it: token:SUBJECT, or oauth:ISSUER:SUBJECT".to_owned();
            return Err(Error::Wrong("name", cure));
        }
        let mut writing = self.store.write(Durability::Strict).await?;
        self.take_back(&mut writing, (kind, name), now(), "token.revoke", by.who).await?;
        writing.commit().await?;
        self.load().await.map(drop)
    }

    /// Puts a new key in force. What the one before signed stays good for its time.
    pub async fn rotate(&self, by: Asker<'_>) -> Result<String, Error> {
        if !matches!(self.settings.signing, Signing::Stored) {
            return Err(Error::Secret);
        }
        let mut writing = self.store.write(Durability::Strict).await?;
        let kid = self.put_key(&mut writing).await?;
        changes::add(&mut writing, &change("token.rotate-key", &kid, by.who, None)).await?;
        writing.commit().await?;
        self.load().await?;
        Ok(kid)
    }

    /// Puts in force what the store has, and says of which version it is.
    pub async fn load(&self) -> Result<u64, Error> {
        let (version, rows, taken) = tokens::live(&self.store, now()).await?;
        let signers: Vec<Signer> = match &self.settings.signing {
            Signing::Stored => rows.into_iter().filter_map(stored).collect(),
            Signing::Secret { now, before } => {
                [Some(now), before.as_ref()].into_iter().flatten().filter_map(secret).collect()
            }
        };
        let keys = KeySet::new(signers.iter().filter_map(Signer::verifier).collect()).unwrap_or_default();
        let published: Vec<Value> = signers.iter().filter_map(Signer::published).collect();
        let signer = signers.into_iter().next().map(Arc::new);
        {
            let mut in_force = self.now.write().unwrap_or_else(PoisonError::into_inner);
            // The same keys stay, and with them what they verified.
            let same = in_force.published == published && !self.ring.now().is_empty();
            if !same || published.is_empty() && keys.len() != self.ring.now().len() {
                self.ring.replace(keys);
            }
            *in_force = InForce { signer, published };
        }
        let second = |time: i64| u64::try_from(time / 1000).unwrap_or_default();
        for Taken { kind, name, made_until, forget } in taken {
            if let Some(kind) = kind_of(&kind) {
                self.revoked.add(kind, &name, second(made_until), second(forget) + 1);
            }
        }
        self.revoked.forget(second(now()));
        Ok(version)
    }

    /// There is a key in force.
    async fn must_sign(&self, writing: &mut store::Writing) -> Result<(), Error> {
        if matches!(self.settings.signing, Signing::Stored) && tokens::signs(writing).await?.is_none() {
            self.put_key(writing).await?;
        }
        Ok(())
    }

    async fn put_key(&self, writing: &mut store::Writing) -> Result<String, Error> {
        let made = now();
        let key = KeyRow { kid: name(), seed: random::bytes::<32>().to_vec(), made };
        let overlap = self.settings.refresh.max(self.settings.access) + Duration::from_secs(2 * LEEWAY);
        tokens::rotate(writing, &key, later(made, overlap)).await?;
        Ok(key.kid)
    }

    async fn take_back(
        &self,
        writing: &mut store::Writing,
        (kind, name): (Kind, &str),
        now: i64,
        what: &str,
        who: &str,
    ) -> Result<(), Error> {
        if tokens::taken_back(writing).await? >= i64::try_from(ENTRIES).unwrap_or(i64::MAX) {
            return Err(Error::Full);
        }
        let forget = later(now, self.settings.refresh.max(self.settings.access) + Duration::from_secs(2 * LEEWAY));
        let taken = Taken { kind: word(kind).to_owned(), name: name.to_owned(), made_until: now, forget };
        tokens::take_back(writing, &taken, now).await?;
        changes::add(writing, &change(what, &format!("{}:{name}", word(kind)), who, None)).await?;
        Ok(())
    }

    fn pair(&self, family: &Family, wanted: &Wanted, now: i64) -> Result<Issued, Error> {
        let signer = self.now.read().unwrap_or_else(PoisonError::into_inner).signer.clone().ok_or(Error::NoKey)?;
        let (second, id) = (now / 1000, name());
        let ends = |lifetime: Duration| later(now, lifetime) / 1000;
        let mut claims = json!({
            "iss": self.settings.issuer, "sub": wanted.subject, "aud": self.audience(wanted.purpose.word()), "jti": id,
            "iat": second, "nbf": second, "exp": ends(self.settings.access), "fam": family.id,
            "scope": wanted.scopes().join(" "),
        });
        if let Some(claims) = claims.as_object_mut() {
            claims.extend(wanted.servers.as_ref().map(|servers| ("servers".to_owned(), json!(servers))));
            claims.extend((!wanted.groups.is_empty()).then(|| ("groups".to_owned(), json!(wanted.groups))));
        }
        let refresh = json!({
            "iss": self.settings.issuer, "sub": wanted.subject, "aud": self.audience("refresh"), "jti": name(),
            "iat": second, "nbf": second, "exp": ends(self.settings.refresh), "fam": family.id,
            "gen": family.generation,
        });
        Ok(Issued {
            access_token: signer.sign(Type::Access, &claims),
            token_type: "Bearer",
            expires_in: self.settings.access.as_secs(),
            refresh_token: signer.sign(Type::Refresh, &refresh),
            refresh_expires_in: self.settings.refresh.as_secs(),
            scope: wanted.scopes().join(" "),
            id,
            family: family.id.clone(),
        })
    }

    fn audience(&self, what: &str) -> String {
        canonical(&format!("{}/{what}", self.settings.issuer.trim_end_matches('/')))
    }
}

fn stored(row: KeyRow) -> Option<Signer> {
    let seed: [u8; 32] = row.seed.try_into().ok()?;
    Signer::ed25519(&row.kid, &seed)
}

/// A secret is called by a digest that says nothing of it: it is one of its own.
fn secret(secret: &Secret) -> Option<Signer> {
    let bytes = secret.reveal().as_bytes();
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, bytes);
    let tag = aws_lc_rs::hmac::sign(&key, b"palisade: the name of this secret");
    Signer::hs256(&hex(tag.as_ref().first_chunk::<8>()?), bytes)
}

/// A name that nobody can guess: 16 random bytes.
fn name() -> String {
    hex(&random::bytes::<16>())
}

const fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Token => "token",
        Kind::Family => "family",
        Kind::Holder => "holder",
    }
}

fn kind_of(word: &str) -> Option<Kind> {
    [Kind::Token, Kind::Family, Kind::Holder].into_iter().find(|kind| self::word(*kind) == word)
}

fn change(what: &str, target: &str, who: &str, after: Option<&String>) -> Change {
    Change {
        at: now(),
        who: who.to_owned(),
        what: what.to_owned(),
        target: target.to_owned(),
        before: None,
        after: after.cloned(),
    }
}
