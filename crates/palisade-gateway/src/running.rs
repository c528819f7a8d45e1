//! From a checked configuration to a gateway that listens, and back.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{self, Auth, AuthMode, Config, Origin, Source};
use crate::current::Current;
use crate::issuers;
use crate::journal::{self, Journal};
use crate::keys::{self, Book, Live};
use crate::lasting::Lasting;
use crate::login;
use crate::reload::{self, Asker, Reloader};
use crate::servers::Surroundings;
use crate::snapshot::Snapshot;
use crate::store::redis::{self, Redis};
use crate::store::{self, Store};
use crate::time;
use crate::tokens::{self, Mint};
use crate::transport;
use crate::transport::stdio::pipes;
use crate::upstream::Upstream;
use crate::upstream::stdio::InProcess;

/// A gateway that listens.
pub struct Running {
    address: SocketAddr,
    current: Current,
    lasting: Arc<Lasting>,
    stop: CancellationToken,
    connections: TaskTracker,
    children: TaskTracker,
    asker: Asker,
}

/// What a gateway needs beside its configuration.
pub struct Start {
    /// The checked configuration.
    pub config: Config,
    /// Where it came from.
    pub origin: Origin,
    /// Where it can be read again while the gateway runs.
    pub source: Option<Source>,
    /// Where the journal is written.
    pub journal_dir: PathBuf,
    /// The palisade binary, which keeps child processes.
    pub keeper: PathBuf,
    /// The environment that children may see a part of.
    pub environment: Vec<(OsString, OsString)>,
    /// Servers inside this process, by name.
    pub in_process: Vec<(Arc<str>, InProcess)>,
    /// How to log in at servers that want it.
    pub login: Option<login::Settings>,
    /// Whether the client hears what a server by HTTP refuses in that server's own words: it is the client's own way there.
    pub relays: bool,
}

/// Why a gateway cannot start although its configuration is sound.
#[derive(Debug)]
pub enum StartError {
    /// The address cannot be bound.
    Listen(SocketAddr, std::io::Error),
    /// The journal cannot be opened, or is not intact.
    Journal(journal::Error),
    /// The store cannot be opened.
    Store(store::Error),
    /// Redis will not do.
    Redis(redis::Error),
    /// The keys in it cannot be used.
    Keys(keys::Error),
    /// Nobody could call.
    NoKey,
    /// A server's settings cannot be used: its name and why.
    Server(String, String),
    /// What is kept of tokens cannot be read.
    Tokens(tokens::Error),
    /// The settings of issuers of tokens cannot be used.
    Issuers(String),
    /// The cipher for handles is missing.
    NoCipher,
    /// Standard input and output cannot be used.
    Pipes(String),
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Listen(address, error) => write!(f, "listen.address: cannot listen on {address}: {error}"),
            Self::Journal(error) => write!(f, "audit.dir: {error}"),
            Self::Store(error) => write!(f, "store.url: {error}"),
            Self::Redis(error) => write!(f, "redis.url: {error}"),
            Self::Keys(error) => write!(f, "{}: {error}", error.setting()),
            Self::NoKey => write!(f, "auth.keys: there is no key, and none in the store; {}", config::NO_KEY),
            Self::Server(name, error) => write!(f, "servers.{name}: {error}"),
            Self::Tokens(error) => write!(f, "store.url: {error}"),
            Self::Issuers(error) => write!(f, "auth.issuers: {error}"),
            Self::Pipes(error) => write!(f, "standard input and output: {error}"),
            Self::NoCipher => f.write_str("the cipher for session handles cannot be set up"),
        }
    }
}

impl std::error::Error for StartError {}

/// How often sessions nobody uses are looked for.
const SWEEP: Duration = Duration::from_secs(15);

