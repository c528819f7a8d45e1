//! Serving: what `run` and `demo` share.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::num::NonZero;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use palisade_gateway::config::{AuthMode, Config, Environment, Flags, Format, Loaded, Secret, Source, StaticKey};
use palisade_gateway::{InProcess, StartError, start};
use tokio::runtime::{Builder, Runtime};

use super::dumps;
use super::signals::Signals;
use crate::cli::Settings;
use crate::{logs, say};

/// What is to be served.
pub(crate) struct Plan {
    /// The configuration.
    pub(crate) loaded: Loaded,
    /// Where the configuration can be read again.
    pub(crate) source: Option<Source>,
    /// Servers inside this process.
    pub(crate) in_process: Vec<(Arc<str>, InProcess)>,
    /// Whether to tell a person at the terminal how to connect.
    pub(crate) greeting: bool,
}

/// The flags of a command line.
pub(crate) fn flags(settings: Settings) -> Flags {
    Flags {
        listen: settings.listen,
        environment: settings.mode,
        log_level: settings.log_level,
        log_format: settings.log_format,
        audit_dir: settings.audit_dir,
        hosts: settings.hosts,
        origins: settings.origins,
        api_key_file: settings.api_key_file,
        api_key: settings.api_key.map(Secret::new),
        env_keys: settings.env_keys,
        ..Flags::default()
    }
}

/// Serves until it is told to stop.
pub(crate) fn serve(plan: Plan) -> ExitCode {
    let Loaded { mut config, origin, .. } = plan.loaded;
    let mut source = plan.source;
    logs::begin(config.log);
    dumps::forbid(config.environment);
    for note in &config.notes {
        tracing::warn!("{note}");
    }
    let at_a_desk = config.environment == Environment::Development;
    let key = (config.auth.wants_a_key() && at_a_desk).then(make_key);
    if let Some(key) = &key {
        let key = key_of(key);
        if let Some(source) = &mut source {
            source.made = Some(key.clone());
        }
        config.auth.keys.push(key);
    }
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&StartError::Listen(config.listen.address, error)),
    };
    let journal_dir = match journal_dir(&config) {
        Ok(dir) => dir,
        Err(exit) => return exit,
    };
    let keeper = match std::env::current_exe() {
        Ok(keeper) => keeper,
        Err(error) => return failed(&StartError::Server("all".into(), error.to_string())),
    };
    let format = config.log.format;
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let greeting = plan.greeting.then(|| Greeting {
        key,
        keyless: config.auth.mode == AuthMode::None,
        journal: journal_dir.path.clone(),
        development: config.environment == Environment::Development,
    });
    runtime.block_on(async move {
        // Before anybody is told that it is ready: a signal that comes at once must find its handler.
        let Ok(mut signals) = Signals::new(source.is_some()) else {
            say::err("fault: signals cannot be handled here");
            return ExitCode::FAILURE;
        };
        let start_with = palisade_gateway::Start {
            config,
            origin,
            source,
            journal_dir: journal_dir.path.clone(),
            keeper,
            environment: std::env::vars_os().collect(),
            in_process: plan.in_process,
            login: None,
            relays: false,
        };
        let running = match start(start_with).await {
            Ok(running) => running,
            Err(error) => return failed(&error),
        };
        announce(scheme, running.address(), format);
        if let Some(greeting) = greeting {
            greeting.print(scheme, running.address());
        }
        signals.until_stop(&running.asker()).await;
        tracing::info!("stopping");
        tokio::select! {
            () = running.stop() => ExitCode::SUCCESS,
            // A second signal means now.
            () = signals.stop() => {
                running.force().await;
                ExitCode::FAILURE
            }
        }
    })
}

/// One thread where there is one core: no other could run, and tasks need not be handed across.
pub(super) fn runtime() -> std::io::Result<Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    if cores == 1 {
        return Builder::new_current_thread().enable_all().build();
    }
    Builder::new_multi_thread().worker_threads(cores).enable_all().build()
}

pub(super) fn failed(error: &StartError) -> ExitCode {
    say::err(format_args!("fault: {error}"));
    ExitCode::from(say::EX_CONFIG)
}

/// The one line that says it is ready.
fn announce(scheme: &str, address: SocketAddr, format: Format) {
    match format {
        Format::Json => tracing::info!(url = %format_args!("{scheme}://{address}"), "listening"),
        Format::Pretty => say::err(format_args!("listening on {scheme}://{address}")),
    }
}

