//! Who wants something of a key or token, and how far they may go: nobody hands on what they do not hold.

use palisade_guard::grant::Grant;

use super::{Error, Permits};
use crate::store::keys::Row;

/// Who wants something, and what they may do themselves.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// As it stands in records: a principal, or the user of a command.
    pub who: &'a str,
    /// What they hold; `None` for whoever can write the store anyway.
    pub holds: Option<Holds<'a>>,
}

/// What somebody holds.
#[derive(Debug, Clone, Copy)]
pub struct Holds<'a> {
    /// What they may do.
    pub grant: &'a Grant,
    /// When that ends, in milliseconds since 1970, where it does.
    pub ends: Option<i64>,
    /// The limit of whoever has none of their own.
    pub usual_limit: u32,
}

impl Asker<'_> {
    /// The part of a grant that they do not hold.
    pub(crate) fn goes_beyond(&self, grant: &Grant) -> Option<&'static str> {
        self.holds.and_then(|holds| grant.beyond(holds.grant, holds.usual_limit))
    }

    /// Whether they may get a secret of a key that may do this, and ends then.
    pub(super) fn may_make(&self, permits: Option<&Permits>, ends: Option<i64>) -> Result<(), Error> {
        self.may_end(permits)?;
        match self.holds.and_then(|holds| holds.ends) {
            Some(end) if ends.is_none_or(|ends| ends > end) => Err(Error::Beyond("expires")),
            _ => Ok(()),
        }
    }

    /// Whether they may end a key that may do this.
    pub(super) fn may_end(&self, permits: Option<&Permits>) -> Result<(), Error> {
        if self.holds.is_none() {
            return Ok(());
        }
        // What cannot be read, as a newer version may have written it, may be anything.
        let grant = permits.and_then(Permits::grant).ok_or(Error::Beyond("scopes"))?;
        self.goes_beyond(&grant).map_or(Ok(()), |part| Err(Error::Beyond(part)))
    }
}

/// What a key may do, as it is kept, if this version can read it.
pub(super) fn kept(row: &Row) -> Option<Permits> {
    serde_json::from_str(&row.permits).ok()
}
