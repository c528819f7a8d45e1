//! The statements of claims.

use bytes::Bytes;
use palisade_guard::idempotency::{Deed, Down, End, Found, KEPT, Recorded, found};

use super::super::{Error, Writing};
use super::signed;

/// Claims that are kept at most. A caller's limit of calls lets it make a seventh of them in the time they are kept.
const MOST: i64 = 10_000_000;
/// Bytes that the store may have with answers in it; beyond that claims are kept, and answers are not.
const BYTES: i64 = 4 << 30;
/// Claims that are forgotten in one write.
const AT_ONCE: i64 = 1000;

/// A claim as it stands: what is done, who does it, its stage, and its answer.
type Row = (Vec<u8>, Vec<u8>, i64, Option<i64>, Option<Vec<u8>>);

/// Claims a deed, if nobody has.
pub(super) async fn claim(
    writing: &mut Writing,
    gateway: &[u8; 16],
    deed: &Deed,
    now_ms: u64,
) -> Result<Result<Found, Down>, Error> {
    let select = "SELECT content, gateway, stage, error, answer FROM claims WHERE claim = $1";
    let row: Option<Row> = sqlx::query_as(select).bind(deed.claim.as_slice()).fetch_optional(&mut **writing).await?;
    if let Some((content, owner, stage, error, answer)) = row {
        let end = match stage {
            0 if owner == gateway || lives(writing, &owner, now_ms).await? => None,
            1 => Some(End::Answered(Recorded { bytes: Bytes::from(answer.unwrap_or_default()), error })),
            2 => Some(End::Unkept),
            _ => Some(End::Unknown),
        };
        let content: [u8; 32] = content.try_into().unwrap_or([0; 32]);
        return Ok(Ok(found(&deed.content, &content, end)));
    }
    let last: Option<i64> =
        sqlx::query_scalar("SELECT max(rowid) - min(rowid) FROM claims").fetch_one(&mut **writing).await?;
    if last.unwrap_or_default() >= MOST {
        return Ok(Err(Down::Store("there is no room for another idempotency key")));
    }
    let until = now_ms.saturating_add(u64::try_from(KEPT.as_millis()).unwrap_or(u64::MAX));
    let insert = "INSERT INTO claims (claim, content, caller, gateway, until) VALUES ($1, $2, $3, $4, $5)";
    let insert = sqlx::query(insert).bind(deed.claim.as_slice()).bind(deed.content.as_slice());
    insert.bind(&*deed.caller).bind(gateway.as_slice()).bind(signed(until)).execute(&mut **writing).await?;
    Ok(Ok(Found::Nothing))
}

/// Whether another gateway, which has the claim, has said lately that it lives.
async fn lives(writing: &mut Writing, gateway: &[u8], now_ms: u64) -> Result<bool, Error> {
    let until = "SELECT until FROM gateways WHERE gateway = $1";
    let until: Option<i64> = sqlx::query_scalar(until).bind(gateway).fetch_optional(&mut **writing).await?;
    Ok(until.is_some_and(|until| until > signed(now_ms)))
}

/// Says what became of a deed; how many claims under way have ended with it.
pub(super) async fn settle(writing: &mut Writing, claim: &[u8; 32], end: End) -> Result<u64, Error> {
    let end = match end {
        End::Answered(_) if bytes(writing).await? > BYTES => End::Unkept,
        end => end,
    };
    let done = match end {
        End::Undone => {
            let delete = sqlx::query("DELETE FROM claims WHERE claim = $1 AND stage = 0").bind(claim.as_slice());
            delete.execute(&mut **writing).await?
        }
        End::Answered(Recorded { bytes, error }) => {
            let update = "UPDATE claims SET stage = 1, error = $2, answer = $3 WHERE claim = $1 AND stage = 0";
            sqlx::query(update).bind(claim.as_slice()).bind(error).bind(bytes.as_ref()).execute(&mut **writing).await?
        }
        End::Unkept | End::Unknown => {
            let stage = if end == End::Unkept { 2_i64 } else { 3 };
            let update = "UPDATE claims SET stage = $2 WHERE claim = $1 AND stage = 0";
            sqlx::query(update).bind(claim.as_slice()).bind(stage).execute(&mut **writing).await?
        }
    };
    Ok(done.rows_affected())
}

/// What the store takes on the disk, without what is free inside.
async fn bytes(writing: &mut Writing) -> Result<i64, Error> {
    let used = "SELECT (p.page_count - f.freelist_count) * s.page_size \
                FROM pragma_page_count p, pragma_freelist_count f, pragma_page_size s";
    Ok(sqlx::query_scalar(used).fetch_one(&mut **writing).await?)
}

/// Says that this gateway lives.
pub(super) async fn live(writing: &mut Writing, gateway: &[u8; 16], until_ms: u64) -> Result<(), Error> {
    let insert = "INSERT INTO gateways (gateway, until) VALUES ($1, $2) ON CONFLICT (gateway) DO UPDATE SET until = $2";
    sqlx::query(insert).bind(gateway.as_slice()).bind(signed(until_ms)).execute(&mut **writing).await?;
    Ok(())
}

/// Forgets claims whose time is over, a bounded number, and gateways that are gone for as long.
pub(super) async fn forget(writing: &mut Writing, now_ms: u64) -> Result<(), Error> {
    let now = signed(now_ms);
    let delete = "DELETE FROM claims WHERE claim IN (SELECT claim FROM claims WHERE until <= $1 LIMIT $2)";
    sqlx::query(delete).bind(now).bind(AT_ONCE).execute(&mut **writing).await?;
    let long_ago = now.saturating_sub(i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX));
    sqlx::query("DELETE FROM gateways WHERE until <= $1").bind(long_ago).execute(&mut **writing).await?;
    Ok(())
}
