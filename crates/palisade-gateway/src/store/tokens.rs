//! What is kept of tokens of our own: the keys that sign them, their families, and what was taken back.
//!
//! Every change that decides who may call counts the version up, in the same write. That a family was refreshed does
//! not: who refreshes asks the store itself.

use super::sql::sql;
use super::{Error, Store, Writing, facts};

/// A key that signs, or did. Times are milliseconds since 1970.
pub(crate) struct KeyRow {
    pub(crate) kid: String,
    pub(crate) seed: Vec<u8>,
    pub(crate) made: i64,
}

/// An access token, and all that followed it by refreshing.
#[derive(Debug, Clone)]
pub(crate) struct Family {
    pub(crate) id: String,
    pub(crate) holder: String,
    /// What its tokens say, as JSON.
    pub(crate) wanted: String,
    /// How often it was refreshed.
    pub(crate) generation: i64,
    pub(crate) expires: i64,
}

/// Something that was taken back.
pub(crate) struct Taken {
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) made_until: i64,
    pub(crate) forget: i64,
}

const VERSION: &str = facts::TOKENS;

/// The version, the keys, the newest first, and what was taken back, as of one moment.
pub(crate) async fn live(store: &Store, now: i64) -> Result<(u64, Vec<KeyRow>, Vec<Taken>), Error> {
    let mut reading = store.read().await?;
    let version = facts::version(&mut reading, VERSION).await?;
    let asked = sql("SELECT * FROM token_keys WHERE retires IS NULL OR retires > $1 ORDER BY made DESC, kid");
    let mut keys = Vec::new();
    for row in asked.bind(now).rows(&mut reading).await? {
        keys.push(KeyRow { kid: row.get("kid")?, seed: row.get("seed")?, made: row.get("made")? });
    }
    let mut taken = Vec::new();
    let asked = sql("SELECT * FROM token_revocations WHERE forget > $1").bind(now);
    for row in asked.rows(&mut reading).await? {
        taken.push(Taken {
            kind: row.get("kind")?,
            name: row.get("name")?,
            made_until: row.get("made_until")?,
            forget: row.get("forget")?,
        });
    }
    Ok((version, keys, taken))
}

/// The key in force, if there is one.
pub(crate) async fn signs(writing: &mut Writing) -> Result<Option<String>, Error> {
    let asked = sql("SELECT kid FROM token_keys WHERE retires IS NULL");
    asked.cell(writing).await
}

/// Puts a key in force; what the one before signed is taken until then.
pub(crate) async fn rotate(writing: &mut Writing, key: &KeyRow, until: i64) -> Result<(), Error> {
    sql("UPDATE token_keys SET retires = $1 WHERE retires IS NULL").bind(until).run(writing).await?;
    sql("DELETE FROM token_keys WHERE retires <= $1").bind(key.made).run(writing).await?;
    let insert = sql("INSERT INTO token_keys (kid, seed, made) VALUES ($1, $2, $3)");
    insert.bind(key.kid.clone()).bind(key.seed.clone()).bind(key.made).run(writing).await?;
    facts::count_up(writing, VERSION).await
}

/// Adds a family, and forgets those whose time is over.
pub(crate) async fn begin(writing: &mut Writing, family: &Family, now: i64) -> Result<(), Error> {
    sql("DELETE FROM token_families WHERE expires <= $1").bind(now).run(writing).await?;
    let statement =
        "INSERT INTO token_families (family, holder, wanted, generation, expires) VALUES ($1, $2, $3, 0, $4)";
    let insert = sql(statement).bind(family.id.clone()).bind(family.holder.clone());
    insert.bind(family.wanted.clone()).bind(family.expires).run(writing).await?;
    Ok(())
}

/// How many families there are.
pub(crate) async fn count(writing: &mut Writing) -> Result<i64, Error> {
    sql("SELECT count(*) FROM token_families").number(writing).await
}

/// The family of this id.
pub(crate) async fn family(writing: &mut Writing, id: &str) -> Result<Option<Family>, Error> {
    let asked = sql("SELECT * FROM token_families WHERE family = $1").bind(id);
    let Some(row) = asked.row(writing).await? else { return Ok(None) };
    Ok(Some(Family {
        id: row.get("family")?,
        holder: row.get("holder")?,
        wanted: row.get("wanted")?,
        generation: row.get("generation")?,
        expires: row.get("expires")?,
    }))
}

/// Notes that a family was refreshed once more.
pub(crate) async fn refreshed(writing: &mut Writing, id: &str, expires: i64) -> Result<(), Error> {
    let update = sql("UPDATE token_families SET generation = generation + 1, expires = $2 WHERE family = $1");
    update.bind(id).bind(expires).run(writing).await?;
    Ok(())
}

/// Takes something back; a family, or the families of a holder, can then be refreshed no more.
pub(crate) async fn take_back(writing: &mut Writing, taken: &Taken, now: i64) -> Result<(), Error> {
    let Taken { kind, name, made_until, forget } = taken;
    let statement = match kind.as_str() {
        "family" => Some("DELETE FROM token_families WHERE family = $1"),
        "holder" => Some("DELETE FROM token_families WHERE holder = $1"),
        _ => None,
    };
    if let Some(statement) = statement {
        sql(statement).bind(name.clone()).run(writing).await?;
    }
    sql("DELETE FROM token_revocations WHERE forget <= $1").bind(now).run(writing).await?;
    let statement = "INSERT INTO token_revocations (kind, name, made_until, forget) VALUES ($1, $2, $3, $4) \
                     ON CONFLICT (kind, name) DO UPDATE SET made_until = $3, forget = $4";
    let insert = sql(statement).bind(kind.clone()).bind(name.clone()).bind(*made_until).bind(*forget);
    insert.run(writing).await?;
    facts::count_up(writing, VERSION).await
}

/// How much was taken back and still matters.
pub(crate) async fn taken_back(writing: &mut Writing) -> Result<i64, Error> {
    sql("SELECT count(*) FROM token_revocations").number(writing).await
}
