//! All that a call needs, built whole from a checked configuration, and immutable.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use palisade_guard::authenticate::token::Tokens;
use palisade_guard::authenticate::{self, Client, Clients, Key, Keys, Methods, Principal};
use palisade_guard::authorize::Asker;
use palisade_guard::authorize::policy::Policy;
use palisade_guard::edge;
use palisade_guard::identify;
use palisade_guard::limit::subject::Subject;
use palisade_guard::limit::{Admission, Limits};
use palisade_guard::message::{self, Bounds};
use palisade_guard::refusal::Refusal;
use palisade_guard::token::Cache;
use serde_json::Value;

use crate::aggregate::Aggregate;
use crate::config::{self as checked, AuthMode, Config, Timeouts, ToolNames};
use crate::issuers::{self, Remotes};
use crate::lasting::Lasting;
use crate::running::StartError;
use crate::servers::{self, Servers, Surroundings};
use crate::time;
use crate::tokens::Mint;
use crate::transport::tls::Tls;
use crate::upstream::{Server, Upstream};

/// Everything a call needs.
pub(crate) struct Snapshot {
    pub(crate) edge: edge::Config,
    pub(crate) identify: identify::Config,
    pub(crate) limits: Limits,
    pub(crate) penalty: Duration,
    /// How long the store is believed without an answer.
    staleness: Duration,
    pub(crate) authenticate: authenticate::Config,
    pub(crate) message: message::Config,
    /// Who may do what, where rules say so.
    policy: Option<Arc<Policy>>,
    pub(crate) timeouts: Timeouts,
    pub(crate) body_bytes: usize,
    pub(crate) signed_body_bytes: usize,
    pub(crate) header_bytes: usize,
    pub(crate) connections: Connections,
    /// How the listener speaks TLS, where it does.
    pub(crate) tls: Option<Arc<Tls>>,
    /// Whether the status page is served.
    pub(crate) monitoring: bool,
    pub(crate) servers: Servers,
    pub(crate) aggregate: Aggregate,
    /// Others whose tokens are taken, as far as they must be asked.
    pub(crate) issuers: Remotes,
    /// What was here before this configuration and will be after it.
    pub(crate) lasting: Arc<Lasting>,
    /// What is on every answer, without and with TLS: copied, not built, for each.
    headers: [HeaderMap; 2],
}

/// How many connections clients may have open at one time.
pub(crate) struct Connections {
    /// All of them.
    pub(crate) all: usize,
    of_one: Option<usize>,
}

impl Connections {
    /// Those of one address. A trusted proxy speaks for many; so does this machine, unless the operator set a number.
    pub(crate) fn one(&self, address: IpAddr, identify: &identify::Config) -> Option<usize> {
        let address = address.to_canonical();
        if identify.trusts(address) {
            return None;
        }
        self.of_one.or((!address.is_loopback()).then_some(OF_ONE))
    }
}

/// Connections of one address, where the operator did not say.
const OF_ONE: usize = 1000;

impl Snapshot {
    /// Builds a snapshot whole, or not at all.
    ///
    /// What is equal to a server of the snapshot `before` is taken over from it, with its connections, its children and
    /// what is known of it.
    pub(crate) fn build(
        mut config: Config,
        lasting: &Arc<Lasting>,
        around: &Surroundings,
        before: Option<&Self>,
    ) -> Result<Self, StartError> {
        let servers = servers::build(&mut config, around, &lasting.descriptors, before.map(|before| &before.servers))?;
        let remotes =
            issuers::remotes(&config.auth.issuers, &lasting.descriptors, before.map(|before| &before.issuers));
        let remotes = remotes.map_err(|error| StartError::Issuers(error.to_string()))?;
        let tokens = tokens(&config.auth, &remotes, lasting);
        Ok(Self {
            limits: lasting.limits.with_config(config.limits),
            penalty: config.penalty,
            staleness: config.store.max_staleness,
            authenticate: match config.auth.mode {
                AuthMode::None => authenticate::Config::None,
                AuthMode::Keys | AuthMode::Signatures => {
                    let demanded = config.auth.mode == AuthMode::Signatures;
                    let signers = config.auth.clients.into_iter().map(signing_client);
                    let clients = Clients::new(signers, demanded, config.auth.compat_signatures);
                    let keys = Keys::new(config.auth.keys.into_iter().map(key));
                    let managed = Some(Arc::clone(lasting.keys.managed()));
                    let heard = Some((Arc::clone(lasting.follower.heard()), millis(config.store.max_staleness)));
                    let certificates = config.auth.certificates;
                    authenticate::Config::Credentials(Methods { keys, managed, heard, tokens, clients, certificates })
                }
            },
            message: message_config(&config.message),
            policy: config.policy,
            body_bytes: config.message.body,
            signed_body_bytes: config.message.signed_body,
            header_bytes: config.message.header,
            connections: Connections {
                all: config.listen.max_connections,
                of_one: config.listen.max_connections_per_address,
            },
            headers: [false, true].map(|secure| {
                let mut headers = HeaderMap::with_capacity(32);
                config.edge.headers.apply(&mut headers, secure);
                headers
            }),
            monitoring: config.monitoring,
            tls: config.tls.map(Arc::new),
            edge: config.edge,
            identify: config.identify,
            timeouts: config.timeouts,
            servers,
            aggregate: Aggregate::new(&config.aggregate),
            issuers: remotes,
            lasting: Arc::clone(lasting),
        })
    }

