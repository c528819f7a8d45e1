//! The statements of claims.

use bytes::Bytes;
use palisade_guard::clock::Moment;
use palisade_guard::idempotency::{Deed, Down, End, Found, KEPT, Recorded, found};

use super::super::sql::{Sql, sql, sql_of};
use super::super::{Error, Writing};
use super::{CLEAR_MS, signed};

/// Claims that are kept at most. A caller's limit of calls lets it make a seventh of them in the time they are kept.
const MOST: i64 = 10_000_000;
/// Bytes that the store may have with answers in it; beyond that claims are kept, and answers are not.
const BYTES: i64 = 4 << 30;
/// Claims that are forgotten in one write.
const AT_ONCE: i64 = 1000;

/// Why there is none.
pub(super) const NO_ROOM: Down = Down::Store("there is no room for another idempotency key");

/// What the writer remembers from write to write.
#[derive(Default)]
pub(super) struct Kept {
    measured_ms: Option<u64>,
    /// Claims, and what they take, when it was measured, and since.
    count: i64,
    bytes: i64,
    /// There was more to forget than is forgotten in one write.
    more: bool,
}

impl Kept {
    /// Forgets claims whose time is over, and measures what is left, now and then.
    pub(super) async fn begin(&mut self, writing: &mut Writing, now: Moment) -> Result<(), Error> {
        let is_due = self.measured_ms.is_none_or(|before| before + CLEAR_MS <= now.monotonic_ms);
        if is_due || self.more {
            // What another gateway forgets at this moment is left to it.
            let delete = sql_of(
                "DELETE FROM claims WHERE claim IN (SELECT claim FROM claims WHERE until <= $1 LIMIT $2)",
                "DELETE FROM claims WHERE claim IN \
                 (SELECT claim FROM claims WHERE until <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
            );
            let gone = delete.bind(signed(now.unix_ms)).bind(AT_ONCE).run(writing).await?;
            self.more = signed(gone) >= AT_ONCE;
        }
        if is_due {
            (self.count, self.bytes) = (count(writing).await?, bytes(writing).await?);
            self.measured_ms = Some(now.monotonic_ms);
        }
        Ok(())
    }

    /// Whether there is no room for another one.
    pub(super) const fn is_full(&self) -> bool {
        self.count >= MOST
    }

    /// One was made.
    pub(super) const fn one_more(&mut self) {
        self.count += 1;
    }

    /// An end was written down.
    pub(super) fn grow(&mut self, end: &End) {
        if let End::Answered(Recorded { bytes, .. }) = end {
            self.bytes = self.bytes.saturating_add(i64::try_from(bytes.len()).unwrap_or(i64::MAX));
        }
    }

    /// Says what became of a deed that was claimed here.
    pub(super) fn settle(&self, gateway: &[u8; 16], claim: &[u8; 32], end: &End) -> Sql {
        const OURS: &str = "UPDATE claims SET stage = $3, error = $4, answer = $5 \
                            WHERE claim = $1 AND gateway = $2 AND stage = 0";
        let ours = |text| sql(text).bind(claim.as_slice()).bind(gateway.as_slice());
        let (stage, error, answer) = match end {
            End::Undone => return ours("DELETE FROM claims WHERE claim = $1 AND gateway = $2 AND stage = 0"),
            End::Answered(Recorded { bytes, error }) if self.bytes <= BYTES => (1, *error, Some(bytes.to_vec())),
            End::Answered(_) | End::Unkept => (2, None, None),
            End::Unknown => (3, None, None),
        };
        ours(OURS).bind(stage).bind(error).bind(answer)
    }
}

/// Claims a deed, if nobody has.
pub(super) fn insert(gateway: &[u8; 16], deed: &Deed, now_ms: u64) -> Sql {
    let until = now_ms.saturating_add(u64::try_from(KEPT.as_millis()).unwrap_or(u64::MAX));
    let insert = "INSERT INTO claims (claim, content, caller, gateway, until) VALUES ($1, $2, $3, $4, $5) \
                  ON CONFLICT DO NOTHING";
    let insert = sql(insert).bind(deed.claim.as_slice()).bind(deed.content.as_slice()).bind(&*deed.caller);
    insert.bind(gateway.as_slice()).bind(signed(until))
}

/// What is found of a claim that stands.
pub(super) async fn standing(
    writing: &mut Writing,
    gateway: &[u8; 16],
    deed: &Deed,
    now_ms: u64,
) -> Result<Option<Found>, Error> {
    let select = sql("SELECT content, gateway, stage, error, answer FROM claims WHERE claim = $1");
    let Some(row) = select.bind(deed.claim.as_slice()).row(writing).await? else { return Ok(None) };
    let owner: Vec<u8> = row.get("gateway")?;
    let end = match row.get::<i64>("stage")? {
        0 if owner == gateway || lives(writing, &owner, now_ms).await? => None,
        1 => {
            let answer: Option<Vec<u8>> = row.get("answer")?;
            Some(End::Answered(Recorded { bytes: Bytes::from(answer.unwrap_or_default()), error: row.get("error")? }))
        }
        2 => Some(End::Unkept),
        _ => Some(End::Unknown),
    };
    let content: Vec<u8> = row.get("content")?;
    let content: [u8; 32] = content.try_into().unwrap_or([0; 32]);
    Ok(Some(found(&deed.content, &content, end)))
}

/// Whether another gateway, which has the claim, has said lately that it lives.
async fn lives(writing: &mut Writing, gateway: &[u8], now_ms: u64) -> Result<bool, Error> {
    let until = sql("SELECT until FROM gateways WHERE gateway = $1").bind(gateway).cell::<i64>(writing).await?;
    Ok(until.is_some_and(|until| until > signed(now_ms)))
}

/// How many there are, or nearly: nobody may wait until millions are counted.
async fn count(writing: &mut Writing) -> Result<i64, Error> {
    let count = sql_of(
        "SELECT max(rowid) - min(rowid) FROM claims",
        "SELECT n_live_tup FROM pg_stat_user_tables WHERE relid = 'claims'::regclass",
    );
    count.number(writing).await
}

/// What the store takes on the disk, without what is free inside. PostgreSQL does not know that: where its files are
/// large, a hundredth of them is looked at.
async fn bytes(writing: &mut Writing) -> Result<i64, Error> {
    let file = "SELECT (p.page_count - f.freelist_count) * s.page_size \
                FROM pragma_page_count p, pragma_freelist_count f, pragma_page_size s";
    let table = "SELECT CASE WHEN pg_total_relation_size('claims') <= 4294967296 THEN pg_total_relation_size('claims') \
                 ELSE (SELECT 100 * coalesce(sum(octet_length(answer) + 300), 0)::bigint \
                 FROM claims TABLESAMPLE SYSTEM (1)) END";
    sql_of(file, table).number(writing).await
}

/// Says that this gateway lives.
pub(super) async fn live(writing: &mut Writing, gateway: &[u8; 16], until_ms: u64) -> Result<(), Error> {
    let insert = "INSERT INTO gateways (gateway, until) VALUES ($1, $2) ON CONFLICT (gateway) DO UPDATE SET until = $2";
    sql(insert).bind(gateway.as_slice()).bind(signed(until_ms)).run(writing).await?;
    Ok(())
}

/// Forgets gateways that are gone for as long as their claims are kept.
pub(super) async fn forget_gateways(clearing: &mut Writing, now_ms: u64) -> Result<(), Error> {
    let long_ago = signed(now_ms).saturating_sub(i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX));
    sql("DELETE FROM gateways WHERE until <= $1").bind(long_ago).run(clearing).await?;
    Ok(())
}
