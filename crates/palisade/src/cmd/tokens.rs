//! `palisade tokens`: the same operations as REST, on the store itself. A gateway need not run; one that does sees each
//! change within a second.

use std::process::ExitCode;
use std::sync::Arc;

use palisade_gateway::keys::Asker;
use palisade_gateway::store::Store;
use palisade_gateway::tokens::{Error, Issued, Mint};
use palisade_guard::token::revoked::Kind;
use serde_json::json;
use tokio::runtime::Builder;

use super::keys::{from_input, settings};
use crate::cli::{Desk, Tokens, TokensWhat};
use crate::say::{EX_CONFIG, err, out};

/// Does it.
pub(crate) fn tokens(command: &Tokens) -> ExitCode {
    let desk = match command {
        Tokens::Issue(issue) => &issue.desk,
        Tokens::Revoke(revoke) => &revoke.desk,
        Tokens::Refresh(desk) | Tokens::Jwks(desk) | Tokens::RotateKey(desk) => desk,
    };
    let config = match settings(&desk.config) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let Some(wanted) = config.auth.tokens else {
        err("fault: auth.tokens.enabled: is false; set it to true");
        return ExitCode::from(EX_CONFIG);
    };
    let Ok(runtime) = Builder::new_current_thread().enable_all().build() else {
        err("fault: nothing can be run here");
        return ExitCode::FAILURE;
    };
    runtime.block_on(async {
        let servers: Vec<Arc<str>> = config.servers.iter().map(|server| Arc::clone(&server.name)).collect();
        let store = match Store::open(&config.store.place).await {
            Ok(store) => store,
            Err(error) => {
                err(format_args!("fault: store.url: {error}"));
                return ExitCode::from(EX_CONFIG);
            }
        };
        let done = run(command, desk, &Mint::new(store.clone(), wanted), &servers).await;
        store.close().await;
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                err(format_args!("palisade tokens: {error}"));
                ExitCode::FAILURE
            }
        }
    })
}

async fn run(command: &Tokens, desk: &Desk, mint: &Mint, servers: &[Arc<str>]) -> Result<(), Error> {
    let who = format!("uid:{}", rustix::process::getuid().as_raw());
    // Whoever can write the store can write anything into it.
    let by = Asker { who: &who, holds: None };
    match command {
        Tokens::Issue(issue) => issued(desk, &mint.issue(&issue.wanted(), servers, by).await?),
        Tokens::Refresh(_) => {
            let text = from_input().map_err(|_| Error::NotGood)?;
            let (family, generation) = mint.read_refresh(text.trim()).await?;
            issued(desk, &mint.refresh(&family, generation).await?);
        }
        Tokens::Revoke(revoke) => {
            let (kind, name) = what(&revoke.what);
            mint.revoke(kind, name, by).await?;
            err("It is taken back: every gateway on this store refuses it within a second.");
        }
        Tokens::Jwks(_) => {
            mint.load().await?;
            out(mint.published());
        }
        Tokens::RotateKey(_) => {
            let kid = mint.rotate(by).await?;
            if desk.json { out(json!({"kid": kid})) } else { err(format_args!("{kid} is in force.")) }
        }
    }
    Ok(())
}

fn what(what: &TokensWhat) -> (Kind, &str) {
    match (&what.token, &what.family, &what.holder) {
        (Some(token), ..) => (Kind::Token, token),
        (None, Some(family), _) => (Kind::Family, family),
        (None, None, holder) => (Kind::Holder, holder.as_deref().unwrap_or_default()),
    }
}

fn issued(desk: &Desk, issued: &Issued) {
    if desk.json {
        return out(json!(issued));
    }
    out(&issued.access_token);
    out(&issued.refresh_token);
    err(format_args!("The first is good for {} seconds, the second buys the next pair, once.", issued.expires_in));
    err(format_args!("Their family is {}. This is the one time that they are shown.", issued.family));
}
