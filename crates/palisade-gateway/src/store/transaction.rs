//! Everything that is read or written belongs to a transaction: it is one moment, or it is nothing.

use super::{Error, postgres};

/// A transaction under way. What is dropped was never written.
pub(crate) enum Transaction {
    Sqlite(sqlx::Transaction<'static, sqlx::Sqlite>),
    Postgres(postgres::Transaction),
}

/// A transaction that writes.
pub(crate) type Writing = Transaction;

impl Transaction {
    /// All that was written is there from now on.
    pub(crate) async fn commit(self) -> Result<(), Error> {
        match self {
            Self::Sqlite(transaction) => Ok(transaction.commit().await?),
            Self::Postgres(transaction) => transaction.commit().await,
        }
    }
}
