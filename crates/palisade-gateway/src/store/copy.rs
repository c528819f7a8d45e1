//! One store into another: every row of every table, as it is.
//!
//! 1. What is read is of one moment, and what is written is there whole or not at all.
//! 2. The target is empty before: two stores do not become one, for each has keys under its own pepper.
//! 3. Secrets are copied as the digests they are. The pepper is not in a store, and not copied.

use super::sql::{Row, Sql, Value, sql};
use super::{Error, Store, Transaction};
use crate::journal::Durability;

/// Rows that are in memory at one time: an answer in a claim may have 256 KiB.
const PAGE: usize = 200;

/// A table: its columns, and its statements. `key` orders its rows.
struct Table {
    name: &'static str,
    columns: &'static [(&'static str, Kind)],
    count: &'static str,
    page: &'static str,
    insert: &'static str,
    /// Smaller than every key.
    first: Kind,
}

/// What a column holds.
#[derive(Clone, Copy)]
enum Kind {
    Integer,
    Text,
    Bytes,
}

use Kind::{Bytes, Integer, Text};

/// All there are but `facts`, of which a new store has some.
const TABLES: [Table; 8] = [
    Table {
        name: "keys",
        columns: &[
            ("id", Text),
            ("name", Text),
            ("owner", Text),
            ("permits", Text),
            ("created", Integer),
            ("created_by", Text),
            ("expires", Integer),
            ("revoked", Integer),
            ("digest", Bytes),
            ("rotated", Integer),
            ("old_digest", Bytes),
            ("old_until", Integer),
            ("uses", Integer),
            ("last_used", Integer),
        ],
        count: "SELECT count(*) FROM keys",
        page: "SELECT *, id AS key FROM keys WHERE id > $1 ORDER BY id LIMIT $2",
        insert: "INSERT INTO keys (id, name, owner, permits, created, created_by, expires, revoked, digest, rotated, \
                 old_digest, old_until, uses, last_used) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        first: Text,
    },
    Table {
        name: "changes",
        columns: &[
            ("number", Integer),
            ("at", Integer),
            ("who", Text),
            ("what", Text),
            ("target", Text),
            ("before", Text),
            ("after", Text),
        ],
        count: "SELECT count(*) FROM changes",
        page: "SELECT *, number AS key FROM changes WHERE number > $1 ORDER BY number LIMIT $2",
        insert: "INSERT INTO changes (number, at, who, what, target, before, after) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
        first: Integer,
    },
    Table {
        name: "nonces",
        columns: &[("once", Bytes), ("signed", Integer)],
        count: "SELECT count(*) FROM nonces",
        page: "SELECT *, once AS key FROM nonces WHERE once > $1 ORDER BY once LIMIT $2",
        insert: "INSERT INTO nonces (once, signed) VALUES ($1, $2)",
        first: Bytes,
    },
    Table {
        name: "claims",
        columns: &[
            ("claim", Bytes),
            ("content", Bytes),
            ("caller", Text),
            ("gateway", Bytes),
            ("until", Integer),
            ("stage", Integer),
            ("error", Integer),
            ("answer", Bytes),
        ],
        count: "SELECT count(*) FROM claims",
        page: "SELECT *, claim AS key FROM claims WHERE claim > $1 ORDER BY claim LIMIT $2",
        insert: "INSERT INTO claims (claim, content, caller, gateway, until, stage, error, answer) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        first: Bytes,
    },
    Table {
        name: "gateways",
        columns: &[("gateway", Bytes), ("until", Integer)],
        count: "SELECT count(*) FROM gateways",
        page: "SELECT *, gateway AS key FROM gateways WHERE gateway > $1 ORDER BY gateway LIMIT $2",
        insert: "INSERT INTO gateways (gateway, until) VALUES ($1, $2)",
        first: Bytes,
    },
    Table {
        name: "token_keys",
        columns: &[("kid", Text), ("seed", Bytes), ("made", Integer), ("retires", Integer)],
        count: "SELECT count(*) FROM token_keys",
        page: "SELECT *, kid AS key FROM token_keys WHERE kid > $1 ORDER BY kid LIMIT $2",
        insert: "INSERT INTO token_keys (kid, seed, made, retires) VALUES ($1, $2, $3, $4)",
        first: Text,
    },
    Table {
        name: "token_families",
        columns: &[("family", Text), ("holder", Text), ("wanted", Text), ("generation", Integer), ("expires", Integer)],
        count: "SELECT count(*) FROM token_families",
        page: "SELECT *, family AS key FROM token_families WHERE family > $1 ORDER BY family LIMIT $2",
        insert: "INSERT INTO token_families (family, holder, wanted, generation, expires) VALUES ($1, $2, $3, $4, $5)",
        first: Text,
    },
    Table {
        name: "token_revocations",
        columns: &[("kind", Text), ("name", Text), ("made_until", Integer), ("forget", Integer)],
        count: "SELECT count(*) FROM token_revocations",
        page: "SELECT *, kind || ' ' || name AS key FROM token_revocations WHERE kind || ' ' || name > $1 \
               ORDER BY kind || ' ' || name LIMIT $2",
        insert: "INSERT INTO token_revocations (kind, name, made_until, forget) VALUES ($1, $2, $3, $4)",
        first: Text,
    },
];

