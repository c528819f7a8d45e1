//! The tables of a store, brought up to date step by step, all in one write: two processes that start at once do it once.
//!
//! A step that was released never changes; what must change is a step of its own.

use sqlx::{AssertSqlSafe, SqliteConnection};

use super::{Error, Writing};

/// What makes a new store of the one before, in order.
const STEPS: [&str; 3] =
    [include_str!("schema/001_keys.sql"), include_str!("schema/002_once.sql"), include_str!("schema/003_tokens.sql")];
/// Says in the file's first bytes whose it is: "PLSD".
const OURS: i64 = 0x504c_5344;

/// Brings the tables up to date, or says why that cannot be.
pub(super) async fn bring_up(writing: Writing) -> Result<(), Error> {
    let mut writing = writing;
    let version = number(&mut writing, "PRAGMA user_version").await?;
    let owner = number(&mut writing, "PRAGMA application_id").await?;
    let tables = number(&mut writing, "SELECT count(*) FROM sqlite_schema").await?;
    let is_new = owner == 0 && version == 0 && tables == 0;
    if !is_new && owner != OURS {
        return Err(Error::Foreign);
    }
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    if version > known {
        return Err(Error::Newer { found: version, known });
    }
    if version == known {
        return Ok(());
    }
    for step in STEPS.iter().skip(usize::try_from(version).unwrap_or(usize::MAX)) {
        sqlx::raw_sql(*step).execute(&mut *writing).await?;
    }
    let stamp = format!("PRAGMA application_id = {OURS}; PRAGMA user_version = {known}");
    sqlx::raw_sql(AssertSqlSafe(stamp)).execute(&mut *writing).await?;
    writing.commit().await?;
    Ok(())
}

async fn number(connection: &mut SqliteConnection, question: &'static str) -> Result<i64, Error> {
    Ok(sqlx::query_scalar(question).fetch_one(connection).await?)
}
