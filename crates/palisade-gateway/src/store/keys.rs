//! The rows of managed keys.
//!
//! Every change of a row that decides who may call counts the version up, in the same write: by it each gateway sees
//! that its table is old. Uses do not count.

use sqlx::sqlite::SqliteRow;
use sqlx::{Executor, FromRow, Row as _, Sqlite};

use super::{Error, Store, Writing, facts};

/// One key. Times are milliseconds since 1970.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) owner: Option<String>,
    pub(crate) permits: String,
    pub(crate) created: i64,
    pub(crate) created_by: String,
    pub(crate) expires: Option<i64>,
    pub(crate) revoked: Option<i64>,
    pub(crate) digest: Vec<u8>,
    pub(crate) rotated: Option<i64>,
    pub(crate) old_digest: Option<Vec<u8>>,
    pub(crate) old_until: Option<i64>,
    pub(crate) uses: i64,
    pub(crate) last_used: Option<i64>,
}

impl FromRow<'_, SqliteRow> for Row {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            owner: row.try_get("owner")?,
            permits: row.try_get("permits")?,
            created: row.try_get("created")?,
            created_by: row.try_get("created_by")?,
            expires: row.try_get("expires")?,
            revoked: row.try_get("revoked")?,
            digest: row.try_get("digest")?,
            rotated: row.try_get("rotated")?,
            old_digest: row.try_get("old_digest")?,
            old_until: row.try_get("old_until")?,
            uses: row.try_get("uses")?,
            last_used: row.try_get("last_used")?,
        })
    }
}

const VERSION: &str = "keys.version";

/// How often the keys were changed.
pub(crate) async fn version<'e>(from: impl Executor<'e, Database = Sqlite>) -> Result<u64, Error> {
    facts::version(from, VERSION).await
}

/// The version, and every key that was not revoked, as of one moment.
pub(crate) async fn live(store: &Store) -> Result<(u64, Vec<Row>), Error> {
    let mut reading = store.read().begin().await?;
    let version = version(&mut *reading).await?;
    let rows = sqlx::query_as("SELECT * FROM keys WHERE revoked IS NULL").fetch_all(&mut *reading).await?;
    Ok((version, rows))
}

/// The newest keys, or those that are older than the key of this id, the newest of them first.
pub(crate) async fn page(store: &Store, after: Option<&str>, most: i64) -> Result<Vec<Row>, Error> {
    let asked = match after {
        None => sqlx::query_as("SELECT * FROM keys ORDER BY created DESC, id DESC LIMIT $1").bind(most),
        Some(after) => {
            let older = "SELECT * FROM keys WHERE (created, id) < (SELECT created, id FROM keys WHERE id = $2) \
                         ORDER BY created DESC, id DESC LIMIT $1";
            sqlx::query_as(older).bind(most).bind(after.to_owned())
        }
    };
    Ok(asked.fetch_all(store.read()).await?)
}

/// Forgets some keys that were revoked, the oldest first, and says how many.
pub(crate) async fn forget(writing: &mut Writing, most: i64) -> Result<u64, Error> {
    let statement = "DELETE FROM keys WHERE id IN \
                     (SELECT id FROM keys WHERE revoked IS NOT NULL ORDER BY revoked, id LIMIT $1)";
    Ok(sqlx::query(statement).bind(most).execute(&mut **writing).await?.rows_affected())
}

/// How many keys there are, revoked ones too.
pub(crate) async fn count(writing: &mut Writing) -> Result<i64, Error> {
    Ok(sqlx::query_scalar("SELECT count(*) FROM keys").fetch_one(&mut **writing).await?)
}

/// The key of this id.
pub(crate) async fn one<'e>(from: impl Executor<'e, Database = Sqlite>, id: &str) -> Result<Option<Row>, Error> {
    Ok(sqlx::query_as("SELECT * FROM keys WHERE id = $1").bind(id.to_owned()).fetch_optional(from).await?)
}

/// Whether a key that was not revoked has this name.
pub(crate) async fn is_taken(writing: &mut Writing, name: &str) -> Result<bool, Error> {
    let asked = sqlx::query_scalar("SELECT count(*) FROM keys WHERE name = $1 AND revoked IS NULL");
    let found: i64 = asked.bind(name.to_owned()).fetch_one(&mut **writing).await?;
    Ok(found > 0)
}

/// Adds a key.
pub(crate) async fn insert(writing: &mut Writing, row: &Row) -> Result<(), Error> {
    let statement = "INSERT INTO keys (id, name, owner, permits, created, created_by, expires, digest) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let insert = sqlx::query(statement).bind(row.id.clone()).bind(row.name.clone()).bind(row.owner.clone());
    let insert = insert.bind(row.permits.clone()).bind(row.created).bind(row.created_by.clone());
    insert.bind(row.expires).bind(row.digest.clone()).execute(&mut **writing).await?;
    facts::count_up(writing, VERSION).await
}

/// Writes what a rotation changes.
pub(crate) async fn rotate(writing: &mut Writing, row: &Row) -> Result<(), Error> {
    let statement = "UPDATE keys SET digest = $2, rotated = $3, old_digest = $4, old_until = $5, expires = $6 \
                     WHERE id = $1";
    let update = sqlx::query(statement).bind(row.id.clone()).bind(row.digest.clone()).bind(row.rotated);
    let update = update.bind(row.old_digest.clone()).bind(row.old_until).bind(row.expires);
    update.execute(&mut **writing).await?;
    facts::count_up(writing, VERSION).await
}

/// Revokes a key for good; nothing that could be used is left of it.
pub(crate) async fn revoke(writing: &mut Writing, id: &str, now: i64) -> Result<(), Error> {
    let statement = "UPDATE keys SET revoked = $2, digest = x'', old_digest = NULL, old_until = NULL WHERE id = $1";
    sqlx::query(statement).bind(id.to_owned()).bind(now).execute(&mut **writing).await?;
    facts::count_up(writing, VERSION).await
}

/// Adds uses, of a key that may be revoked meanwhile.
pub(crate) async fn add_uses(writing: &mut Writing, id: &str, uses: i64, last: i64) -> Result<(), Error> {
    let statement = "UPDATE keys SET uses = uses + $2, last_used = max(coalesce(last_used, 0), $3) WHERE id = $1";
    sqlx::query(statement).bind(id.to_owned()).bind(uses).bind(last).execute(&mut **writing).await?;
    Ok(())
}