/// Copies everything, and says how many rows of each table.
pub async fn copy(from: &Store, to: &Store) -> Result<Vec<(&'static str, u64)>, Error> {
    let mut reading = from.read().await?;
    let mut writing = to.write(Durability::Strict).await?;
    for table in &TABLES {
        if sql(table.count).number(&mut writing).await? > 0 {
            return Err(Error::NotEmpty(table.name));
        }
    }
    let mut told = vec![("facts", facts(&mut reading, &mut writing).await?)];
    for table in &TABLES {
        told.push((table.name, rows(table, &mut reading, &mut writing).await?));
    }
    if let Transaction::Postgres(_) = writing {
        // What comes next has the next number.
        let last = "SELECT setval(pg_get_serial_sequence('changes', 'number'), max(number)) FROM changes";
        sql(last).rows(&mut writing).await?;
    }
    writing.commit().await?;
    Ok(told)
}

/// Facts, but how far the tables are: that is each store's own.
async fn facts(reading: &mut Transaction, writing: &mut Transaction) -> Result<u64, Error> {
    let all = sql("SELECT name, value FROM facts WHERE name <> 'schema.version'").rows(reading).await?;
    let mut count = 0;
    for row in all {
        let (name, value): (String, String) = (row.get("name")?, row.get("value")?);
        super::facts::set(writing, &name, &value).await?;
        count += 1;
    }
    Ok(count)
}

async fn rows(table: &Table, reading: &mut Transaction, writing: &mut Transaction) -> Result<u64, Error> {
    let mut count = 0;
    let mut after = match table.first {
        Integer => Value::from(i64::MIN),
        Text => Value::from(""),
        Bytes => Value::from(Vec::new()),
    };
    loop {
        let most = i64::try_from(PAGE).unwrap_or(i64::MAX);
        let page = sql(table.page).bind(after).bind(most).rows(reading).await?;
        for row in &page {
            let insert = table.columns.iter().try_fold(sql(table.insert), |insert, (name, kind)| {
                Ok::<Sql, Error>(insert.bind(cell(row, name, *kind)?))
            })?;
            count += insert.run(writing).await?;
        }
        match page.last().filter(|_| page.len() == PAGE) {
            Some(last) => after = cell(last, "key", table.first)?,
            None => return Ok(count),
        }
    }
}

