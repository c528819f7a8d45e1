//! A login in the place of a key: `palisade connect --oauth`.
//!
//! 1. Nobody is asked before a server says that it wants a login: 401, or 403 where a scope is missing. Either proves that the
//!    call was not run, so it is sent again with what the login gave.
//! 2. One login or refresh at a time; whoever else needs it waits for that one. It goes on when its caller leaves: the person
//!    is at the browser already.
//! 3. A person is never asked twice for the same: scopes that were asked for are not asked for again, a token that is refused
//!    at once is a failure, and after a failure there is a pause.
//! 4. What anybody says is judged in `palisade_guard::login`.

mod kept;
mod redirect;
mod steps;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{HeaderValue, StatusCode, Uri};
use palisade_guard::authenticate::resource::canonical;
use palisade_guard::login::{self as judged, Challenge};
use palisade_guard::refusal::{Reason, Refusal};
use tokio::time::Instant;

use crate::descriptors::Descriptors;
use crate::issuers::get::Getter;
use crate::time;
use kept::Kept;

/// How to log in.
#[derive(Clone)]
pub struct Settings {
    /// Who we are to the authorization server; without it we register there.
    pub client_id: Option<String>,
    /// The one authorization server that is trusted, whichever a server names.
    pub issuer: Option<String>,
    /// Where tokens stay.
    pub token_file: Option<PathBuf>,
    /// Shows a person the address to log in at.
    pub show: Arc<dyn Fn(&str) + Send + Sync>,
}

/// The login at one server.
pub(crate) struct Login {
    settings: Settings,
    url: Uri,
    /// The server's address as tokens name it.
    resource: String,
    getter: Getter,
    /// Held by whoever logs in or refreshes.
    one: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    /// Counts the tokens that were held: 0 is none.
    number: u64,
    /// When the last failure is forgotten.
    failed_until: Option<Instant>,
}

#[derive(Clone)]
struct Held {
    kept: Kept,
    from: From,
    /// Whether the server took it.
    taken: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Login,
    Refresh,
    File,
}

/// A token, and which one it is.
pub(crate) struct Bearer {
    number: u64,
    /// The value of `Authorization`, where there is any token.
    pub(crate) value: Option<HeaderValue>,
}

/// What a server's answer demands.
pub(crate) enum Demand {
    /// A token, or a better one than it got.
    Token(Challenge),
    /// A token with more scopes.
    Scopes(Challenge),
}

/// How long nobody is asked after a failure.
const PAUSE: Duration = Duration::from_secs(30);
/// A token is refreshed so many seconds before its end, or after three quarters of a short life.
const EARLY: u64 = 30;

/// What an answer demands, if it does.
pub(crate) fn demand(status: StatusCode, challenge: Option<&str>) -> Option<Demand> {
    let challenge = || judged::challenge(challenge.unwrap_or_default());
    match status {
        StatusCode::UNAUTHORIZED => Some(Demand::Token(challenge())),
        StatusCode::FORBIDDEN => {
            let challenge = challenge();
            let wants = challenge.error.as_deref() == Some("insufficient_scope") && !challenge.scopes.is_empty();
            wants.then_some(Demand::Scopes(challenge))
        }
        _ => None,
    }
}

/// Logs in at the server of `url` without being asked for it, so that what is kept is there when it is needed.
pub async fn begin(settings: Settings, url: &str) -> io::Result<()> {
    let url = url.parse().map_err(io::Error::other)?;
    let login = Login::new(settings, &url, Descriptors::claim())?;
    login.logged_in(None, &Challenge::default()).await
}

impl Held {
    /// Whether it is time to refresh it.
    fn is_due(&self) -> bool {
        self.kept.refresh.is_some() && self.kept.due.is_some_and(|due| due <= time::now().unix_ms / 1000)
    }
}

impl Login {
    /// The login at the server of `url`, with what is kept of an earlier one.
    pub(crate) fn new(settings: Settings, url: &Uri, descriptors: Arc<Descriptors>) -> io::Result<Self> {
        let plain = url.scheme_str() != Some("https");
        if plain && !judged::is_here(url) {
            return Err(io::Error::other(
                "a login over plain http would give the token to everybody on the way: use https",
            ));
        }
        let resource = canonical(&url.to_string());
        if let Some(issuer) = &settings.issuer {
            judged::place(issuer, plain).map_err(|wrong| io::Error::other(format!("--issuer: {wrong}")))?;
        }
        let held = settings.token_file.as_deref().map(|path| kept::read(path, &resource)).transpose()?.flatten();
        let named = settings.issuer.as_deref().and_then(|issuer| issuer.parse().ok());
        let getter = Getter::for_hosts([Some(url.clone()), named].into_iter().flatten(), None, descriptors)?;
        let held = held.map(|kept| Held { kept, from: From::File, taken: false });
        let state = State { number: u64::from(held.is_some()), held, failed_until: None };
        let (one, state) = (tokio::sync::Mutex::default(), Mutex::new(state));
        Ok(Self { settings, url: url.clone(), resource, getter, one, state })
    }

    /// The token in force; one that is about to end is exchanged first.
    pub(crate) async fn bearer(self: &Arc<Self>) -> Bearer {
        if self.lock().held.as_ref().is_some_and(Held::is_due) {
            let this = Arc::clone(self);
            let refreshed = tokio::spawn(async move { this.refresh_early().await });
            drop(refreshed.await);
        }
        let state = self.lock();
        let value = state.held.as_ref().and_then(|held| {
            let mut value = HeaderValue::try_from(format!("Bearer {}", held.kept.access.as_str())).ok()?;
            value.set_sensitive(true);
            Some(value)
        });
        Bearer { number: state.number, value }
    }

