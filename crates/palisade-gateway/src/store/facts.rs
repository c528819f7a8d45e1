//! What there is one of, by name.

use super::sql::sql;
use super::{Error, Transaction, Writing};

/// The fact of this name.
pub(crate) async fn get(at: &mut Transaction, name: &str) -> Result<Option<String>, Error> {
    sql("SELECT value FROM facts WHERE name = $1").bind(name).cell(at).await
}

/// How often something was changed, by the fact of this name.
pub(crate) async fn version(at: &mut Transaction, name: &str) -> Result<u64, Error> {
    let version = get(at, name).await?;
    Ok(version.and_then(|version| version.parse().ok()).unwrap_or_default())
}

/// Counts one more change, in the write that makes it. A server that can tells who listens, when it is written.
pub(crate) async fn count_up(writing: &mut Writing, name: &str) -> Result<(), Error> {
    if let Transaction::Postgres(_) = writing {
        sql("SELECT 1 FROM pg_notify('palisade', '')").run(writing).await?;
    }
    let next = version(writing, name).await?.wrapping_add(1);
    set(writing, name, &next.to_string()).await
}

/// Sets it.
pub(crate) async fn set(writing: &mut Writing, name: &str, value: &str) -> Result<(), Error> {
    let statement = "INSERT INTO facts (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = $2";
    sql(statement).bind(name).bind(value).run(writing).await?;
    Ok(())
}
