//! All that a call needs, built whole from a checked configuration, and immutable.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use ::http::{HeaderMap, HeaderValue};
use palisade_guard::authenticate::{self, Key, Keys, Principal};
use palisade_guard::edge;
use palisade_guard::identify;
use palisade_guard::limit::subject::Subject;
use palisade_guard::limit::{Admission, Limits};
use palisade_guard::message::{self, Bounds};
use palisade_guard::refusal::Refusal;
use serde_json::Value;
use tokio_util::task::TaskTracker;

use crate::aggregate::Aggregate;
use crate::config::{self as checked, AuthMode, Config, Timeouts, ToolNames};
use crate::descriptors::Descriptors;
use crate::lasting::Lasting;
use crate::running::StartError;
use crate::upstream::catalog::Catalog;
use crate::upstream::http::{self, HttpUpstream};
use crate::upstream::stdio::{self, CommandLine, InProcess, Launch, StdioUpstream};
use crate::upstream::{Server, Upstream};

/// Everything a call needs.
pub(crate) struct Snapshot {
    pub(crate) edge: edge::Config,
    pub(crate) identify: identify::Config,
    pub(crate) limits: Limits,
    pub(crate) authenticate: authenticate::Config,
    pub(crate) message: message::Config,
    pub(crate) timeouts: Timeouts,
    pub(crate) body_bytes: usize,
    pub(crate) header_bytes: usize,
    pub(crate) connections: Connections,
    /// Whether the status page is served.
    pub(crate) monitoring: bool,
    pub(crate) servers: BTreeMap<Arc<str>, Arc<Server>>,
    pub(crate) aggregate: Aggregate,
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
        if identify.trusted_proxies.iter().any(|network| network.contains(&address)) {
            return None;
        }
        self.of_one.or((!address.is_loopback()).then_some(OF_ONE))
    }
}

/// Connections of one address, where the operator did not say.
const OF_ONE: usize = 1000;

/// What a snapshot needs beside the configuration.
pub(crate) struct Surroundings {
    /// The palisade binary, which keeps child processes.
    pub(crate) keeper: PathBuf,
    /// The environment that children may see a part of.
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// Servers inside this process, by name.
    pub(crate) in_process: Vec<(Arc<str>, InProcess)>,
    /// Where tasks that must end before the process are counted.
    pub(crate) tasks: TaskTracker,
}

/// Names of the environment that every child may see; all others are the operator's to name.
const INHERITED: [&str; 13] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TERM",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "XDG_CACHE_HOME",
    "SSL_CERT_FILE",
];

impl Snapshot {
    /// Builds a snapshot whole, or not at all.
    pub(crate) fn build(config: Config, lasting: &Arc<Lasting>, around: &Surroundings) -> Result<Self, StartError> {
        let mut servers = BTreeMap::new();
        for (name, serve) in &around.in_process {
            let launch = Launch::InProcess(Arc::clone(serve));
            let server = in_process(name, launch, &config, around);
            servers.insert(Arc::clone(name), Arc::new(server));
        }
        for server in &config.servers {
            servers.insert(
                Arc::clone(&server.name),
                Arc::new(build_server(server, &config, around, &lasting.descriptors)?),
            );
        }
        Ok(Self {
            limits: lasting.limits.with_config(config.limits),
            authenticate: match config.auth.mode {
                AuthMode::None => authenticate::Config::None,
                AuthMode::Keys => authenticate::Config::Keys(Keys::new(config.auth.keys.into_iter().map(key))),
            },
            message: message_config(&config.message),
            body_bytes: config.message.body,
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
            edge: config.edge,
            identify: config.identify,
            timeouts: config.timeouts,
            servers,
            aggregate: Aggregate::new(&config.aggregate),
            lasting: Arc::clone(lasting),
        })
    }

    /// The one server, if there is just one.
    pub(crate) fn only_server(&self) -> Option<&Arc<Server>> {
        if self.servers.len() == 1 { self.servers.values().next() } else { None }
    }

    /// Counts a call of `caller`: by its name, or where nobody has a name, by its address.
    pub(crate) fn admit(&self, caller: &Principal, address: IpAddr, now_ms: u64) -> Result<Admission, Refusal> {
        let (subject, limit) = match caller.key() {
            Some(key) => (self.limits.subject_of(caller.id()), key.limit.unwrap_or(self.limits.per_caller())),
            None => (Subject::address(address), self.limits.per_caller()),
        };
        self.limits.caller(&subject, limit, now_ms)
    }

