//! The servers of a configuration: built from its settings, or carried over from the configuration before.
//!
//! An upstream whose parts are all equal to an old one's *is* the old one: its connections, children and sessions go on,
//! and so do the handles that callers hold. Whatever differs makes a new upstream, and an old handle does not fit it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ::http::HeaderValue;
use palisade_guard::digest::sha256;
use palisade_guard::identify::IpLists;
use palisade_guard::sign::{Scheme, Signer};
use tokio_util::task::TaskTracker;

use crate::config::{self as checked, Config};
use crate::descriptors::Descriptors;
use crate::login::{self, Login};
use crate::random;
use crate::running::StartError;
use crate::upstream::catalog::Catalog;
use crate::upstream::http::{self, HttpUpstream};
use crate::upstream::stdio::{self, CommandLine, InProcess, Launch, StdioUpstream};
use crate::upstream::{Server, Upstream};

/// What servers need beside the configuration.
pub(crate) struct Surroundings {
    /// The palisade binary, which keeps child processes.
    pub(crate) keeper: PathBuf,
    /// The environment that children may see a part of.
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// Servers inside this process, by name.
    pub(crate) in_process: Vec<(Arc<str>, InProcess)>,
    /// How to log in at servers that want it.
    pub(crate) login: Option<login::Settings>,
    /// Whether servers by HTTP refuse in their own words.
    pub(crate) relays: bool,
    /// Where tasks that must end before the process are counted.
    pub(crate) tasks: TaskTracker,
}

/// Servers by name.
pub(crate) type Servers = BTreeMap<Arc<str>, Arc<Server>>;

