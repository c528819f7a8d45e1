//! One statement for both kinds of database: the same text, but where one of them says it in another way.
//!
//! A text is a part of the program, never made of anything; what callers send is a value beside it. So there is nothing to
//! inject into, and what is logged of a statement holds nothing of anybody.

use sqlx::{Row as _, Sqlite};
use tokio_postgres::types::{FromSqlOwned, ToSql, Type};

use super::{Error, Transaction};

/// A statement and its values.
pub(crate) struct Sql {
    sqlite: &'static str,
    postgres: &'static str,
    values: Vec<Value>,
}

/// A value of a statement. Also one that is not there has a type, which PostgreSQL asks for.
#[derive(Clone)]
pub(crate) enum Value {
    Integer(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
}

/// A row of an answer.
pub(crate) enum Row {
    Sqlite(sqlx::sqlite::SqliteRow),
    Postgres(tokio_postgres::Row),
}

/// What a column can be read as.
pub(crate) trait Cell: for<'r> sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite> + FromSqlOwned {}
impl<T> Cell for T where T: for<'r> sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite> + FromSqlOwned {}

/// A statement that both understand.
pub(crate) const fn sql(text: &'static str) -> Sql {
    Sql { sqlite: text, postgres: text, values: Vec::new() }
}

/// A statement that each has in its own words, with the same values.
pub(crate) const fn sql_of(sqlite: &'static str, postgres: &'static str) -> Sql {
    Sql { sqlite, postgres, values: Vec::new() }
}

impl Sql {
    /// The next value: `$1`, `$2` and so on.
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Runs it, and says how many rows it changed.
    pub(crate) async fn run(self, at: &mut Transaction) -> Result<u64, Error> {
        match at {
            Transaction::Sqlite(at) => {
                let done = bound(self.sqlite, self.values).execute(&mut **at).await?;
                Ok(done.rows_affected())
            }
            Transaction::Postgres(at) => at.execute(self.postgres, &self.values).await,
        }
    }

    /// All rows that it answers with.
    pub(crate) async fn rows(self, at: &mut Transaction) -> Result<Vec<Row>, Error> {
        match at {
            Transaction::Sqlite(at) => {
                let rows = bound(self.sqlite, self.values).fetch_all(&mut **at).await?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
            Transaction::Postgres(at) => {
                let rows = at.query(self.postgres, &self.values).await?;
                Ok(rows.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    /// The first row, if there is one.
    pub(crate) async fn row(self, at: &mut Transaction) -> Result<Option<Row>, Error> {
        Ok(self.rows(at).await?.into_iter().next())
    }

    /// The first column of the first row, if there is one.
    pub(crate) async fn cell<T: Cell>(self, at: &mut Transaction) -> Result<Option<T>, Error> {
        self.row(at).await?.map(|row| row.at(0)).transpose()
    }

    /// A count, or another number that is always there.
    pub(crate) async fn number(self, at: &mut Transaction) -> Result<i64, Error> {
        Ok(self.cell::<Option<i64>>(at).await?.flatten().unwrap_or_default())
    }
}

impl Row {
    /// The column of this name.
    pub(crate) fn get<T: Cell>(&self, name: &'static str) -> Result<T, Error> {
        match self {
            Self::Sqlite(row) => Ok(row.try_get(name)?),
            Self::Postgres(row) => Ok(row.try_get(name)?),
        }
    }

    /// The column at this place.
    pub(crate) fn at<T: Cell>(&self, place: usize) -> Result<T, Error> {
        match self {
            Self::Sqlite(row) => Ok(row.try_get(place)?),
            Self::Postgres(row) => Ok(row.try_get(place)?),
        }
    }
}

/// Runs them in their order, and says how many rows each changed. On a server they are under way together.
pub(crate) async fn run_all(statements: Vec<Sql>, at: &mut Transaction) -> Result<Vec<u64>, Error> {
    if let Transaction::Postgres(at) = at {
        let statements: Vec<_> = statements.iter().map(|sql| (sql.postgres, sql.values.as_slice())).collect();
        return at.execute_all(&statements).await;
    }
    let mut done = Vec::with_capacity(statements.len());
    for statement in statements {
        done.push(statement.run(at).await?);
    }
    Ok(done)
}

fn bound(text: &'static str, values: Vec<Value>) -> sqlx::query::Query<'static, Sqlite, sqlx::sqlite::SqliteArguments> {
    values.into_iter().fold(sqlx::query(text), |query, value| match value {
        Value::Integer(value) => query.bind(value),
        Value::Text(value) => query.bind(value),
        Value::Bytes(value) => query.bind(value),
    })
}

impl Value {
    /// As PostgreSQL takes it.
    pub(super) fn typed(&self) -> (&(dyn ToSql + Sync), Type) {
        match self {
            Self::Integer(value) => (value, Type::INT8),
            Self::Text(value) => (value, Type::TEXT),
            Self::Bytes(value) => (value, Type::BYTEA),
        }
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(Some(value))
    }
}

impl From<Option<i64>> for Value {
    fn from(value: Option<i64>) -> Self {
        Self::Integer(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::from(Some(value.to_owned()))
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::from(Some(value))
    }
}

impl From<Option<String>> for Value {
    /// PostgreSQL has no text with a zero in it, and would refuse a whole batch for one.
    fn from(value: Option<String>) -> Self {
        Self::Text(value.map(|text| if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }))
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::Bytes(Some(value.to_vec()))
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(Some(value))
    }
}

impl From<Option<Vec<u8>>> for Value {
    fn from(value: Option<Vec<u8>>) -> Self {
        Self::Bytes(value)
    }
}