/// How to connect, for a person.
struct Greeting {
    key: Option<String>,
    keyless: bool,
    journal: PathBuf,
    development: bool,
}

impl Greeting {
    fn print(&self, scheme: &str, address: SocketAddr) {
        let endpoint = format!("{scheme}://{address}/mcp");
        say::err(format_args!("\n  endpoint  {endpoint}"));
        let shown = match (&self.key, self.keyless) {
            (Some(key), _) => {
                say::err(format_args!("  key       {key}   (shown once; use --api-key-file to keep one)"));
                key.as_str()
            }
            (None, true) => {
                say::err("  key       none: this machine alone can connect");
                ""
            }
            (None, false) => "YOUR-KEY",
        };
        let header = if self.keyless { String::new() } else { format!(" -H 'Authorization: Bearer {shown}'") };
        say::err(format_args!("  journal   {}", self.journal.display()));
        say::err(format_args!("  try it    {}", curl(&endpoint, &header)));
        say::err(format_args!("  client    {}", snippet(&endpoint, shown, self.keyless)));
        if self.development && std::io::stderr().is_terminal() {
            say::err("\n  This is development mode on loopback. For production write a palisade.toml.");
        }
        say::err("");
    }
}

fn curl(endpoint: &str, header: &str) -> String {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"curl","version":"1"}}}"#;
    format!(
        "curl -s {endpoint}{header} -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' -d '{body}'"
    )
}

fn snippet(endpoint: &str, key: &str, keyless: bool) -> serde_json::Value {
    let server = if keyless {
        serde_json::json!({"type": "http", "url": endpoint})
    } else {
        serde_json::json!({"type": "http", "url": endpoint, "headers": {"Authorization": format!("Bearer {key}")}})
    };
    serde_json::json!({"mcpServers": {"palisade": server}})
}

/// 32 random bytes, URL-safe.
pub(crate) fn make_key() -> String {
    palisade_gateway::new_key()
}

fn key_of(key: &str) -> StaticKey {
    StaticKey {
        name: Arc::from("shown-at-start"),
        digest: palisade_guard::authenticate::Keys::digest(key.as_bytes()),
        grant: palisade_guard::grant::Grant::default(),
    }
}

/// A journal's folder, and what keeps it from others who look for one while this gateway starts.
pub(super) struct JournalDir {
    pub(super) path: PathBuf,
    /// Held until this process ends.
    _claim: Option<File>,
}

/// The journal's folder: as configured, or a folder of this user's state. Several gateways may start at once, each with a
/// journal of its own, so the first folder is taken that no other holds. Where there is none the fault has been said.
pub(super) fn journal_dir(config: &Config) -> Result<JournalDir, ExitCode> {
    free_dir(config).map_err(|_| {
        say::err("fault: audit.dir: no folder can be made for the journal; set audit.dir to one that can be written");
        ExitCode::from(say::EX_CONFIG)
    })
}

fn free_dir(config: &Config) -> std::io::Result<JournalDir> {
    if let Some(dir) = &config.audit.dir {
        return Ok(JournalDir { path: dir.clone(), _claim: None });
    }
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    free_below(&state.or_else(home).unwrap_or_else(std::env::temp_dir).join("palisade/audit"))
}

fn free_below(base: &Path) -> std::io::Result<JournalDir> {
    DirBuilder::new().recursive(true).mode(0o700).create(base)?;
    for number in 1..=JOURNALS {
        // The journal's own lock is taken later: until then this one says that somebody is on the way to it.
        let claim = base.join(format!("{number}.claim"));
        let claim = OpenOptions::new().create(true).append(true).mode(0o600).open(claim)?;
        let path = base.join(number.to_string());
        if claim.try_lock().is_ok() && palisade_gateway::journal::is_free(&path)? {
            return Ok(JournalDir { path, _claim: Some(claim) });
        }
    }
    Err(std::io::Error::other("every journal is in use"))
}

/// Journals of gateways that run at once without a configured folder.
const JOURNALS: u32 = 64;

#[cfg(test)]
mod tests {
    use super::free_below;

    /// G1: whoever looks for a journal's folder while another gateway is on the way to its own finds another one.
    #[test]
    fn a_folder_that_was_found_is_taken() {
        let base = tempfile::tempdir().unwrap();
        let find = || free_below(&base.path().join("palisade/audit")).unwrap();
        let (first, second) = (find(), find());
        assert_ne!(first.path, second.path);
        let path = first.path.clone();
        drop(first);
        assert_eq!(find().path, path);
    }
}
