//! Managed keys: made, shown, rotated and withdrawn while gateways run. The command and REST call the same operations.
//!
//! 1. A key's text is returned once, to whoever made it. What is kept is a digest under the [`pepper`].
//! 2. What an operation acknowledges is on the disk, together with a record of who did it ([`changes`]).
//! 3. Every gateway that shares the store sees a change within a second, the one that made it at once ([`live`]).
//! 4. Nobody makes, rotates or revokes a key that may do more than they may ([`bounds`]).
//! 5. A secret that was promised some time has it: a second rotation within it is refused, unless it is said to end it.
//!
//! [`changes`]: crate::store::changes

mod bounds;
mod live;
mod pepper;
mod view;
mod wanted;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use palisade_guard::authenticate::key_text::{self, PublicId};
use palisade_guard::authenticate::managed_key::{Found, ManagedKey, ManagedKeys, Renewal, Table, Usage};
use serde_json::json;

use crate::config::{self, KeyForm, duration};
use crate::journal::Durability;
use crate::random;
use crate::store::changes::{self, Change};
use crate::store::keys::{self, Row};
use crate::store::{self, Store, later, now};
use crate::time;
pub use bounds::{Asker, Holds};
pub(crate) use live::Live;
use pepper::Peppers;
pub use pepper::fits;
pub use view::{Issued, Listed, State, Used, Verified, View};
pub use wanted::{Permits, Wanted, Wrong};

/// Keys in one store, revoked ones included.
const MOST: i64 = 100_000;
/// Revoked keys that make room at one time.
const FORGOTTEN: i64 = 100;
/// Keys of one page of the list.
const PAGE: usize = 1000;
/// How long the secret before works on after a rotation, where nobody says.
pub const GRACE: &str = "24h";
/// The longest that it may.
const LONGEST_GRACE: Duration = Duration::from_hours(24 * 90);

/// The managed keys of a store.
#[derive(Debug)]
pub struct Book {
    store: Store,
    managed: Arc<ManagedKeys>,
    peppers: Peppers,
    form: KeyForm,
}

/// How a secret is exchanged.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rotation<'a> {
    /// How long the secret before works on; zero ends every one before now.
    pub grace: Duration,
    /// When the key ends, from now on; without it when it would have.
    pub expires: Option<&'a str>,
    /// Whether a secret that works on after an earlier rotation ends now.
    pub end_older: bool,
}

