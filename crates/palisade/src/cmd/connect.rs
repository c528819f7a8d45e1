//! `palisade connect URL`: a server by HTTP that wants a key, signatures or a login, for a client that can only start a command.
//!
//! It is a gateway by itself, as `palisade stdio --url` is, which adds the credential to every request. So sessions,
//! streams, requests of the server, resumption and cancellation are what they are there.
//!
//! Standard output belongs to the protocol: whatever there is to say goes to standard error.

use std::process::ExitCode;
use std::sync::Arc;

use palisade_gateway::config::{self, Credential, Flags, Secret, ServerFlag, Start};
use palisade_gateway::login::Settings as Login;
use palisade_guard::host;
use palisade_guard::sign::DEFAULT_KEY_ID;

use super::{browser, private_file, serve, stdio};
use crate::cli::Connect;
use crate::say;

/// Connects until the client is done.
pub(crate) fn connect(arguments: Connect) -> ExitCode {
    let credential = match credential(&arguments) {
        Ok(credential) => credential,
        Err(fault) => {
            say::err(format_args!("fault: {fault}"));
            return ExitCode::from(say::EX_CONFIG);
        }
    };
    let login = arguments.oauth.then(|| Login {
        client_id: arguments.client_id.clone(),
        issuer: arguments.issuer.clone(),
        token_file: arguments.token_file.clone(),
        show: Arc::new(browser::show),
    });
    if let (Some(login), true) = (&login, arguments.login) {
        return begin(login.clone(), &arguments.url);
    }
    let Connect { url, log_level, log_format, .. } = arguments;
    let flags = Flags {
        log_level,
        log_format,
        servers: vec![("server".to_owned(), ServerFlag::Url(Secret::new(url)))],
        credential,
        stdio: true,
        ..Flags::default()
    };
    // What is set for a gateway on this machine is not for its clients.
    let vars = config::env::Vars::new();
    match config::load(&flags, None, &vars, Start::AdHoc) {
        Ok(loaded) => stdio::serve(loaded, None, Some(stdio::Remote { login })),
        Err(faults) => say::faults(&faults),
    }
}

/// Logs in, and that is all.
fn begin(login: Login, url: &str) -> ExitCode {
    let done = serve::runtime().and_then(|runtime| runtime.block_on(palisade_gateway::login::begin(login, url)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say::err(format_args!("fault: {error}"));
            ExitCode::from(say::EX_CONFIG)
        }
    }
}

fn credential(arguments: &Connect) -> Result<Option<Credential>, String> {
    let Some(path) = &arguments.key_file else {
        return if arguments.signed { Err("--signed needs --key-file FILE".to_owned()) } else { Ok(None) };
    };
    if !arguments.signed && !arguments.danger_plain_http && !is_private(&arguments.url) {
        return Err(
            "the key would go over plain HTTP, where everybody on the way can read it: use https://, or --signed, \
                    or --danger-plain-http"
                .to_owned(),
        );
    }
    let private_file::Named { name, secret } = private_file::read(path)?;
    let secret = Secret::new(secret);
    if !arguments.signed {
        return Ok(Some(Credential::Key(secret)));
    }
    let key_id = arguments.key_id.clone().or(name).unwrap_or_else(|| DEFAULT_KEY_ID.to_owned());
    Ok(Some(Credential::Signature { key_id, secret }))
}

/// Whether nobody on the way can read what is sent there. What is no URL is told later, with its cure.
fn is_private(url: &str) -> bool {
    let Ok(url) = url.parse::<http::Uri>() else { return true };
    host::is_here(url.host().unwrap_or_default()) || url.scheme_str() != Some("http")
}
