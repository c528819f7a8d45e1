//! The statements of nonces.

use palisade_guard::clock::Moment;
use palisade_guard::sign::nonces::{KEPT_S, Seen, Use};

use super::super::facts;
use super::super::sql::{Sql, sql, sql_of};
use super::super::{Error, Writing};
use super::signed;

/// Nonces that are kept at most.
const MOST: i64 = 2_000_000;
/// Nonces that are forgotten at one time, and a few more where many have the same time.
const AT_ONCE: i64 = 50_000;
/// The latest time that was forgotten.
const FORGOTTEN: &str = "nonces.forgotten";

/// What the writer remembers from write to write.
#[derive(Default)]
pub(super) struct Kept {
    /// The latest time that was forgotten, as this write knows it.
    forgotten: i64,
    count: i64,
}

impl Kept {
    /// Forgets what nobody can use any more, while nobody else uses any.
    pub(super) async fn clear(&mut self, clearing: &mut Writing, now: Moment) -> Result<(), Error> {
        let last = signed((now.unix_ms / 1000).saturating_sub(KEPT_S));
        let oldest = "SELECT max(signed) FROM \
                      (SELECT signed FROM nonces WHERE signed < $1 ORDER BY signed LIMIT $2) AS oldest";
        let gone = sql(oldest).bind(last).bind(AT_ONCE).cell::<Option<i64>>(clearing).await?.flatten();
        if let Some(gone) = gone {
            sql("DELETE FROM nonces WHERE signed <= $1").bind(gone).run(clearing).await?;
            let before = forgotten(clearing).await?;
            facts::set(clearing, FORGOTTEN, &before.max(gone).to_string()).await?;
        }
        // To count millions takes PostgreSQL longer than anybody may wait; it keeps an estimate.
        let count = sql_of(
            "SELECT count(*) FROM nonces",
            "SELECT n_live_tup FROM pg_stat_user_tables WHERE relid = 'nonces'::regclass",
        );
        self.count = count.number(clearing).await?;
        Ok(())
    }

    /// Learns what others forgot.
    pub(super) async fn begin(&mut self, writing: &mut Writing) -> Result<(), Error> {
        self.forgotten = forgotten(writing).await?;
        Ok(())
    }

    /// What is known of a use without looking.
    pub(super) fn refuse(&self, used: &Use) -> Option<Result<Seen, &'static str>> {
        if signed(used.timestamp) <= self.forgotten {
            return Some(Ok(Seen::Forgotten));
        }
        (self.count >= MOST).then_some(Err("there is no room for another nonce"))
    }

    /// What is found of one that was noted, or could not be.
    pub(super) const fn inserted(&mut self, is_new: bool) -> Seen {
        if !is_new {
            return Seen::Again;
        }
        self.count += 1;
        Seen::First
    }
}

/// Notes a use, if it is the first.
pub(super) fn insert(used: &Use) -> Sql {
    let insert = sql("INSERT INTO nonces (once, signed) VALUES ($1, $2) ON CONFLICT DO NOTHING");
    insert.bind(used.once.as_slice()).bind(signed(used.timestamp))
}

async fn forgotten(writing: &mut Writing) -> Result<i64, Error> {
    let time = facts::get(writing, FORGOTTEN).await?;
    Ok(time.and_then(|time| time.parse().ok()).unwrap_or_default())
}