/// Why an operation was not done.
#[derive(Debug)]
pub enum Error {
    /// These fields cannot be as they are.
    Wrong(Vec<Wrong>),
    /// No key has this id.
    Unknown,
    /// This name means another key that works.
    Taken(String),
    /// It does not work any more, and cannot be made to.
    Over(State),
    /// This part of the key goes beyond what who asks holds.
    Beyond(&'static str),
    /// The secret before the one in force works on until then.
    Overlap(String),
    /// There are as many keys as there may be.
    Full,
    /// The pepper's file cannot be used: which, why, and what to do.
    Pepper(PathBuf, String, String),
    /// The store's keys were made with another pepper.
    OtherPepper,
    /// What was typed is no text.
    Unreadable,
    /// The store.
    Store(store::Error),
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wrong(wrong) => {
                let each = wrong.iter().map(|wrong| format!("{}: {}", wrong.field, wrong.problem));
                f.write_str(&each.collect::<Vec<_>>().join("; "))
            }
            Self::Unknown => f.write_str("no key has this id"),
            Self::Taken(name) => write!(f, "there is a key called {name}: revoke it, or choose another name"),
            Self::Over(state) => write!(f, "this key is {}: make another one", state.word()),
            Self::Beyond(part) => write!(f, "nobody can make, rotate or revoke a key beyond what they hold: its {part}"),
            Self::Overlap(until) => write!(
                f,
                "an older secret of this key works until {until}, as it was promised: wait, or end it now with end_older \
                 (--end-older), or end all older ones with a grace of 0s"
            ),
            Self::Full => write!(f, "there are {MOST} keys, and that is the most"),
            Self::Pepper(path, problem, cure) => {
                let path = path.display().to_string();
                let parts = [path.as_str(), " ", problem, if cure.is_empty() { "" } else { "; " }, cure];
                f.write_str(parts.concat().trim_start())
            }
            Self::OtherPepper => f.write_str(
                "is not the pepper that the keys in this store were made with; put the right one back, or name a new store",
            ),
            Self::Unreadable => f.write_str("standard input holds no text"),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl Error {
    /// What the store said; every other error cannot come of reading and counting.
    pub(crate) fn into_store(self) -> store::Error {
        match self {
            Self::Store(error) => error,
            other => store::Error::Down(other.to_string()),
        }
    }

    /// The setting to look at when the book cannot be opened.
    pub const fn setting(&self) -> &'static str {
        if matches!(self, Self::Store(_)) { "store.url" } else { "store.pepper" }
    }
}

impl Book {
    /// Opens the book of a store, with the peppers that settings name, if any do. No key is known before it is asked.
    pub async fn open(store: Store, settings: Option<&config::Store>, form: KeyForm) -> Result<Self, Error> {
        let pepper = settings.and_then(|settings| settings.pepper.as_ref());
        let before = settings.and_then(|settings| settings.previous_pepper.as_ref());
        let peppers = pepper::of(&store, pepper, before).await?;
        let before = peppers.before.as_ref().map(|before| before.reveal().as_bytes());
        let managed = Arc::new(ManagedKeys::new(peppers.now.reveal().as_bytes(), before));
        Ok(Self { store, managed, peppers, form })
    }

    /// A key for something else that lasts as long as the store, and that gateways which share it have in common.
    pub(crate) fn derived(&self, purpose: &[u8]) -> [u8; 32] {
        self.peppers.derived(purpose)
    }

    /// Keeps keys that were used under the pepper in force, whose digests are under the one before.
    pub(crate) async fn renew(&self) -> Result<(), Error> {
        let renewals = self.managed.renewals();
        if renewals.is_empty() {
            return Ok(());
        }
        let mut writing = self.store.write(Durability::Write).await?;
        if self.peppers.is_in_force(&mut writing).await? {
            let rows =
                renewals.iter().map(|(id, Renewal { from, to })| (id.as_str().to_owned(), from.to_vec(), to.to_vec()));
            keys::renew(&mut writing, &rows.collect::<Vec<_>>()).await?;
            writing.commit().await?;
            tracing::info!(keys = renewals.len(), "keys that were used are kept under the new pepper");
        }
        Ok(())
    }

    /// Makes a key.
    pub async fn create(&self, wanted: &Wanted, servers: &[Arc<str>], by: Asker<'_>) -> Result<Issued, Error> {
        let lifetime = wanted.check(servers).map_err(Error::Wrong)?;
        let (permits, now) = (wanted.permits(), now());
        by.may_make(Some(&permits), lifetime.map(|lifetime| later(now, lifetime)))?;
        let mut writing = self.store.write(Durability::Strict).await?;
        // Those that were revoked long ago make room; the journal still tells of them.
        if keys::count(&mut writing).await? >= MOST && keys::forget(&mut writing, FORGOTTEN).await? == 0 {
            return Err(Error::Full);
        }
        if keys::is_taken(&mut writing, &wanted.name).await? {
            return Err(Error::Taken(wanted.name.clone()));
        }
        let id = fresh(key_text::id_from);
        let (key, digest) = self.secret(id);
        let row = Row {
            id: id.as_str().to_owned(),
            name: wanted.name.clone(),
            owner: wanted.owner.clone(),
            permits: json!(permits).to_string(),
            created: now,
            created_by: by.who.to_owned(),
            expires: lifetime.map(|lifetime| later(now, lifetime)),
            revoked: None,
            digest,
            rotated: None,
            old_digest: None,
            old_until: None,
            uses: 0,
            last_used: None,
        };
        keys::insert(&mut writing, &row).await?;
        let about = View::of(row, now);
        changes::add(&mut writing, &change("key.create", &about.id, by, None, Some(&about))).await?;
        writing.commit().await?;
        Ok(Issued { key, about })
    }

