//! Changes that no journal has yet. Each is written together with what it changed, so there is no change without one; a
//! gateway writes it into its journal and then takes it out.
//!
//! Of several gateways on one store one does so: nobody else writes to the store meanwhile. Which one is no matter, since
//! the call that asked for a change is in the journal of the gateway that it came to, and the command has none. A gateway
//! that dies between journal and store leaves the change to the next, which writes it down once more, with the same number.

use super::sql::sql;
use super::{Error, Store, Writing};
use crate::journal::Durability;

/// Somebody changed something.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    /// Milliseconds since 1970.
    pub(crate) at: i64,
    /// By whom.
    pub(crate) who: String,
    /// What was done, like `key.create`.
    pub(crate) what: String,
    /// To what.
    pub(crate) target: String,
    /// As JSON, without secrets.
    pub(crate) before: Option<String>,
    /// As JSON, without secrets.
    pub(crate) after: Option<String>,
}

/// Changes that are taken at one time.
const AT_ONCE: i64 = 100;

/// Writes a change down, in the write that makes it.
pub(crate) async fn add(writing: &mut Writing, change: &Change) -> Result<(), Error> {
    let Change { at, who, what, target, before, after } = change.clone();
    let statement = "INSERT INTO changes (at, who, what, target, before, after) VALUES ($1, $2, $3, $4, $5, $6)";
    sql(statement).bind(at).bind(who).bind(what).bind(target).bind(before).bind(after).run(writing).await?;
    Ok(())
}

/// Some changes, and the right to write them into a journal.
pub(crate) struct Taken {
    /// With their numbers.
    pub(crate) changes: Vec<(u64, Change)>,
    last: i64,
    writing: Writing,
}

/// The oldest of them, if there are any. Nobody else writes until they are taken out, or dropped, which leaves them.
pub(crate) async fn take(store: &Store) -> Result<Option<Taken>, Error> {
    if sql("SELECT count(*) FROM changes").number(&mut store.read().await?).await? == 0 {
        return Ok(None);
    }
    let mut writing = store.write(Durability::Write).await?;
    let asked = sql("SELECT * FROM changes ORDER BY number LIMIT $1").bind(AT_ONCE);
    let mut last = 0;
    let mut changes = Vec::new();
    for row in asked.rows(&mut writing).await? {
        last = row.get("number")?;
        let change = Change {
            at: row.get("at")?,
            who: row.get("who")?,
            what: row.get("what")?,
            target: row.get("target")?,
            before: row.get("before")?,
            after: row.get("after")?,
        };
        changes.push((u64::try_from(last).unwrap_or_default(), change));
    }
    Ok((!changes.is_empty()).then_some(Taken { changes, last, writing }))
}

impl Taken {
    /// A journal has them.
    pub(crate) async fn out(mut self) -> Result<(), Error> {
        sql("DELETE FROM changes WHERE number <= $1").bind(self.last).run(&mut self.writing).await?;
        self.writing.commit().await
    }
}
