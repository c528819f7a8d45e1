//! A transaction of PostgreSQL: its beginning, its statements, its end.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tokio_postgres::{Client, Row};

use super::super::sql::Value;
use super::error::down;
use super::pool::Lease;
use super::{Error, Turn};
use crate::journal::Durability;

/// How much longer we wait than the server works: its own word says more.
const GRACE: Duration = Duration::from_millis(100);
const SLOW: &str = "is it too slow, or store.statement_timeout too short?";

/// One under way. Dropped, it is undone.
pub(crate) struct Transaction {
    lease: Lease,
    /// Something failed: the server undoes it all, and would say nothing when told to commit.
    failed: bool,
}

impl Turn {
    /// How it begins.
    pub(super) const fn begin(self) -> &'static str {
        match self {
            Self::Reads => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            Self::Alone(Durability::Strict) | Self::Clears => "BEGIN; SET LOCAL synchronous_commit TO on",
            Self::Alone(Durability::Write) => "BEGIN; SET LOCAL synchronous_commit TO off",
            Self::Beside(Durability::Strict) => {
                "BEGIN; SET LOCAL synchronous_commit TO on; SELECT pg_advisory_xact_lock_shared(1347179332, 2)"
            }
            Self::Beside(Durability::Write) => {
                "BEGIN; SET LOCAL synchronous_commit TO off; SELECT pg_advisory_xact_lock_shared(1347179332, 2)"
            }
        }
    }

    /// The lock it waits for: the first number is "PLSD", the second which.
    const fn lock(self) -> Option<&'static str> {
        match self {
            Self::Reads | Self::Beside(_) => None,
            Self::Alone(_) => Some("SELECT pg_advisory_xact_lock(1347179332, 1)"),
            Self::Clears => Some("SELECT pg_advisory_xact_lock(1347179332, 2)"),
        }
    }
}

impl Transaction {
    pub(super) const fn new(lease: Lease) -> Self {
        Self { lease, failed: false }
    }

    /// Waits for its turn.
    pub(super) async fn take(&mut self, turn: Turn) -> Result<(), Error> {
        let Some(lock) = turn.lock() else { return Ok(()) };
        self.batch(lock).await
    }

    /// Statements without values.
    pub(in crate::store) async fn batch(&mut self, text: &str) -> Result<(), Error> {
        self.within(text, async |client| client.batch_execute(text).await).await
    }

    pub(in crate::store) async fn execute(&mut self, text: &'static str, values: &[Value]) -> Result<u64, Error> {
        let values: Vec<_> = values.iter().map(Value::typed).collect();
        self.within(text, async |client| client.execute_typed(text, &values).await).await
    }

    /// One after the other, without waiting in between.
    pub(in crate::store) async fn execute_all(
        &mut self,
        statements: &[(&'static str, &[Value])],
    ) -> Result<Vec<u64>, Error> {
        let typed: Vec<(&str, Vec<_>)> =
            statements.iter().map(|(text, values)| (*text, values.iter().map(Value::typed).collect())).collect();
        let ask = async |client: &Client| {
            all(typed.iter().map(|(text, values)| Box::pin(client.execute_typed(text, values))).collect()).await
        };
        let logged = self.lease.target().place.log_statements;
        let text =
            if logged { typed.iter().map(|(text, _)| *text).collect::<Vec<_>>().join("; ") } else { String::new() };
        self.within(&text, ask).await
    }

    pub(in crate::store) async fn query(&mut self, text: &'static str, values: &[Value]) -> Result<Vec<Row>, Error> {
        let values: Vec<_> = values.iter().map(Value::typed).collect();
        self.within(text, async |client| client.query_typed(text, &values).await).await
    }

    pub(crate) async fn commit(mut self) -> Result<(), Error> {
        if self.failed {
            return Err(down("undid what had failed before", "ask its log for more"));
        }
        self.batch("COMMIT").await?;
        self.lease.done();
        Ok(())
    }

    /// Asks, and waits as long as a statement may take. Whatever then comes later is none of ours: the connection goes.
    async fn within<T>(
        &mut self,
        text: &str,
        ask: impl AsyncFnOnce(&Client) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, Error> {
        let place = &self.lease.target().place;
        let (patience, logged) = (place.statement + GRACE, place.log_statements);
        let began = Instant::now();
        let Some(link) = self.lease.link() else { return Err(down("was given up", SLOW)) };
        let asked = timeout(patience, ask(&link.client)).await;
        if logged {
            let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            tracing::info!(statement = text, ms, failed = !matches!(asked, Ok(Ok(_))), "the store was asked");
        }
        self.failed |= !matches!(asked, Ok(Ok(_)));
        let Ok(answered) = asked else {
            self.lease.give_up();
            return Err(down("did not answer in time", SLOW));
        };
        Ok(answered?)
    }
}

/// Waits for all of them. Each is asked for the first time in its turn: in this order they are sent.
async fn all<T, E>(mut asked: Vec<Pin<Box<impl Future<Output = Result<T, E>>>>>) -> Result<Vec<T>, E> {
    let mut answers: Vec<Option<T>> = asked.iter().map(|_| None).collect();
    poll_fn(|context| {
        let mut is_complete = true;
        for (asked, answer) in asked.iter_mut().zip(&mut answers).filter(|(_, answer)| answer.is_none()) {
            match asked.as_mut().poll(context)? {
                Poll::Ready(said) => *answer = Some(said),
                Poll::Pending => is_complete = false,
            }
        }
        if is_complete { Poll::Ready(Ok(())) } else { Poll::Pending }
    })
    .await?;
    Ok(answers.into_iter().flatten().collect())
}