    /// The newest keys; or those that are older than the key `after`, the newest of them first.
    pub async fn list(&self, after: Option<&str>) -> Result<Listed, Error> {
        let now = now();
        let most = i64::try_from(PAGE).unwrap_or(i64::MAX);
        let rows = keys::page(&self.store, after, most).await?;
        let is_full = rows.len() >= PAGE;
        let next = rows.last().filter(|_| is_full).map(|row| row.id.clone());
        Ok(Listed { keys: rows.into_iter().map(|row| View::of(row, now)).collect(), next })
    }

    /// One key.
    pub async fn show(&self, id: &str) -> Result<View, Error> {
        let row = keys::one(&mut self.store.read().await?, id).await?.ok_or(Error::Unknown)?;
        Ok(View::of(row, now()))
    }

    /// How a key was used.
    pub async fn usage(&self, id: &str) -> Result<Used, Error> {
        self.show(id).await.map(View::used)
    }

    /// Gives a key another secret. The one before works on for a while.
    pub async fn rotate(&self, id: &str, how: Rotation<'_>, by: Asker<'_>) -> Result<Issued, Error> {
        let Rotation { grace, expires, end_older } = how;
        let wrong = |problem| Error::Wrong(vec![Wrong { field: "expires", problem }]);
        let expires = expires.map(wanted::lifetime).transpose().map_err(wrong)?;
        let now = now();
        let mut writing = self.store.write(Durability::Strict).await?;
        let mut row = keys::one(&mut writing, id).await?.ok_or(Error::Unknown)?;
        let before = View::of(row.clone(), now);
        row.expires = expires.map(|lifetime| later(now, lifetime)).or(row.expires);
        // Who gets the new secret gets what it may do.
        by.may_make(bounds::kept(&row).as_ref(), row.expires)?;
        if before.state != State::Active {
            return Err(Error::Over(before.state));
        }
        if let Some(until) = before.previous_secret_until.clone().filter(|_| !end_older && !grace.is_zero()) {
            return Err(Error::Overlap(until));
        }
        let (key, digest) = self.secret(PublicId::read(id.as_bytes()).ok_or(Error::Unknown)?);
        row.old_digest = (!grace.is_zero()).then(|| std::mem::take(&mut row.digest));
        row.old_until = (!grace.is_zero()).then(|| later(now, grace));
        row.digest = digest;
        row.rotated = Some(now);
        keys::rotate(&mut writing, &row).await?;
        let about = View::of(row, now);
        changes::add(&mut writing, &change("key.rotate", id, by, Some(&before), Some(&about))).await?;
        writing.commit().await?;
        Ok(Issued { key, about })
    }

    /// Withdraws a key for good. One that was withdrawn before stays as it is.
    pub async fn revoke(&self, id: &str, by: Asker<'_>) -> Result<View, Error> {
        let now = now();
        let mut writing = self.store.write(Durability::Strict).await?;
        let row = keys::one(&mut writing, id).await?.ok_or(Error::Unknown)?;
        let before = View::of(row.clone(), now);
        by.may_end(bounds::kept(&row).as_ref())?;
        if before.state == State::Revoked {
            return Ok(before);
        }
        keys::revoke(&mut writing, id, now).await?;
        let after = View::of(Row { revoked: Some(now), old_until: None, ..row }, now);
        changes::add(&mut writing, &change("key.revoke", id, by, Some(&before), Some(&after))).await?;
        writing.commit().await?;
        Ok(after)
    }

