//! Tokens: of our own, and of others' issuers.
//!
//! 1. An issuer's addresses are https; http to this machine alone, and in development alone. What they hold decides who
//!    is let in, so whoever can change it on the way has a key to every door.
//! 2. A secret that signs tokens has 32 bytes and 128 bits that nobody can guess.

use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use palisade_guard::grant::{Scopes, Words};
use palisade_guard::host;
use palisade_guard::token::{Algorithm, KeySet};

use super::{Check, grant, keys, server, strength};
use crate::config::checked::{Introspection, Issuer, KeySource, Signing, Tokens};
use crate::config::raw::{self, TokenAlgorithm};
use crate::config::secret::Secret;
use crate::config::seen::Seen;

/// Tokens of our own, where they are wanted.
pub(super) fn own(raw: &raw::File, public_url: Option<&str>, check: &mut Check<'_>) -> Option<Tokens> {
    let tokens = &raw.auth.tokens;
    if !tokens.enabled {
        return None;
    }
    let mut secret = |name: &str, value: &Option<Secret>| {
        let at = format!("auth.tokens.{name}");
        let resolved = server::resolve_own(&at, value.as_ref()?, check)?;
        if let Err(problem) = weigh(resolved.reveal()) {
            check.fault(&at, problem, "make one with `palisade keys generate`");
            return None;
        }
        Some(resolved)
    };
    let now = secret("secret", &tokens.secret);
    let before = secret("previous_secret", &tokens.previous_secret);
    let signing = match (tokens.algorithm, now) {
        (None | Some(TokenAlgorithm::Hs256), Some(now)) => Signing::Secret { now, before },
        (Some(TokenAlgorithm::Hs256), None) => {
            let cure = "set SECRET_KEY, or write secret = \"secret:file:PATH\"";
            check.missing(
                "auth.tokens.secret",
                check.layered.place("auth.tokens.algorithm"),
                "HS256 needs a secret",
                cure,
            );
            return None;
        }
        _ => Signing::Stored,
    };
    let issuer = tokens.issuer.clone().or_else(|| public_url.map(str::to_owned));
    let issuer = issuer.unwrap_or_else(|| format!("palisade:{}", raw.environment.as_str()));
    if issuer.is_empty() || issuer.len() > 256 || !issuer.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"') {
        check.fault("auth.tokens.issuer", "is no identifier", "write an address, or a name in visible ASCII");
    }
    Some(Tokens {
        issuer,
        signing,
        access: Duration::from_secs(u64::from(tokens.access_minutes) * 60),
        refresh: Duration::from_secs(u64::from(tokens.refresh_days) * 86_400),
    })
}

/// Whether a secret that signs tokens is worth the name, whatever the environment: whoever guesses it is everybody.
fn weigh(secret: &str) -> Result<(), String> {
    strength::judge(secret, true).map_err(|problem| problem.replace("a key", "the secret"))?;
    let is_uuid = secret.len() == 36 && secret.bytes().filter(|byte| *byte == b'-').count() == 4;
    if is_uuid || secret.starts_with("eyJ") {
        return Err("the secret is a UUID or a token, which are made to be shown".to_owned());
    }
    if strength::bits(secret.as_bytes()) < 128.0 {
        return Err("the secret repeats itself: it has less than 128 bits that nobody can guess".to_owned());
    }
    Ok(())
}

/// The address of this gateway as clients know it.
pub(super) fn public_url(raw: &raw::File, check: &mut Check<'_>) -> Option<String> {
    let text = raw.auth.public_url.as_deref()?;
    let url = address("auth.public_url", text, check)?;
    if url.query().is_some() || text.ends_with('/') {
        check.fault(
            "auth.public_url",
            "has a query, or a slash at its end",
            "write one like \"https://mcp.example.com\"",
        );
    }
    Some(palisade_guard::authenticate::resource::canonical(text))
}

/// Every issuer.
pub(super) fn issuers(raw: &raw::Auth, servers: &[Arc<str>], check: &mut Check<'_>) -> Vec<Issuer> {
    let mut issuers: Vec<Issuer> = Vec::new();
    for (index, issuer) in raw.issuers.iter().enumerate() {
        let at = format!("auth.issuers[{index}]");
        let Some(issuer) = one(&at, issuer, servers, check) else { continue };
        if issuers.iter().any(|other| other.name == issuer.name || other.url == issuer.url) {
            check.fault(&at, "has the name or the address of another issuer", "remove one of them");
        }
        issuers.push(issuer);
    }
    issuers
}

fn one(at: &str, raw: &raw::Issuer, servers: &[Arc<str>], check: &mut Check<'_>) -> Option<Issuer> {
    if !keys::is_name(&raw.name) {
        check.fault(&format!("{at}.name"), format!("{:?} is not a name", raw.name), keys::NAME_CURE);
    }
    let Some(url) = raw.url.clone() else {
        check.fault(at, "does not say whose tokens it is about", "add url, as `iss` stands in its tokens");
        return None;
    };
    let parsed = address(&format!("{at}.url"), &url, check)?;
    if parsed.query().is_some() {
        check.fault(&format!("{at}.url"), "has a query, which no issuer has", "remove it");
    }
    let audiences = raw.audiences.clone();
    if audiences.iter().any(|audience| audience.is_empty() || audience.len() > 512) {
        check.fault(&format!("{at}.audiences"), "has one that is empty or too long", "write them as `aud` has them");
    }
    Some(Issuer {
        name: raw.name.clone(),
        audiences,
        algorithms: algorithms(at, raw, check),
        keys: key_source(at, raw, check)?,
        principal_claim: raw.principal_claim.clone().unwrap_or_else(|| "sub".to_owned()),
        groups_claim: raw.groups_claim.clone(),
        words: words(at, raw, check),
        servers: grant::servers(at, raw.servers.as_deref(), servers, check),
        limit: raw.limit_per_minute,
        leeway: leeway(at, raw, check),
        introspection: introspection(at, raw, check),
        ca_file: server::ca_file(at, raw.ca_file.as_deref(), check),
        url,
    })
}