    /// For how many milliseconds the store is believed without an answer.
    pub(crate) fn staleness(&self) -> u64 {
        millis(self.staleness)
    }

    /// The one server, if there is just one.
    pub(crate) fn only_server(&self) -> Option<&Arc<Server>> {
        if self.servers.len() == 1 { self.servers.values().next() } else { None }
    }

    /// Counts a call of `caller`: by its name, or where nobody has a name, by its address.
    pub(crate) async fn admit(&self, caller: &Principal, address: IpAddr, now_ms: u64) -> Result<Admission, Refusal> {
        let limit = caller.grant().limit.unwrap_or(self.limits.per_caller());
        // Where nobody has a name, nobody but this machine calls.
        if caller.is_anonymous() {
            return self.limits.caller(&Subject::address(address), limit, now_ms);
        }
        let subject = self.limits.subject_of(caller.id());
        match &self.lasting.window {
            None => self.limits.caller(&subject, limit, now_ms),
            // Boxed: most gateways have none.
            Some(window) => Box::pin(window.admit(caller.id(), limit, (&self.limits, &subject), now_ms)).await,
        }
    }

    /// A caller, as rights are judged now.
    pub(crate) fn asker<'a>(&'a self, caller: &'a Principal, address: IpAddr) -> Asker<'a> {
        Asker { policy: self.policy.as_deref(), caller, address, now: time::now() }
    }

    /// Whether rules decide what is in lists.
    pub(crate) const fn has_policy(&self) -> bool {
        self.policy.is_some()
    }

    /// Differs where the rules do.
    pub(crate) fn policy_print(&self) -> Option<[u8; 32]> {
        self.policy.as_ref().map(|policy| *policy.print())
    }

    /// The headers that are on every answer.
    pub(crate) fn headers(&self, secure: bool) -> HeaderMap {
        let [plain, over_tls] = &self.headers;
        let mut headers = if secure { over_tls.clone() } else { plain.clone() };
        headers.reserve(12);
        headers
    }

    /// What is known of each issuer of tokens.
    pub(crate) fn issuer_states(&self) -> Value {
        let states = self.issuers.iter().map(|(url, remote)| (url.to_string(), remote.status()));
        Value::Object(states.collect())
    }
}

/// Whether each of these servers is reached.
pub(crate) fn server_states(servers: &[Arc<Server>]) -> Value {
    Value::Object(servers.iter().map(|server| (server.name.to_string(), server.upstream.state().into())).collect())
}

/// Legacy sessions that hold a child, by server.
pub(crate) fn session_counts(servers: &[Arc<Server>]) -> Value {
    let counts = servers.iter().filter_map(|server| match &server.upstream {
        Upstream::Stdio(upstream) => Some((server.name.to_string(), Value::from(upstream.session_count()))),
        Upstream::Http(_) => None,
    });
    Value::Object(counts.collect())
}

fn millis(time: Duration) -> u64 {
    time.as_millis().try_into().unwrap_or(u64::MAX)
}

/// What judges tokens, where any are taken.
fn tokens(auth: &checked::Auth, remotes: &Remotes, lasting: &Lasting) -> Option<Tokens> {
    let mint = lasting.tokens.as_ref().map(|live| &live.mint);
    let others = auth.issuers.iter().filter_map(|issuer| Some(remotes.get(&*issuer.url)?.judged(issuer)));
    let issuers: Vec<_> = mint.map(Mint::judged).into_iter().chain(others).map(Arc::new).collect();
    if issuers.is_empty() {
        return None;
    }
    Some(Tokens {
        issuers,
        base: auth.public_url.as_deref().map(Into::into),
        offered: offered(auth),
        revoked: mint.map(|mint| Arc::clone(mint.revoked())).unwrap_or_default(),
        cache: Cache::new(REMEMBERED),
    })
}

/// The scopes that a client without any is told to ask for.
fn offered(auth: &checked::Auth) -> Vec<Box<str>> {
    let first = auth.issuers.first().and_then(|issuer| issuer.words.as_ref());
    match first {
        _ if !auth.offered.is_empty() => auth.offered.iter().map(|scope| scope.as_str().into()).collect(),
        Some(words) => words.iter().map(|(word, _)| word.clone()).filter(|word| &**word != "*").collect(),
        None => ["mcp:tools", "mcp:resources", "mcp:prompts"].map(Into::into).to_vec(),
    }
}

/// Tokens that are remembered: each costs about a kilobyte.
const REMEMBERED: usize = 16 * 1024;

fn signing_client(client: checked::SigningClient) -> Client {
    Client {
        id: Arc::from(format!("client:{}", client.name)),
        key_id: client.key_id,
        secrets: client.secrets,
        grant: Arc::new(client.grant),
    }
}

fn key(key: checked::StaticKey) -> Key {
    Key { id: Arc::from(format!("key:{}", key.name)), digest: key.digest, grant: Arc::new(key.grant) }
}

fn message_config(limits: &checked::MessageLimits) -> message::Config {
    message::Config {
        bounds: Bounds { depth: limits.depth, ..message::Config::default().bounds },
        batch: limits.batch,
        arguments: limits.arguments,
        tool_names: match limits.tool_names {
            ToolNames::Spec => message::ToolNames::Spec,
            ToolNames::Strict => message::ToolNames::Strict,
        },
    }
}