/// Opens the journal, the store and the socket, and begins to serve.
pub async fn start(start: Start) -> Result<Running, StartError> {
    let address = start.config.listen.address;
    let mut running = assemble(start).await?;
    let listener = TcpListener::bind(address).await.map_err(|error| StartError::Listen(address, error))?;
    running.address = listener.local_addr().map_err(|error| StartError::Listen(address, error))?;
    let Running { current, stop, connections, .. } = &running;
    connections.spawn(transport::http::serve(listener, current.clone(), stop.clone(), connections.clone()));
    running.lasting.set_ready(true);
    Ok(running)
}

/// Serves the client at standard input and output, with no socket, until it is done or `stop` says so.
pub async fn serve_stdio(start: Start, stop: impl Future<Output = ()>) -> Result<(), StartError> {
    let no_pipes = |error: std::io::Error| StartError::Pipes(error.to_string());
    let input = pipes::input().map_err(no_pipes)?;
    let (out, mut written) = pipes::output().map_err(no_pipes)?;
    let running = assemble(start).await?;
    running.lasting.set_ready(true);
    let stopping = CancellationToken::new();
    let serving = transport::stdio::serve(running.current.clone(), input, out, stopping.clone());
    tokio::pin!(serving);
    tokio::select! {
        () = &mut serving => {}
        () = stop => {
            stopping.cancel();
            serving.await;
        }
    }
    // The last answers, if somebody still reads.
    let patience = running.current.snapshot().timeouts.shutdown;
    drop(tokio::time::timeout(patience, written.recv()).await);
    running.stop().await;
    Ok(())
}

/// Opens journal and store and builds everything, but no door.
async fn assemble(start: Start) -> Result<Running, StartError> {
    let address = start.config.listen.address;
    let settings = journal::Config {
        dir: start.journal_dir,
        durability: start.config.audit.durability.into(),
        segment_bytes: start.config.audit.segment_bytes,
        node: start.config.audit.node.clone(),
    };
    let (journal, recovered) = Journal::open(settings, time::now).map_err(StartError::Journal)?;
    if recovered.is_noteworthy() {
        tracing::warn!(?recovered, "the journal was not closed properly the last time");
    }
    let store = Store::open(&start.config.store.place).await.map_err(StartError::Store)?;
    let form = start.config.auth.form.clone();
    let book = Book::open(store.clone(), Some(&start.config.store), form).await.map_err(StartError::Keys)?;
    if start.config.auth.wants_a_key() && book.is_empty().await.map_err(StartError::Keys)? {
        return Err(StartError::NoKey);
    }
    let keys = Live::new(book).await.map_err(StartError::Keys)?;
    let tokens = match &start.config.auth {
        Auth { mode: AuthMode::Keys, tokens: Some(settings), .. } => {
            let mint = Mint::new(store.clone(), settings.clone());
            Some(tokens::Live::new(mint).await.map_err(StartError::Tokens)?)
        }
        _ => None,
    };
    let children = TaskTracker::new();
    let (stop, connections) = (CancellationToken::new(), TaskTracker::new());
    let around = Surroundings {
        keeper: start.keeper,
        environment: start.environment,
        in_process: start.in_process,
        login: start.login,
        relays: start.relays,
        tasks: children.clone(),
    };
    let redis = match &start.config.redis {
        Some(place) => Some(Redis::begin(place.clone(), stop.clone()).await.map_err(StartError::Redis)?),
        None => None,
    };
    let kept = (store, keys, tokens, redis);
    let lasting = Lasting::new(journal, kept, start.config.limits, start.origin.digest.clone(), stop.clone())?;
    let lasting = Arc::new(lasting);
    let most = lasting.descriptors.clients();
    if start.config.listen.max_connections > most {
        tracing::warn!(most, "listen.max_connections is more than the limit of open files leaves (ulimit -n)");
    }
    let current = Current::new(Snapshot::build(start.config, &lasting, &around, None)?);
    connections.spawn(sweep(current.clone(), stop.clone()));
    connections.spawn(lasting.store.clone().listen(stop.clone()));
    connections.spawn(Arc::clone(&lasting.follower).run(current.clone(), stop.clone()));
    let (asker, questions) = reload::asking();
    if let Some(source) = start.source {
        let reloader = Reloader { source, started: start.origin, current: current.clone(), around, questions };
        connections.spawn(reloader.run(stop.clone()));
    }
    Ok(Running { address, current, lasting, stop, connections, children, asker })
}

