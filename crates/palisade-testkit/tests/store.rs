//! Every kind of store keeps the contract.

use palisade_gateway::config::StorePlace;
use palisade_testkit::store_contract;

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