    /// Whose key this text is, and whether it works.
    pub async fn verify(&self, text: &str) -> Result<Verified, Error> {
        self.load().await?;
        let (id, why) = match self.managed.judge(text.as_bytes(), time::now().unix_ms) {
            Found::NotMine => return Ok(Verified::default()),
            Found::Works(_, id, _) => (id, None),
            Found::Expired(id) => (id, Some("it has expired")),
            Found::Unknown(id, why) => (id, Some(why)),
        };
        let key = if why.is_none() { Some(self.show(id.as_str()).await?) } else { None };
        Ok(Verified { id: Some(id.as_str().to_owned()), works: key.is_some(), why, key })
    }

    /// Whether any key works now.
    pub(crate) async fn is_empty(&self) -> Result<bool, Error> {
        let now = now();
        let (_, rows) = keys::live(&self.store).await?;
        Ok(!rows.iter().any(|row| row.expires.is_none_or(|end| end > now)))
    }

    /// Puts the table of the store in force, and says of which version it is.
    async fn load(&self) -> Result<u64, Error> {
        let (version, rows) = keys::live(&self.store).await?;
        let before = self.managed.table();
        let keys = rows.into_iter().filter_map(|row| entry(row, &before));
        self.managed.replace(keys.collect());
        Ok(version)
    }

    /// A new secret for a key, and what is kept of it.
    fn secret(&self, id: PublicId) -> (String, Vec<u8>) {
        let secret = fresh(|random| key_text::secret_from(random, self.form.length));
        let key = key_text::write(&self.form.prefix, id, &secret);
        let digest = self.managed.digest(key.as_bytes()).to_vec();
        (key, digest)
    }
}

/// What is made of random bytes: with so many, one attempt is as good as always enough.
fn fresh<T>(make: impl Fn(&[u8]) -> Option<T>) -> T {
    loop {
        if let Some(made) = make(&random::bytes::<256>()) {
            return made;
        }
    }
}

/// An entry of the table, with the counts of the table before.
fn entry(row: Row, before: &Table) -> Option<(PublicId, Arc<ManagedKey>)> {
    let id = PublicId::read(row.id.as_bytes())?;
    let permits: Option<Permits> = serde_json::from_str(&row.permits).ok();
    let (Some(grant), Ok(digest)) = (permits.and_then(|permits| permits.grant()), row.digest.try_into()) else {
        tracing::error!(key = row.id, "a managed key was written by a newer version and does not work here");
        return None;
    };
    let unsigned = |time: i64| u64::try_from(time).unwrap_or_default();
    let older = row.old_digest.and_then(|digest| digest.try_into().ok()).zip(row.old_until.map(unsigned));
    let usage = before.get(&id).map_or_else(|| Arc::new(Usage::default()), |key| Arc::clone(&key.usage));
    let principal = Arc::from(format!("managed:{}", row.id));
    let grant = Arc::new(grant);
    Some((id, Arc::new(ManagedKey { principal, grant, digest, older, expires_ms: row.expires.map(unsigned), usage })))
}

fn change(what: &str, id: &str, by: Asker<'_>, before: Option<&View>, after: Option<&View>) -> Change {
    let written = |view: Option<&View>| view.map(|view| json!(view).to_string());
    let target = format!("managed:{id}");
    Change {
        at: now(),
        who: by.who.to_owned(),
        what: what.to_owned(),
        target,
        before: written(before),
        after: written(after),
    }
}

/// How long the secret before is to work on; nothing at all ends it now.
pub fn grace(text: &str) -> Result<Duration, Error> {
    let read = duration(text).filter(|time| *time <= LONGEST_GRACE);
    read.ok_or_else(|| {
        let problem = format!("{text:?} is not from 0s to 90d: write a number and s, m, h or d, like \"24h\"");
        Error::Wrong(vec![Wrong { field: "grace", problem }])
    })
}