impl Running {
    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// A way to have the configuration read again.
    pub fn asker(&self) -> Asker {
        self.asker.clone()
    }

    /// Stops in order, within `timeouts.shutdown`:
    ///
    /// 1. Readiness goes first. For the time of `timeouts.notice` everything else is as ever, so that a load balancer
    ///    can look away before anything is refused.
    /// 2. No new connections; idle ones close; streams without an end of their own end.
    /// 3. Calls under way come to their end. Those that do not are cut: a stream with an error, the rest with its
    ///    connection.
    /// 4. Children end, and the journal is on the disk.
    pub async fn stop(&self) {
        let timeouts = self.current.snapshot().timeouts;
        let end = Instant::now() + timeouts.shutdown;
        self.lasting.set_ready(false);
        tokio::time::sleep(timeouts.notice.unwrap_or_default()).await;
        self.stop.cancel();
        self.connections.close();
        let reserve = RESERVE.min(timeouts.shutdown / 4);
        if tokio::time::timeout_at(end - reserve, self.connections.wait()).await.is_err() {
            tracing::warn!("calls are cut near the end of timeouts.shutdown");
            self.cut().await;
        }
        self.end(end).await;
    }

    /// Stops now: what is under way is cut, and recorded as it stands.
    pub async fn force(&self) {
        self.lasting.set_ready(false);
        self.stop.cancel();
        self.connections.close();
        self.cut().await;
        self.end(Instant::now() + LAST_WORDS).await;
    }

    /// Cuts what is under way, and waits until each record is closed.
    async fn cut(&self) {
        self.lasting.cut.cancel();
        if tokio::time::timeout(2 * LAST_WORDS, self.connections.wait()).await.is_err() {
            tracing::error!("some calls could not be cut");
        }
    }

    /// Ends children and the journal.
    async fn end(&self, end: Instant) {
        let children = async {
            for server in self.current.snapshot().servers.values() {
                if let Upstream::Stdio(upstream) = &server.upstream {
                    upstream.stop().await;
                }
            }
            self.children.close();
            self.children.wait().await;
        };
        if tokio::time::timeout_at(end, children).await.is_err() {
            // Their keepers end them when this process is gone.
            tracing::warn!("some children outlast the gateway for a moment");
        }
        let last = end.max(Instant::now() + LAST_WORDS);
        if tokio::time::timeout_at(last, self.lasting.journal.flush()).await.is_err() {
            tracing::error!("the disk did not take the end of the journal in time");
        }
        let store = async {
            if let Err(error) = self.lasting.keys.flush().await {
                tracing::warn!(%error, "the last uses of managed keys could not be written down");
            }
            self.lasting.store.close().await;
        };
        if tokio::time::timeout_at(last, store).await.is_err() {
            tracing::warn!("the store was not let go of in time");
        }
    }
}

/// What is left of `timeouts.shutdown` for children and the journal, when calls took all the rest.
const RESERVE: Duration = Duration::from_secs(5);
/// How long a stream that is cut may take to say so.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(1);

async fn sweep(current: Current, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(SWEEP);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        let gate = current.snapshot();
        gate.lasting.limits.forget_idle(time::now().monotonic_ms);
        gate.lasting.joined.sweep(gate.timeouts.session);
        gate.issuers.values().for_each(issuers::Remote::tend);
        for server in gate.servers.values() {
            match &server.upstream {
                Upstream::Stdio(upstream) => upstream.sweep(),
                Upstream::Http(upstream) => upstream.sweep(),
            }
        }
    }
}
