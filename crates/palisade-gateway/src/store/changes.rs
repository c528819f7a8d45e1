//! Changes that no journal has yet. Each is written together with what it changed, so there is no change without one;
//! a gateway writes it into its journal and then takes it out. Where two do so at the same moment, both journals have it.

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

/// The oldest of them, and the number of the last.
pub(crate) async fn oldest(store: &Store) -> Result<(Vec<Change>, i64), Error> {
    let asked = sql("SELECT * FROM changes ORDER BY number LIMIT $1").bind(AT_ONCE);
    let mut last = 0;
    let mut changes = Vec::new();
    for row in asked.rows(&mut store.read().await?).await? {
        last = row.get("number")?;
        changes.push(Change {
            at: row.get("at")?,
            who: row.get("who")?,
            what: row.get("what")?,
            target: row.get("target")?,
            before: row.get("before")?,
            after: row.get("after")?,
        });
    }
    Ok((changes, last))
}

/// Takes out what a journal has: everything up to this number.
pub(crate) async fn take_out(store: &Store, last: i64) -> Result<(), Error> {
    let mut writing = store.write(Durability::Write).await?;
    sql("DELETE FROM changes WHERE number <= $1").bind(last).run(&mut writing).await?;
    writing.commit().await
}
