//! The file of a store: made for one owner, refused where it is not, and shared by many at once.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::sql::sql;
use super::{Database, Error, Store};
use crate::config::{self, Secret, StorePlace};
use crate::journal::Durability;

#[path = "../../../palisade-testkit/src/postgres.rs"]
#[expect(dead_code, unreachable_pub, reason = "the tests of the built program use the rest")]
mod server;

/// A new database, on the server of these tests.
pub(super) fn postgres(name: &str) -> config::Postgres {
    static SERVER: OnceLock<server::Postgres> = OnceLock::new();
    let server = SERVER.get_or_init(server::Postgres::start);
    server.database(name);
    config::Postgres {
        host: config::PostgresHost::Name("127.0.0.1".to_owned()),
        port: server.port(),
        user: "gate".to_owned(),
        password: Some(Secret::new(server::PASSWORD.to_owned())),
        database: name.to_owned(),
        tls: false,
        ca_file: None,
        connections: 2,
        overflow: 8,
        // The tests share their processor with others.
        acquire: Duration::from_secs(5),
        connect: Duration::from_secs(5),
        statement: Duration::from_secs(5),
        lifetime: Duration::from_hours(1),
        idle: Duration::from_hours(1),
        log_statements: false,
    }
}

/// A store of each kind that others may use too.
fn shared(folder: &Path, name: &str) -> [StorePlace; 2] {
    [StorePlace::File(folder.join("palisade.db")), StorePlace::Postgres(Box::new(postgres(name)))]
}

async fn open(path: &Path) -> Result<Store, Error> {
    Store::open(&StorePlace::File(path.to_owned())).await
}

async fn refused(path: &Path) -> String {
    open(path).await.expect_err("refused").to_string()
}

async fn count(store: &Store) -> i64 {
    sql("SELECT count(*) FROM facts").number(&mut store.read().await.unwrap()).await.unwrap()
}

/// I3, F2: the store and what SQLite keeps beside it are for their owner alone, from the start.
#[tokio::test]
async fn a_new_store_is_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("palisade.db");
    let store = open(&path).await.unwrap();
    assert!(count(&store).await > 0);
    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{entry:?}");
    }
    store.close().await;
    assert!(count(&open(&path).await.unwrap()).await > 0, "and it opens again");
}

/// I3, P-E1: what others may write, or put there as a link, is not used; the fault says what to do.
#[tokio::test]
async fn a_file_that_others_may_use_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("palisade.db");
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(refused(&path).await.contains("may be used by others (mode 0644); chmod 600 "));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    open(&path).await.expect("the same file, for its owner alone");

    let link = folder.path().join("link.db");
    symlink(folder.path().join("nowhere"), &link).unwrap();
    assert!(refused(&link).await.contains("cannot be made"), "a link that leads nowhere is not followed");
    assert!(!folder.path().join("nowhere").exists());
    assert!(refused(&folder.path().join("none/palisade.db")).await.contains("cannot be made"));
}

/// I3: a store of a newer version, or of another program, is left as it is.
#[tokio::test]
async fn a_store_that_is_not_ours_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("palisade.db");
    let store = open(&path).await.unwrap();
    let mut writing = store.write(Durability::Strict).await.unwrap();
    sql("PRAGMA user_version = 999").run(&mut writing).await.unwrap();
    writing.commit().await.unwrap();
    store.close().await;
    assert!(refused(&path).await.contains("written by a newer version"));

    let foreign = folder.path().join("foreign.db");
    fs::write(&foreign, "").unwrap();
    fs::set_permissions(&foreign, fs::Permissions::from_mode(0o600)).unwrap();
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&foreign);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    sqlx::raw_sql("CREATE TABLE theirs (a)").execute(&pool).await.unwrap();
    pool.close().await;
    assert!(refused(&foreign).await.contains("another program"));

    let text = folder.path().join("text.db");
    fs::write(&text, "this is no database, whatever it is called".repeat(100)).unwrap();
    fs::set_permissions(&text, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(refused(&text).await.contains("not a database"));
}

/// I3: tables of a newer version, or of another program, are left as they are on a server too.
#[tokio::test]
async fn a_schema_that_is_not_ours_is_refused() {
    let place = StorePlace::Postgres(Box::new(postgres("newer")));
    let store = Store::open(&place).await.unwrap();
    let mut writing = store.write(Durability::Strict).await.unwrap();
    sql("UPDATE facts SET value = '999' WHERE name = 'schema.version'").run(&mut writing).await.unwrap();
    writing.commit().await.unwrap();
    let refused = Store::open(&place).await.expect_err("refused").to_string();
    assert!(refused.contains("written by a newer version (tables 999"), "{refused}");

    let place = StorePlace::Postgres(Box::new(postgres("foreign")));
    let store = Store { database: bare(&place).await, file: None, news: Arc::default() };
    let mut writing = store.write(Durability::Strict).await.unwrap();
    sql("CREATE SCHEMA palisade").run(&mut writing).await.unwrap();
    sql("CREATE TABLE palisade.theirs (a int)").run(&mut writing).await.unwrap();
    writing.commit().await.unwrap();
    assert!(matches!(Store::open(&place).await, Err(Error::Foreign)));
}

async fn bare(place: &StorePlace) -> Database {
    let StorePlace::Postgres(place) = place else { panic!("a server") };
    Database::Postgres(super::postgres::Database::open(place).await.unwrap())
}

