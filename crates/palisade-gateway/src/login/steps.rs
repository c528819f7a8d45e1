//! The steps of a login: who gives tokens for a server, who we are there, what the person says, and the token at the end.

use std::collections::BTreeSet;
use std::io;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::Full;
use palisade_guard::login::{self as judged, Attempt, Challenge, Expected, Granted, Issuer, Resource, Trust};

use super::kept::Kept;
use super::redirect::Door;
use super::{EARLY, Login};
use crate::{random, time};

/// A whole login: the person is asked.
pub(super) async fn log_in(login: &Login, before: Option<&Kept>, challenge: &Challenge) -> io::Result<Kept> {
    let resource = resource(login, challenge).await?;
    let url = chosen(login, &resource)?;
    let issuer = issuer(login, &url).await?;
    let before = before.filter(|before| before.issuer == issuer.url);
    let door = Door::open(before.map(|before| before.port)).await?;
    let client_id = match (&login.settings.client_id, before) {
        (Some(given), _) => given.clone(),
        (None, Some(before)) => before.client_id.clone(),
        (None, None) => register(login, &issuer, door.address()).await?,
    };
    let scopes = wanted(before, challenge, &resource);
    let mut words: Vec<&str> = scopes.iter().map(String::as_str).collect();
    if issuer.offline && !scopes.contains("offline_access") {
        words.push("offline_access");
    }
    let (state, verifier, port) = (random::new_key(), random::new_key(), door.port());
    let redirect = door.address().to_owned();
    let attempt = Attempt {
        client_id: &client_id,
        redirect: &redirect,
        resource: &login.resource,
        scope: &words.join(" "),
        state: &state,
        verifier: &verifier,
    };
    (login.settings.show)(&attempt.address(&issuer));
    let code = door.answer(Expected { state: &state, issuer: &issuer.url, says_who: issuer.says_who }).await?;
    let granted = tokens(login, &issuer, attempt.redemption(&code)).await?;
    Ok(kept(granted, Kept { issuer: issuer.url, client_id, port, scopes, ..Kept::default() }))
}

/// The next token for a refresh token; which then may be good no longer.
pub(super) async fn refresh(login: &Login, before: &Kept) -> io::Result<Kept> {
    let Some(token) = &before.refresh else { return Err(io::Error::other("there is no refresh token")) };
    let issuer = issuer(login, &before.issuer).await?;
    let form = judged::form(&[
        ("grant_type", "refresh_token"),
        ("refresh_token", token),
        ("client_id", &before.client_id),
        ("resource", &login.resource),
    ]);
    let granted = tokens(login, &issuer, form).await?;
    Ok(kept(granted, before.clone()))
}

/// What the server says of itself.
async fn resource(login: &Login, challenge: &Challenge) -> io::Result<Resource> {
    let places = match &challenge.metadata {
        None => judged::resource_places(&login.url),
        Some(named) => {
            let place = judged::place(named, login.is_plain()).map_err(io::Error::other)?;
            if !judged::same_origin(&place, &login.url) {
                return Err(io::Error::other("the server says that its metadata is at another host"));
            }
            vec![named.clone()]
        }
    };
    let text = first(login, &places).await?;
    let text = text.ok_or_else(|| io::Error::other("the server does not say who gives tokens for it"))?;
    judged::resource(&text, &login.resource).map_err(io::Error::other)
}

/// The authorization server that is asked.
fn chosen(login: &Login, resource: &Resource) -> io::Result<String> {
    let first = resource.issuers.first().ok_or_else(|| io::Error::other("the server names no authorization server"))?;
    let Some(named) = &login.settings.issuer else { return Ok(first.clone()) };
    let found = resource.issuers.contains(named);
    found.then(|| named.clone()).ok_or_else(|| io::Error::other("the server does not name the issuer of --issuer"))
}

/// What the authorization server says of itself.
async fn issuer(login: &Login, url: &str) -> io::Result<Issuer> {
    judged::place(url, login.is_plain()).map_err(io::Error::other)?;
    let text = first(login, &judged::issuer_places(url)).await?;
    let text = text.ok_or_else(|| io::Error::other("the authorization server has no metadata"))?;
    let trust = Trust { named: login.settings.issuer.is_some(), plain: login.is_plain() };
    judged::issuer(&text, url, trust).map_err(io::Error::other)
}

async fn register(login: &Login, issuer: &Issuer, redirect: &str) -> io::Result<String> {
    let Some(place) = &issuer.registration else {
        return Err(io::Error::other("clients cannot register at the authorization server: name one with --client-id"));
    };
    let (status, body) = ask(login, place, Some(("application/json", judged::registration(redirect)))).await?;
    if !status.is_success() {
        return Err(io::Error::other(format!("the registration was refused: {}", judged::problem(&body))));
    }
    judged::client_id(&body).map_err(io::Error::other)
}

async fn tokens(login: &Login, issuer: &Issuer, form: String) -> io::Result<Granted> {
    let (status, body) = ask(login, &issuer.token, Some(("application/x-www-form-urlencoded", form))).await?;
    if status != StatusCode::OK {
        return Err(io::Error::other(format!("the authorization server gave no token: {}", judged::problem(&body))));
    }
    judged::granted(&body).map_err(io::Error::other)
}

/// What to ask for: all that was asked for before, and what is needed now; at first what the server says.
fn wanted(before: Option<&Kept>, challenge: &Challenge, resource: &Resource) -> BTreeSet<String> {
    let before = before.map(|before| before.scopes.clone()).unwrap_or_default();
    let needed = if challenge.scopes.is_empty() && before.is_empty() { &resource.scopes } else { &challenge.scopes };
    before.union(needed).cloned().collect()
}

/// What a grant makes of what was kept before it.
fn kept(granted: Granted, before: Kept) -> Kept {
    let now = time::now().unix_ms / 1000;
    let due = |seconds: u64| now.saturating_add(seconds - EARLY.min(seconds.div_ceil(4)));
    let Granted { access, refresh, seconds } = granted;
    Kept { access, refresh: refresh.or(before.refresh), due: seconds.map(due), ..before }
}

/// The first of these documents that is there.
async fn first(login: &Login, places: &[String]) -> io::Result<Option<Bytes>> {
    for place in places {
        let url = place.parse::<Uri>().map_err(io::Error::other)?;
        if let (StatusCode::OK, text) = ask(login, &url, None).await? {
            return Ok(Some(text));
        }
    }
    Ok(None)
}

async fn ask(login: &Login, url: &Uri, body: Option<(&'static str, String)>) -> io::Result<(StatusCode, Bytes)> {
    let mut request = Request::new(Full::default());
    *request.uri_mut() = url.clone();
    if let Some((kind, text)) = body {
        *request.method_mut() = Method::POST;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        *request.body_mut() = Full::new(Bytes::from(text));
    }
    let asked = login.getter.whole(request).await;
    asked.map_err(|error| io::Error::other(format!("{}: {error}", url.host().unwrap_or_default())))
}