fn cell(row: &Row, name: &'static str, kind: Kind) -> Result<Value, Error> {
    Ok(match kind {
        Integer => Value::Integer(row.get(name)?),
        Text => Value::Text(row.get(name)?),
        Bytes => Value::Bytes(row.get(name)?),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::postgres;
    use super::{Bytes, Integer, TABLES, Text, copy};
    use crate::config::StorePlace;
    use crate::journal::Durability;
    use crate::store::sql::{Sql, Value, sql};
    use crate::store::{Error, Store, facts};

    async fn fill(store: &Store, rows: i64) {
        let mut writing = store.write(Durability::Strict).await.unwrap();
        for table in &TABLES {
            for number in 1..=rows {
                let insert = table.columns.iter().fold(sql(table.insert), |insert: Sql, (name, kind)| {
                    insert.bind(match kind {
                        // One key alone is in force, and a name means one.
                        Integer if *name == "number" => Value::from(number),
                        Integer => Value::from(number * 1000),
                        Text => Value::from(format!("{name} {number:04}")),
                        Bytes => Value::from(number.to_be_bytes().to_vec()),
                    })
                });
                insert.run(&mut writing).await.unwrap();
            }
        }
        facts::set(&mut writing, "keys.pepper", "a mark").await.unwrap();
        writing.commit().await.unwrap();
    }

    /// I3: every row of every table comes over, page after page, to a server and back; a target that has any is refused.
    #[tokio::test]
    async fn a_store_is_copied_whole() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| StorePlace::File(folder.path().join(name));
        let one = Store::open(&file("one.db")).await.unwrap();
        fill(&one, 450).await;
        let two = Store::open(&StorePlace::Postgres(Box::new(postgres("copy")))).await.unwrap();
        let told = copy(&one, &two).await.unwrap();
        assert!(told.iter().skip(1).all(|(_, count)| *count == 450), "{told:?}");
        assert!(matches!(copy(&one, &two).await, Err(Error::NotEmpty("keys"))));
        let three = Store::open(&file("three.db")).await.unwrap();
        assert_eq!(copy(&two, &three).await.unwrap(), told);
        for table in &TABLES {
            let mut both = Vec::new();
            for store in [&one, &three] {
                let mut reading = store.read().await.unwrap();
                let rows = sql(table.page).bind(smallest(table)).bind(1000).rows(&mut reading).await.unwrap();
                let shown = rows.iter().map(|row| {
                    let cells = table.columns.iter().map(|(name, kind)| match kind {
                        Integer => format!("{:?}", row.get::<Option<i64>>(name).unwrap()),
                        Text => format!("{:?}", row.get::<Option<String>>(name).unwrap()),
                        Bytes => format!("{:?}", row.get::<Option<Vec<u8>>>(name).unwrap()),
                    });
                    cells.collect::<Vec<_>>().join(" ")
                });
                both.push(shown.collect::<Vec<_>>());
            }
            assert!(both[0] == both[1] && both[0].len() == 450, "{}", table.name);
        }
        let mut writing = two.write(Durability::Strict).await.unwrap();
        let next = sql("INSERT INTO changes (at, who, what, target) VALUES (1, '', '', '') RETURNING number");
        assert_eq!(next.number(&mut writing).await.unwrap(), 451, "numbers go on");
    }

    fn smallest(table: &super::Table) -> Value {
        match table.first {
            Integer => Value::from(0),
            Text => Value::from(""),
            Bytes => Value::from(Vec::new()),
        }
    }

    /// I3: no table or column that a step of the schema makes is left out.
    #[tokio::test]
    async fn every_column_is_copied() {
        let store = Store::open(&StorePlace::Memory).await.unwrap();
        let mut reading = store.read().await.unwrap();
        let tables = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
        assert_eq!(sql(tables).number(&mut reading).await.unwrap(), 1 + i64::try_from(TABLES.len()).unwrap());
        for table in &TABLES {
            let columns = sql("SELECT count(*) FROM pragma_table_info($1)").bind(table.name).number(&mut reading);
            assert_eq!(columns.await.unwrap(), i64::try_from(table.columns.len()).unwrap(), "{}", table.name);
        }
    }
}
