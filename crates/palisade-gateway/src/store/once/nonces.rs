//! The statements of nonces.

use palisade_guard::clock::Moment;
use palisade_guard::sign::nonces::{KEPT_S, Seen, Use};

use super::super::{Error, Writing};
use super::signed;

/// Nonces that are kept at most.
const MOST: i64 = 2_000_000;
/// How often old ones are looked for.
const PURGE_MS: u64 = 5_000;

/// What the writer remembers from write to write.
#[derive(Default)]
pub(super) struct Kept {
    /// The latest time that was forgotten, as this write knows it.
    forgotten: i64,
    purged_ms: Option<u64>,
    count: i64,
}

impl Kept {
    /// Forgets what nobody can use any more, now and then, and learns what others forgot.
    pub(super) async fn begin(&mut self, writing: &mut Writing, now: Moment) -> Result<(), Error> {
        if self.purged_ms.is_none_or(|before| before + PURGE_MS <= now.monotonic_ms) {
            let last = signed((now.unix_ms / 1000).saturating_sub(KEPT_S));
            let gone: Option<i64> = sqlx::query_scalar("SELECT max(signed) FROM nonces WHERE signed < $1")
                .bind(last)
                .fetch_one(&mut **writing)
                .await?;
            if let Some(gone) = gone {
                sqlx::query("DELETE FROM nonces WHERE signed < $1").bind(last).execute(&mut **writing).await?;
                let forget = "UPDATE facts SET value = max(CAST(value AS INTEGER), $1) WHERE name = 'nonces.forgotten'";
                sqlx::query(forget).bind(gone).execute(&mut **writing).await?;
            }
            self.count = sqlx::query_scalar("SELECT count(*) FROM nonces").fetch_one(&mut **writing).await?;
            self.purged_ms = Some(now.monotonic_ms);
        }
        let forgotten = "SELECT CAST(value AS INTEGER) FROM facts WHERE name = 'nonces.forgotten'";
        self.forgotten = sqlx::query_scalar(forgotten).fetch_one(&mut **writing).await?;
        Ok(())
    }

    /// Notes a use, if it is the first.
    pub(super) async fn insert(
        &mut self,
        writing: &mut Writing,
        used: Use,
    ) -> Result<Result<Seen, &'static str>, Error> {
        let time = signed(used.timestamp);
        if time <= self.forgotten {
            return Ok(Ok(Seen::Forgotten));
        }
        if self.count >= MOST {
            return Ok(Err("there is no room for another nonce"));
        }
        let insert = sqlx::query("INSERT INTO nonces (once, signed) VALUES ($1, $2) ON CONFLICT DO NOTHING");
        let done = insert.bind(used.once.as_slice()).bind(time).execute(&mut **writing).await?;
        if done.rows_affected() == 0 {
            return Ok(Ok(Seen::Again));
        }
        self.count += 1;
        Ok(Ok(Seen::First))
    }
}
