//! The file of a store: made for one owner, refused where it is not, and shared by many at once.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use super::{Error, Store};
use crate::config::StorePlace;
use crate::journal::Durability;

async fn open(path: &Path) -> Result<Store, Error> {
    Store::open(&StorePlace::File(path.to_owned())).await
}

async fn refused(path: &Path) -> String {
    open(path).await.expect_err("refused").to_string()
}

async fn count(store: &Store) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM facts").fetch_one(store.read()).await.unwrap()
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
    sqlx::raw_sql("PRAGMA user_version = 999").execute(&store.writer).await.unwrap();
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

/// I3, P-E2: many who open and write at the same moment all succeed, and the tables are made once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_open_and_write_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("palisade.db");
    let writers = (0..8).map(|number| {
        let path = path.clone();
        tokio::spawn(async move {
            let store = open(&path).await.unwrap();
            for turn in 0..10 {
                let durability = if turn % 2 == 0 { Durability::Strict } else { Durability::Write };
                let mut writing = store.write(durability).await.unwrap();
                let statement = sqlx::query("INSERT INTO facts (name, value) VALUES ($1, '')");
                statement.bind(format!("{number}.{turn}")).execute(&mut *writing).await.unwrap();
                writing.commit().await.unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let store = open(&path).await.unwrap();
    let written: i64 =
        sqlx::query_scalar("SELECT count(*) FROM facts WHERE value = ''").fetch_one(store.read()).await.unwrap();
    assert_eq!(written, 80);
}

/// I3: what is not committed was never written, and the next writer goes on.
#[tokio::test]
async fn a_dropped_write_was_never_written() {
    let folder = tempfile::tempdir().unwrap();
    for place in [StorePlace::Memory, StorePlace::File(folder.path().join("palisade.db"))] {
        let store = Store::open(&place).await.unwrap();
        let before = count(&store).await;
        let mut writing = store.write(Durability::Strict).await.unwrap();
        sqlx::query("INSERT INTO facts (name, value) VALUES ('a', '')").execute(&mut *writing).await.unwrap();
        drop(writing);
        drop(store.write(Durability::Strict).await.unwrap());
        assert_eq!(count(&store).await, before, "{place:?}");
    }
}
