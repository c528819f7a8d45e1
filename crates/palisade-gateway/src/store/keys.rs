//! The rows of managed keys.
//!
//! Every change of a row that decides who may call counts the version up, in the same write: by it each gateway sees
//! that its table is old. Uses do not count.

use super::sql::{self, run_all, sql, sql_of};
use super::{Error, Store, Transaction, Writing, facts};

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

impl Row {
    fn read(row: &sql::Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            name: row.get("name")?,
            owner: row.get("owner")?,
            permits: row.get("permits")?,
            created: row.get("created")?,
            created_by: row.get("created_by")?,
            expires: row.get("expires")?,
            revoked: row.get("revoked")?,
            digest: row.get("digest")?,
            rotated: row.get("rotated")?,
            old_digest: row.get("old_digest")?,
            old_until: row.get("old_until")?,
            uses: row.get("uses")?,
            last_used: row.get("last_used")?,
        })
    }
}

const VERSION: &str = facts::KEYS;

/// Keys of one statement: all of them may take longer than one may.
const AT_ONCE: i64 = 5000;

/// The version, and every key that was not revoked, as of one moment.
pub(crate) async fn live(store: &Store) -> Result<(u64, Vec<Row>), Error> {
    let mut reading = store.read().await?;
    let version = facts::version(&mut reading, VERSION).await?;
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let page = sql("SELECT * FROM keys WHERE revoked IS NULL AND id > $1 ORDER BY id LIMIT $2");
        let page = page.bind(after.as_str()).bind(AT_ONCE).rows(&mut reading).await?;
        all.extend(page.iter().map(Row::read).collect::<Result<Vec<_>, _>>()?);
        match all.last().filter(|_| i64::try_from(page.len()) == Ok(AT_ONCE)) {
            Some(last) => after.clone_from(&last.id),
            None => return Ok((version, all)),
        }
    }
}

/// The newest keys, or those that are older than the key of this id, the newest of them first.
pub(crate) async fn page(store: &Store, after: Option<&str>, most: i64) -> Result<Vec<Row>, Error> {
    let asked = match after {
        None => sql("SELECT * FROM keys ORDER BY created DESC, id DESC LIMIT $1").bind(most),
        Some(after) => {
            let older = "SELECT * FROM keys WHERE (created, id) < (SELECT created, id FROM keys WHERE id = $2) \
                         ORDER BY created DESC, id DESC LIMIT $1";
            sql(older).bind(most).bind(after)
        }
    };
    asked.rows(&mut store.read().await?).await?.iter().map(Row::read).collect()
}

/// Forgets some keys that were revoked, the oldest first, and says how many.
pub(crate) async fn forget(writing: &mut Writing, most: i64) -> Result<u64, Error> {
    let statement = "DELETE FROM keys WHERE id IN \
                     (SELECT id FROM keys WHERE revoked IS NOT NULL ORDER BY revoked, id LIMIT $1)";
    sql(statement).bind(most).run(writing).await
}

/// How many keys there are, revoked ones too.
pub(crate) async fn count(writing: &mut Writing) -> Result<i64, Error> {
    sql("SELECT count(*) FROM keys").number(writing).await
}

/// The key of this id.
pub(crate) async fn one(at: &mut Transaction, id: &str) -> Result<Option<Row>, Error> {
    sql("SELECT * FROM keys WHERE id = $1").bind(id).row(at).await?.as_ref().map(Row::read).transpose()
}

/// Whether a key that was not revoked has this name.
pub(crate) async fn is_taken(writing: &mut Writing, name: &str) -> Result<bool, Error> {
    let asked = sql("SELECT count(*) FROM keys WHERE name = $1 AND revoked IS NULL");
    Ok(asked.bind(name).number(writing).await? > 0)
}

/// Adds a key.
pub(crate) async fn insert(writing: &mut Writing, row: &Row) -> Result<(), Error> {
    let statement = "INSERT INTO keys (id, name, owner, permits, created, created_by, expires, digest) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let insert = sql(statement).bind(row.id.clone()).bind(row.name.clone()).bind(row.owner.clone());
    let insert = insert.bind(row.permits.clone()).bind(row.created).bind(row.created_by.clone());
    insert.bind(row.expires).bind(row.digest.clone()).run(writing).await?;
    facts::count_up(writing, VERSION).await
}

/// Writes what a rotation changes.
pub(crate) async fn rotate(writing: &mut Writing, row: &Row) -> Result<(), Error> {
    let statement = "UPDATE keys SET digest = $2, rotated = $3, old_digest = $4, old_until = $5, expires = $6 \
                     WHERE id = $1";
    let update = sql(statement).bind(row.id.clone()).bind(row.digest.clone()).bind(row.rotated);
    let update = update.bind(row.old_digest.clone()).bind(row.old_until).bind(row.expires);
    update.run(writing).await?;
    facts::count_up(writing, VERSION).await
}

/// Revokes a key for good; nothing that could be used is left of it.
pub(crate) async fn revoke(writing: &mut Writing, id: &str, now: i64) -> Result<(), Error> {
    let statement = "UPDATE keys SET revoked = $2, digest = $3, old_digest = NULL, old_until = NULL WHERE id = $1";
    sql(statement).bind(id).bind(now).bind(Vec::new()).run(writing).await?;
    facts::count_up(writing, VERSION).await
}

/// Keeps other digests of secrets, wherever the rows have them still: of which key, which, and the new one.
pub(crate) async fn renew(writing: &mut Writing, renewals: &[(String, Vec<u8>, Vec<u8>)]) -> Result<(), Error> {
    const RENEW: &str = "UPDATE keys SET digest = CASE WHEN digest = $2 THEN $3 ELSE digest END, \
                         old_digest = CASE WHEN old_digest = $2 THEN $3 ELSE old_digest END \
                         WHERE id = $1 AND (digest = $2 OR old_digest = $2)";
    let all = renewals.iter().map(|(id, from, to)| sql(RENEW).bind(id.as_str()).bind(from.clone()).bind(to.clone()));
    run_all(all.collect(), writing).await?;
    facts::count_up(writing, VERSION).await
}

/// Adds uses, of keys that may be revoked meanwhile: of which, how many, and when the last was. Others add theirs at the
/// same time, so they come in the order of their ids.
pub(crate) async fn add_uses(writing: &mut Writing, uses: &[(String, i64, i64)]) -> Result<(), Error> {
    let all = uses.iter().map(|(id, uses, last)| {
        let statement = sql_of(
            "UPDATE keys SET uses = uses + $2, last_used = max(coalesce(last_used, 0), $3) WHERE id = $1",
            "UPDATE keys SET uses = uses + $2, last_used = greatest(coalesce(last_used, 0), $3) WHERE id = $1",
        );
        statement.bind(id.as_str()).bind(*uses).bind(*last)
    });
    run_all(all.collect(), writing).await?;
    Ok(())
}
