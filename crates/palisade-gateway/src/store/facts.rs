//! What there is one of, by name.

use super::sql::sql;
use super::{Error, Store, Transaction, Writing};

/// How often managed keys were changed.
pub(super) const KEYS: &str = "keys.version";
/// How often keys and revocations of tokens were.
pub(super) const TOKENS: &str = "tokens.version";

/// The fact of this name.
pub(crate) async fn get(at: &mut Transaction, name: &str) -> Result<Option<String>, Error> {
    sql("SELECT value FROM facts WHERE name = $1").bind(name).cell(at).await
}

/// How often something was changed, by the fact of this name.
pub(crate) async fn version(at: &mut Transaction, name: &str) -> Result<u64, Error> {
    let version = get(at, name).await?;
    Ok(version.and_then(|version| version.parse().ok()).unwrap_or_default())
}

/// How often managed keys were changed, and how often tokens: what a gateway asks all the time, in one question.
pub(crate) async fn versions(store: &Store) -> Result<(u64, u64), Error> {
    let asked = sql("SELECT name, value FROM facts WHERE name IN ($1, $2)").bind(KEYS).bind(TOKENS);
    let (mut keys, mut tokens) = (0, 0);
    for row in asked.rows(&mut store.read().await?).await? {
        let (name, value): (String, String) = (row.get("name")?, row.get("value")?);
        let version = value.parse().unwrap_or_default();
        if name == KEYS { keys = version } else { tokens = version }
    }
    Ok((keys, tokens))
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
