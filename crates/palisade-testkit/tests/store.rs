//! Every kind of store keeps the contract.

use std::time::Duration;

use palisade_gateway::config::{Postgres, PostgresHost, Secret, StorePlace};
use palisade_testkit::{postgres, store_contract};

/// I3, B3: in memory.
#[tokio::test]
async fn memory_keeps_the_contract() {
    store_contract::run(StorePlace::Memory).await;
}

/// I3, B3: in a file, and again in the same file.
#[tokio::test]
async fn a_file_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    store_contract::run(StorePlace::File(folder.path().join("palisade.db"))).await;
}

/// I3, B3: on a server.
#[tokio::test]
async fn a_server_keeps_the_contract() {
    let server = postgres::Postgres::start();
    server.database("contract");
    let place = Postgres {
        host: PostgresHost::Folder(server.folder().to_owned()),
        port: server.port(),
        user: "gate".to_owned(),
        password: Some(Secret::new(postgres::PASSWORD.to_owned())),
        database: "contract".to_owned(),
        tls: false,
        ca_file: None,
        connections: 2,
        overflow: 8,
        acquire: Duration::from_secs(5),
        connect: Duration::from_secs(5),
        statement: Duration::from_secs(5),
        lifetime: Duration::from_hours(1),
        idle: Duration::from_hours(1),
        log_statements: true,
    };
    store_contract::run(StorePlace::Postgres(Box::new(place))).await;
}
