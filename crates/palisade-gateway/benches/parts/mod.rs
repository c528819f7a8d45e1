//! A client, an upstream and the gateway between them, on one thread.

mod client;
mod upstream;

use std::fs;

use client::Client;
use palisade_gateway::config::{self, Flags, Loaded, Vars};
use palisade_gateway::{Running, Start, start};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use upstream::Upstream;

/// A client that has called before: connections are open, and the gateway knows the upstream's tools.
pub(crate) struct World {
    client: Client,
    runtime: Runtime,
    _gateway: Option<(Running, TempDir)>,
}

/// Calls before the first that is counted.
const BEFORE: usize = 50;

impl World {
    /// The client calls the upstream itself.
    pub(crate) fn past_the_gateway() -> Self {
        let runtime = runtime();
        let client = runtime.block_on(async { Client::connect(Upstream::start().await).await });
        Self { client, runtime, _gateway: None }.warm()
    }

    /// The client calls the gateway.
    pub(crate) fn through_the_gateway() -> Self {
        let runtime = runtime();
        let (client, gateway, folder) = runtime.block_on(async {
            let folder = tempfile::tempdir().expect("a folder");
            let gateway = gateway(&folder, &format!("http://{}/mcp", Upstream::start().await)).await;
            (Client::connect(gateway.address()).await, gateway, folder)
        });
        Self { client, runtime, _gateway: Some((gateway, folder)) }.warm()
    }

    fn warm(mut self) -> Self {
        self.call(BEFORE);
        self
    }

    /// Calls the tool so many times, one call after the other.
    pub(crate) fn call(&mut self, times: usize) {
        self.runtime.block_on(self.client.call(times));
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// A gateway with a key, the limits out of the way, and a journal.
async fn gateway(folder: &TempDir, url: &str) -> Running {
    let file = folder.path().join("palisade.toml");
    let text = format!(
        "environment = \"development\"\n\
         listen.address = \"127.0.0.1:0\"\n\
         limits = {{ address_ceiling_per_minute = 1_000_000, per_caller_per_minute = 60_000 }}\n\
         servers.stub.url = \"{url}\"\n"
    );
    fs::write(&file, text).expect("a file");
    let vars = Vars::from([("API_KEY".to_owned(), client::KEY.into())]);
    let loaded = config::load(&Flags::default(), Some(&file), &vars, config::Start::File);
    let Loaded { config, origin, .. } = loaded.unwrap_or_else(|faults| panic!("{}", config::report(&faults)));
    let journal_dir = folder.path().join("journal");
    // There is no child to keep.
    let keeper = "palisade".into();
    let started = start(Start {
        config,
        origin,
        source: None,
        journal_dir,
        keeper,
        environment: Vec::new(),
        in_process: Vec::new(),
        login: None,
        relays: false,
    })
    .await;
    started.unwrap_or_else(|error| panic!("{error}"))
}
