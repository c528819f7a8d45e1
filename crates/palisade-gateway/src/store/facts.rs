//! What there is one of, by name.

use sqlx::{Executor, Sqlite, SqliteConnection};

use super::Error;

/// The fact of this name.
pub(crate) async fn get<'e>(from: impl Executor<'e, Database = Sqlite>, name: &str) -> Result<Option<String>, Error> {
    let asked = sqlx::query_scalar("SELECT value FROM facts WHERE name = $1").bind(name.to_owned());
    Ok(asked.fetch_optional(from).await?)
}

/// How often something was changed, by the fact of this name.
pub(crate) async fn version<'e>(from: impl Executor<'e, Database = Sqlite>, name: &str) -> Result<u64, Error> {
    let version = get(from, name).await?;
    Ok(version.and_then(|version| version.parse().ok()).unwrap_or_default())
}

/// Counts one more change, in the write that makes it.
pub(crate) async fn count_up(writing: &mut SqliteConnection, name: &str) -> Result<(), Error> {
    let next = version(&mut *writing, name).await?.wrapping_add(1);
    set(writing, name, &next.to_string()).await
}

/// Sets it.
pub(crate) async fn set<'e>(to: impl Executor<'e, Database = Sqlite>, name: &str, value: &str) -> Result<(), Error> {
    let statement = "INSERT INTO facts (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = $2";
    sqlx::query(statement).bind(name.to_owned()).bind(value.to_owned()).execute(to).await?;
    Ok(())
}