/// Everything that goes into an upstream.
#[derive(PartialEq, Eq)]
pub(crate) struct Recipe {
    /// `None` inside this process.
    upstream: Option<checked::Upstream>,
    /// The digest of the certificates to trust, where a file names them.
    certificates: Option<[u8; 32]>,
    timeout: Duration,
    connect: Duration,
    session_idle: Duration,
    max_sessions: usize,
    answer_bytes: usize,
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

/// All servers, or none.
pub(crate) fn build(
    config: &mut Config,
    around: &Surroundings,
    descriptors: &Arc<Descriptors>,
    before: Option<&Servers>,
) -> Result<Servers, StartError> {
    let mut servers = Servers::new();
    for (name, serve) in &around.in_process {
        let recipe = recipe(None, Duration::from_mins(5), 1024, config);
        let launch = Launch::InProcess(Arc::clone(serve));
        let upstream = Upstream::Stdio(Arc::new(stdio_upstream(name, launch, &recipe, around)));
        let parts = (IpLists::default(), Box::default(), false);
        servers.insert(Arc::clone(name), Arc::new(new(Arc::clone(name), parts, upstream, recipe, Catalog::default())));
    }
    for server in std::mem::take(&mut config.servers) {
        let checked::Server { name, upstream, timeout, lists, signed, methods, max_sessions } = server;
        let recipe = recipe(Some(upstream), timeout, max_sessions, config);
        let parts = (lists, methods.into_boxed_slice(), signed);
        let old = before.and_then(|before| before.get(&name)).filter(|old| *old.recipe == recipe);
        let server = if let Some(old) = old {
            carried_over(old, parts)
        } else {
            let upstream = upstream_of(&name, &recipe, around, descriptors)?;
            new(Arc::clone(&name), parts, upstream, recipe, catalog(&name, before))
        };
        servers.insert(name, Arc::new(server));
    }
    Ok(servers)
}

/// Who may call, which methods beyond the specification, and whether with signatures alone: all that may change without
/// a new upstream.
type Parts = (IpLists, Box<[Box<str>]>, bool);

fn carried_over(old: &Server, (lists, extra_methods, signed): Parts) -> Server {
    Server {
        name: Arc::clone(&old.name),
        seal: Arc::clone(&old.seal),
        lists,
        extra_methods,
        signed,
        upstream: old.upstream.clone(),
        catalog: Arc::clone(&old.catalog),
        recipe: Arc::clone(&old.recipe),
    }
}

/// What is known of a server that was not there before, or was another one.
fn catalog(name: &str, before: Option<&Servers>) -> Catalog {
    let Some(before) = before else { return Catalog::default() };
    let others = before.values().filter(|other| *other.name != *name);
    let earlier = others.map(|other| (Arc::clone(&other.name), other.catalog.offered())).collect();
    Catalog::late(before.get(name).map(|old| old.catalog.as_ref()), earlier)
}

fn new(
    name: Arc<str>,
    (lists, extra_methods, signed): Parts,
    upstream: Upstream,
    recipe: Recipe,
    catalog: Catalog,
) -> Server {
    Server {
        seal: Arc::from(format!("{name} {:016x}", u64::from_le_bytes(random::bytes()))),
        name,
        lists,
        extra_methods,
        signed,
        upstream,
        catalog: Arc::new(catalog),
        recipe: Arc::new(recipe),
    }
}

fn signer(sign: &checked::Sign) -> Option<Signer> {
    Signer::new(Scheme::Headers, &sign.key_id, sign.secret.reveal().as_bytes()).ok()
}

fn recipe(upstream: Option<checked::Upstream>, timeout: Duration, max_sessions: usize, config: &Config) -> Recipe {
    let certificates = match &upstream {
        Some(checked::Upstream::Http { ca_file: Some(path), .. }) => std::fs::read(path).ok(),
        _ => None,
    };
    Recipe {
        upstream,
        certificates: certificates.map(|pem| sha256(&pem)),
        timeout,
        connect: config.timeouts.connect,
        session_idle: config.timeouts.session,
        max_sessions,
        answer_bytes: config.message.answer,
    }
}

fn stdio_upstream(name: &Arc<str>, launch: Launch, recipe: &Recipe, around: &Surroundings) -> StdioUpstream {
    let settings = stdio::Settings {
        name: Arc::clone(name),
        launch,
        answer_timeout: recipe.timeout,
        answer_bytes: recipe.answer_bytes,
        max_sessions: recipe.max_sessions,
        session_idle: recipe.session_idle,
    };
    StdioUpstream::new(settings, around.tasks.clone())
}

fn upstream_of(
    name: &Arc<str>,
    recipe: &Recipe,
    around: &Surroundings,
    descriptors: &Arc<Descriptors>,
) -> Result<Upstream, StartError> {
    let failed = |error: &dyn std::fmt::Display| StartError::Server(name.to_string(), error.to_string());
    match &recipe.upstream {
        Some(checked::Upstream::Http { url, headers, ca_file, sign }) => {
            let own = headers.iter().map(|(name, value)| {
                let mut value = HeaderValue::from_str(value.reveal()).map_err(|error| failed(&error))?;
                value.set_sensitive(true);
                Ok((name.clone(), value))
            });
            let login = around.login.clone().map(|settings| Login::new(settings, url, Arc::clone(descriptors)));
            let settings = http::Settings {
                name: Arc::clone(name),
                url,
                own: own.collect::<Result<_, StartError>>()?,
                signer: sign.as_ref().map(|sign| signer(sign).ok_or_else(|| failed(&"cannot sign"))).transpose()?,
                relays: around.relays,
                login: login.transpose().map_err(|error| failed(&error))?.map(Arc::new),
                ca_file: ca_file.as_deref(),
                answer_timeout: recipe.timeout,
                answer_bytes: recipe.answer_bytes,
                connect_timeout: recipe.connect,
                descriptors: Arc::clone(descriptors),
            };
            Ok(Upstream::Http(Arc::new(HttpUpstream::new(settings).map_err(|error| failed(&error))?)))
        }
        Some(checked::Upstream::Stdio { command, env, inherit_env, working_dir }) => {
            let line = CommandLine {
                keeper: around.keeper.clone(),
                command: command.words().to_vec(),
                environment: environment(env, inherit_env, &around.environment),
                working_dir: working_dir.clone(),
            };
            line.must_exist().map_err(|error| failed(&error))?;
            Ok(Upstream::Stdio(Arc::new(stdio_upstream(name, Launch::Command(line), recipe, around))))
        }
        None => Err(failed(&"has neither a command nor a url")),
    }
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