    /// The server took this token.
    pub(crate) fn took(&self, bearer: &Bearer) {
        let mut state = self.lock();
        if state.number == bearer.number
            && let Some(held) = &mut state.held
        {
            held.taken = true;
        }
    }

    /// Does what an answer to a request with this token demands; afterwards the request can be sent again.
    pub(crate) async fn satisfy(self: &Arc<Self>, bearer: &Bearer, demand: Demand) -> Result<(), Refusal> {
        if matches!(demand, Demand::Scopes(_)) {
            self.took(bearer);
        }
        let (this, used) = (Arc::clone(self), bearer.number);
        let done = tokio::spawn(async move { this.satisfied(used, demand).await });
        done.await.unwrap_or_else(|error| Err(failed(error)))
    }

    async fn satisfied(&self, used: u64, demand: Demand) -> Result<(), Refusal> {
        let _one = self.one.lock().await;
        let (held, may_try) = {
            let state = self.lock();
            // Somebody else has done it meanwhile.
            if state.number != used {
                return Ok(());
            }
            (state.held.clone(), state.failed_until.is_none_or(|until| until <= Instant::now()))
        };
        if let (Demand::Scopes(challenge), Some(held)) = (&demand, &held)
            && challenge.scopes.is_subset(&held.kept.scopes)
        {
            return Err(Refusal::new(Reason::ScopeMissing).because("its scopes were asked for, and not granted"));
        }
        if !may_try {
            return Err(failed("the last one failed just now"));
        }
        let done = match demand {
            Demand::Token(challenge) => self.better(held, &challenge).await,
            Demand::Scopes(challenge) => self.logged_in(held.map(|held| held.kept), &challenge).await,
        };
        match done {
            Ok(()) => Ok(()),
            Err(error) => {
                self.lock().failed_until = Some(Instant::now() + PAUSE);
                tracing::error!(%error, "the login failed");
                Err(failed(error))
            }
        }
    }

    /// A better token than the one that was refused: another process's, a refreshed one, or that of a new login.
    async fn better(&self, held: Option<Held>, challenge: &Challenge) -> io::Result<()> {
        let Some(held) = held else { return self.logged_in(None, challenge).await };
        if self.take_over(&held.kept).await {
            return Ok(());
        }
        if held.from == From::Login && !held.taken {
            return Err(io::Error::other("the server does not take the token that its own authorization server gave"));
        }
        if held.kept.refresh.is_some() && (held.taken || held.from != From::Refresh) {
            match self.refreshed(&held.kept).await {
                Ok(()) => return Ok(()),
                Err(error) => tracing::info!(%error, "the token cannot be refreshed"),
            }
        }
        self.logged_in(Some(held.kept), challenge).await
    }

    /// Refreshes a token before its end. It may be good for a while if that fails, so nobody hears of it.
    async fn refresh_early(&self) {
        let _one = self.one.lock().await;
        let Some(held) = self.lock().held.clone().filter(Held::is_due) else { return };
        if self.take_over(&held.kept).await {
            return;
        }
        if let Err(error) = self.refreshed(&held.kept).await {
            tracing::info!(%error, "the token cannot be refreshed");
            if let Some(held) = &mut self.lock().held {
                held.kept.due = held.kept.due.map(|due| due.saturating_add(PAUSE.as_secs()));
            }
        }
    }

    /// Takes what another process that shares the file has put there. A refresh token is good once: whoever comes second with
    /// it has its whole family revoked.
    async fn take_over(&self, before: &Kept) -> bool {
        let Some(path) = self.settings.token_file.clone() else { return false };
        let resource = self.resource.clone();
        let read = tokio::task::spawn_blocking(move || kept::read(&path, &resource)).await;
        match read {
            Ok(Ok(Some(kept))) if kept.access != before.access => {
                self.hold(kept, From::File);
                true
            }
            _ => false,
        }
    }

    async fn refreshed(&self, before: &Kept) -> io::Result<()> {
        let kept = steps::refresh(self, before).await?;
        self.keep(kept, From::Refresh).await;
        Ok(())
    }

    async fn logged_in(&self, before: Option<Kept>, challenge: &Challenge) -> io::Result<()> {
        let kept = steps::log_in(self, before.as_ref(), challenge).await?;
        self.keep(kept, From::Login).await;
        tracing::info!("logged in");
        Ok(())
    }

    async fn keep(&self, kept: Kept, from: From) {
        self.hold(kept.clone(), from);
        let Some(path) = self.settings.token_file.clone() else { return };
        let resource = self.resource.clone();
        let written = tokio::task::spawn_blocking(move || kept::write(&path, &resource, &kept)).await;
        if let Err(error) = written.unwrap_or_else(|error| Err(io::Error::other(error))) {
            tracing::warn!(%error, "the token cannot be kept");
        }
    }

    fn hold(&self, kept: Kept, from: From) {
        let mut state = self.lock();
        state.number += 1;
        state.held = Some(Held { kept, from, taken: false });
    }

    /// Whether servers may be plain http on this machine: this one is.
    fn is_plain(&self) -> bool {
        self.url.scheme_str() != Some("https")
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed(cause: impl std::fmt::Display) -> Refusal {
    Refusal::new(Reason::BackendUnavailable).says("the login did not succeed: standard error says why").because(cause)
}