/// An address whose answers are believed.
fn address(at: &str, text: &str, check: &mut Check<'_>) -> Option<Uri> {
    let url = match server::read_url(text) {
        Ok(url) => url,
        Err((problem, _)) => {
            check.fault(at, problem, "write one like \"https://login.example.com\"");
            return None;
        }
    };
    let plain = url.scheme_str() == Some("http");
    if plain && (check.strict || !host::is_here(url.host().unwrap_or_default())) {
        check.fault(at, "is plain HTTP, which anybody on the way can change", "write https://…");
        return None;
    }
    Some(url)
}

fn algorithms(at: &str, raw: &raw::Issuer, check: &mut Check<'_>) -> Vec<Algorithm> {
    let public =
        || Algorithm::ALL.iter().map(|(_, algorithm)| *algorithm).filter(|algorithm| !algorithm.is_symmetric());
    if raw.algorithms.is_empty() {
        return public().collect();
    }
    let mut named = |name: &String| {
        let found = Algorithm::named(name).filter(|algorithm| !algorithm.is_symmetric());
        if found.is_none() {
            let known: Vec<_> = public().map(Algorithm::name).collect();
            let cure = format!("write some of {}", known.join(", "));
            check.fault(&format!("{at}.algorithms"), format!("{name:?} is no algorithm with a public key"), cure);
        }
        found
    };
    raw.algorithms.iter().filter_map(&mut named).collect()
}

fn key_source(at: &str, raw: &raw::Issuer, check: &mut Check<'_>) -> Option<KeySource> {
    match (&raw.jwks, &raw.jwks_file) {
        (Some(_), Some(_)) => {
            check.fault(at, "has both jwks and jwks_file", "keep one of them");
            None
        }
        (Some(url), None) => address(&format!("{at}.jwks"), url.as_str(), check).map(KeySource::Url),
        (None, None) => Some(KeySource::Discovery),
        (None, Some(path)) => {
            let at = format!("{at}.jwks_file");
            let path = check.path(&at, path);
            check.files.push(Seen::now(&path));
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            if KeySet::read_public(text.as_bytes()).is_none_or(|keys| keys.is_empty()) {
                let problem = format!("{} holds no usable set of public keys", path.display());
                check.fault(&at, problem, "name a file like {\"keys\": […]} (RFC 7517)");
                return None;
            }
            Some(KeySource::Text(text))
        }
    }
}

fn words(at: &str, raw: &raw::Issuer, check: &mut Check<'_>) -> Option<Words> {
    if raw.scopes.is_empty() {
        return None;
    }
    for (word, meanings) in &raw.scopes {
        let at = format!("{at}.scopes");
        if let Err((text, why)) = Scopes::read(meanings.iter().map(String::as_str)) {
            check.fault(
                &at,
                format!("{text:?} is not a scope of ours: {why}"),
                "write them like \"mcp:tools:call:SERVER\"",
            );
        }
        if word.is_empty() || !word.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)) {
            check.fault(&at, format!("{word:?} is no scope (RFC 6749)"), "write it as the issuer knows it, or \"*\"");
        }
    }
    Some(raw.scopes.iter().map(|(word, meanings)| (word.as_str().into(), meanings.join(" ").into())).collect())
}

fn leeway(at: &str, raw: &raw::Issuer, check: &mut Check<'_>) -> u64 {
    let text = raw.leeway.as_deref().unwrap_or("30s");
    check.duration(&format!("{at}.leeway"), text, 60_000).as_secs()
}

fn introspection(at: &str, raw: &raw::Issuer, check: &mut Check<'_>) -> Option<Introspection> {
    let aged = raw.introspection_max_age.is_some();
    let given = [raw.introspection.is_some(), raw.client_id.is_some(), raw.client_secret.is_some(), aged];
    if given == [false; 4] {
        return None;
    }
    let (Some(url), Some(client_id), Some(secret)) = (&raw.introspection, &raw.client_id, &raw.client_secret) else {
        let cure = "write introspection, client_id and client_secret together";
        check.fault(at, "does not say where, as whom and by which secret it can be asked", cure);
        return None;
    };
    let url = address(&format!("{at}.introspection"), url.as_str(), check)?;
    let client_secret = server::resolve_own(&format!("{at}.client_secret"), secret, check)?;
    let age = format!("{at}.introspection_max_age");
    let believed = check.duration(&age, raw.introspection_max_age.as_deref().unwrap_or("30s"), 300_000);
    // Times of tokens are whole seconds: less than one would be none.
    let believed = believed.max(Duration::from_secs(1));
    Some(Introspection { believed, url, client_id: client_id.clone(), client_secret })
}