    /// The headers that are on every answer.
    pub(crate) fn headers(&self, secure: bool) -> HeaderMap {
        let [plain, over_tls] = &self.headers;
        let mut headers = if secure { over_tls.clone() } else { plain.clone() };
        headers.reserve(12);
        headers
    }

    /// Whether calls reach each server, as far as the last ones tell.
    pub(crate) fn server_states(&self) -> Value {
        let states = self.servers.values().map(|server| (server.name.to_string(), server.upstream.state().into()));
        Value::Object(states.collect())
    }

    /// Legacy sessions that hold a child, by server.
    pub(crate) fn session_counts(&self) -> Value {
        let counts = self.servers.values().filter_map(|server| match &server.upstream {
            Upstream::Stdio(upstream) => Some((server.name.to_string(), Value::from(upstream.session_count()))),
            Upstream::Http(_) => None,
        });
        Value::Object(counts.collect())
    }
}

fn key(key: checked::StaticKey) -> Key {
    Key {
        id: Arc::from(format!("key:{}", key.name)),
        digest: key.digest,
        servers: key.servers,
        lists: key.lists,
        limit: key.limit,
    }
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

fn in_process(name: &Arc<str>, launch: Launch, config: &Config, around: &Surroundings) -> Server {
    let settings = stdio::Settings {
        name: Arc::clone(name),
        launch,
        answer_timeout: std::time::Duration::from_mins(5),
        answer_bytes: config.message.answer,
        max_sessions: 1024,
        session_idle: config.timeouts.session,
    };
    Server {
        name: Arc::clone(name),
        lists: identify::IpLists::default(),
        extra_methods: Box::default(),
        upstream: Upstream::Stdio(Arc::new(StdioUpstream::new(settings, around.tasks.clone()))),
        catalog: Catalog::default(),
    }
}

fn build_server(
    server: &checked::Server,
    config: &Config,
    around: &Surroundings,
    descriptors: &Arc<Descriptors>,
) -> Result<Server, StartError> {
    let upstream = match &server.upstream {
        checked::Upstream::Http { url, headers, ca_file } => {
            let failed = |error: &dyn std::fmt::Display| StartError::Server(server.name.to_string(), error.to_string());
            let own = headers.iter().map(|(name, value)| {
                let mut value = HeaderValue::from_str(value.reveal()).map_err(|error| failed(&error))?;
                value.set_sensitive(true);
                Ok((name.clone(), value))
            });
            let settings = http::Settings {
                name: Arc::clone(&server.name),
                url,
                own: own.collect::<Result<_, StartError>>()?,
                ca_file: ca_file.as_deref(),
                answer_timeout: server.timeout,
                answer_bytes: config.message.answer,
                connect_timeout: config.timeouts.connect,
                descriptors: Arc::clone(descriptors),
            };
            Upstream::Http(Box::new(HttpUpstream::new(settings).map_err(|error| failed(&error))?))
        }
        checked::Upstream::Stdio { command, env, inherit_env, working_dir } => {
            let line = CommandLine {
                keeper: around.keeper.clone(),
                command: command.words().to_vec(),
                environment: environment(env, inherit_env, &around.environment),
                working_dir: working_dir.clone(),
            };
            line.must_exist().map_err(|error| StartError::Server(server.name.to_string(), error))?;
            let settings = stdio::Settings {
                name: Arc::clone(&server.name),
                launch: Launch::Command(line),
                answer_timeout: server.timeout,
                answer_bytes: config.message.answer,
                max_sessions: server.max_sessions,
                session_idle: config.timeouts.session,
            };
            Upstream::Stdio(Arc::new(StdioUpstream::new(settings, around.tasks.clone())))
        }
    };
    Ok(Server {
        name: Arc::clone(&server.name),
        lists: server.lists.clone(),
        extra_methods: server.methods.clone().into_boxed_slice(),
        upstream,
        catalog: Catalog::default(),
    })
}

/// A child's whole environment: a short list that programs need to run, what the operator lets through, what the
/// operator sets. None of our own settings and secrets is on the list.
fn environment(
    set: &[(String, checked::Secret)],
    inherited: &[String],
    ours: &[(OsString, OsString)],
) -> Vec<(OsString, OsString)> {
    let passes = |name: &str| INHERITED.contains(&name) || inherited.iter().any(|inherited| inherited == name);
    let mut environment: Vec<_> = ours.iter().filter(|(name, _)| name.to_str().is_some_and(passes)).cloned().collect();
    for (name, value) in set {
        environment.retain(|(present, _)| present != name.as_str());
        environment.push((name.into(), value.reveal().into()));
    }
    environment
}