/// I3, P-E2, R24: many who open and write at the same moment all succeed, and the tables are made once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_open_and_write_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for place in shared(folder.path(), "many") {
        let writers = (0..8).map(|number| {
            let place = place.clone();
            tokio::spawn(async move {
                let store = Store::open(&place).await.unwrap();
                for turn in 0..10 {
                    let durability = if turn % 2 == 0 { Durability::Strict } else { Durability::Write };
                    let mut writing = store.write(durability).await.unwrap();
                    let statement = sql("INSERT INTO facts (name, value) VALUES ($1, '')");
                    statement.bind(format!("{number}.{turn}")).run(&mut writing).await.unwrap();
                    super::facts::count_up(&mut writing, "count").await.unwrap();
                    writing.commit().await.unwrap();
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
        let store = Store::open(&place).await.unwrap();
        let mut reading = store.read().await.unwrap();
        let written = sql("SELECT count(*) FROM facts WHERE value = ''").number(&mut reading).await.unwrap();
        assert_eq!(written, 80);
        assert_eq!(super::facts::version(&mut reading, "count").await.unwrap(), 80, "one after the other");
    }
}

/// I3: what is not committed was never written, and the next writer goes on.
#[tokio::test]
async fn a_dropped_write_was_never_written() {
    let folder = tempfile::tempdir().unwrap();
    for place in shared(folder.path(), "dropped").into_iter().chain([StorePlace::Memory]) {
        let store = Store::open(&place).await.unwrap();
        let before = count(&store).await;
        let mut writing = store.write(Durability::Strict).await.unwrap();
        sql("INSERT INTO facts (name, value) VALUES ('a', '')").run(&mut writing).await.unwrap();
        drop(writing);
        drop(store.write(Durability::Strict).await.unwrap());
        assert_eq!(count(&store).await, before, "{place:?}");
    }
}

/// I3: where a statement fails, nothing of its transaction is written, also when somebody commits it.
#[tokio::test]
async fn a_failed_write_cannot_be_committed() {
    let store = Store::open(&StorePlace::Postgres(Box::new(postgres("failed")))).await.unwrap();
    let mut writing = store.write(Durability::Strict).await.unwrap();
    sql("INSERT INTO facts (name, value) VALUES ('a', '')").run(&mut writing).await.unwrap();
    let failed = sql("INSERT INTO facts (name, value) VALUES ($1, $1)").bind("a").run(&mut writing).await;
    let failed = failed.expect_err("there is one").to_string();
    assert!(failed.contains("SQLSTATE 23505") && !failed.contains("(name)"), "{failed}");
    assert!(writing.commit().await.is_err());
}

/// I3: there are never more connections than may be, those that are not needed are closed, and none grows old.
#[tokio::test]
async fn connections_have_a_most_and_an_age() {
    let mut place = postgres("pool");
    (place.connections, place.overflow, place.acquire) = (1, 2, Duration::from_millis(300));
    let store = Store::open(&StorePlace::Postgres(Box::new(place.clone()))).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(store.read().await.unwrap());
    }
    let began = std::time::Instant::now();
    let refused = store.read().await.map(drop).expect_err("all are in use").to_string();
    assert!(refused.contains("does not answer in time"), "{refused}");
    assert!(began.elapsed() < Duration::from_secs(1));
    for reading in held {
        reading.commit().await.unwrap();
    }
    assert_eq!(until(&store, "1").await, "1", "one is kept");
    let mut before = store.read().await.unwrap();
    let first = sql("SELECT pg_backend_pid()::bigint").number(&mut before).await.unwrap();
    before.commit().await.unwrap();

    place.lifetime = Duration::from_millis(1);
    let store = Store::open(&StorePlace::Postgres(Box::new(place))).await.unwrap();
    let mut pids = vec![first];
    for _ in 0..3 {
        let mut reading = store.read().await.unwrap();
        pids.push(sql("SELECT pg_backend_pid()::bigint").number(&mut reading).await.unwrap());
        reading.commit().await.unwrap();
        std::thread::sleep(Duration::from_millis(2));
    }
    pids.dedup();
    assert_eq!(pids.len(), 4, "each is too old for the next");
}

/// How many connections there are, once they are so many.
async fn until(store: &Store, want: &str) -> String {
    let end = std::time::Instant::now() + Duration::from_secs(5);
    loop {
        let mut reading = store.read().await.unwrap();
        let asked = sql("SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database()");
        let found: String = asked.cell(&mut reading).await.unwrap().unwrap();
        reading.commit().await.unwrap();
        if found == want || std::time::Instant::now() > end {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// I3, R24: a change is heard of when it is written, not before; and again after the connection was lost.
#[tokio::test]
async fn a_change_is_heard_of() {
    let store = Store::open(&StorePlace::Postgres(Box::new(postgres("news")))).await.unwrap();
    let (mut news, stop) = (store.news(), CancellationToken::new());
    let listening = tokio::spawn(store.clone().listen(stop.clone()));
    let heard =
        async |news: &mut watch::Receiver<()>| tokio::time::timeout(Duration::from_secs(10), news.changed()).await;
    heard(&mut news).await.expect("it listens").unwrap();
    for _ in 0..2 {
        let mut writing = store.write(Durability::Strict).await.unwrap();
        super::facts::count_up(&mut writing, "count").await.unwrap();
        assert!(!news.has_changed().unwrap(), "nothing is written yet");
        writing.commit().await.unwrap();
        heard(&mut news).await.expect("it is told").unwrap();
        let end = sql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
             WHERE datname = current_database() AND query LIKE 'LISTEN%'");
        let mut reading = store.read().await.unwrap();
        assert_eq!(end.number(&mut reading).await.unwrap(), 1);
        drop(reading);
        heard(&mut news).await.expect("what was missed is read").unwrap();
    }
    stop.cancel();
    listening.await.unwrap();
}
