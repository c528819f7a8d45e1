//! What a server says of itself (RFC 9728), and an authorization server of itself (RFC 8414, OIDC Discovery).

use std::collections::BTreeSet;

use http::Uri;

use super::{NODES, Wrong, place, same_origin};
use crate::authenticate::resource::{METADATA, canonical};
use crate::token::Document;

/// What a server says of itself.
#[derive(Debug)]
pub struct Resource {
    /// The identifiers of its authorization servers.
    pub issuers: Vec<String>,
    /// All scopes there are.
    pub scopes: BTreeSet<String>,
}

/// How far an authorization server is believed.
#[derive(Debug, Clone, Copy)]
pub struct Trust {
    /// Whether the person who logs in named it: then its parts may have hosts of their own.
    pub named: bool,
    /// Whether it may be plain http on this machine.
    pub plain: bool,
}

/// What an authorization server says of itself.
#[derive(Debug)]
pub struct Issuer {
    /// Its identifier.
    pub url: String,
    /// Where a person logs in.
    pub authorization: Uri,
    /// Where tokens are.
    pub token: Uri,
    /// Where clients register.
    pub registration: Option<Uri>,
    /// Whether its answers name it (RFC 9207).
    pub says_who: bool,
    /// Whether it knows `offline_access`, without which some give no refresh token.
    pub offline: bool,
}

/// Where a server's metadata may be, beside the place that it named itself.
pub fn resource_places(url: &Uri) -> Vec<String> {
    let scheme = url.scheme_str().unwrap_or("https");
    let authority = url.authority().map_or("", |authority| authority.as_str());
    let path = url.path().trim_end_matches('/');
    let mut places = vec![format!("{scheme}://{authority}{METADATA}{path}")];
    if !path.is_empty() {
        places.push(format!("{scheme}://{authority}{METADATA}"));
    }
    places
}

/// Reads a server's metadata. What describes another address than `url` is another server's (RFC 9728 section 3.3): with it
/// a server would get tokens that are good somewhere else.
pub fn resource(text: &[u8], url: &str) -> Result<Resource, Wrong> {
    const UNREADABLE: Wrong = Wrong("the server's metadata cannot be read");
    let document = Document::read(text, NODES).ok_or(UNREADABLE)?;
    let about = document.text("resource").map_err(|_| UNREADABLE)?.ok_or(UNREADABLE)?;
    if canonical(&about) != canonical(url) {
        return Err(Wrong("the server's metadata is about another address"));
    }
    let list = |name: &str| document.texts(name).map(Option::unwrap_or_default).map_err(|_| UNREADABLE);
    let issuers = list("authorization_servers")?.into_iter().map(std::borrow::Cow::into_owned).collect();
    let scopes = super::challenge::scopes(&list("scopes_supported")?.join(" ")).ok_or(UNREADABLE)?;
    Ok(Resource { issuers, scopes })
}

/// Where an authorization server's metadata may be, in the order that MCP wants.
pub fn issuer_places(issuer: &str) -> Vec<String> {
    let issuer = issuer.trim_end_matches('/');
    let at = issuer.find("://").map_or(0, |at| at + 3);
    let path = issuer.get(at..).and_then(|rest| rest.find('/')).map_or(issuer.len(), |slash| at + slash);
    let (base, path) = issuer.split_at(path);
    let mut places = vec![
        format!("{base}/.well-known/oauth-authorization-server{path}"),
        format!("{base}/.well-known/openid-configuration{path}"),
    ];
    if !path.is_empty() {
        places.push(format!("{issuer}/.well-known/openid-configuration"));
    }
    places
}

/// Reads an authorization server's metadata. What names another issuer is somebody else's; and one that nobody vouched for
/// may not send codes and tokens to another host than its own.
pub fn issuer(text: &[u8], url: &str, trust: Trust) -> Result<Issuer, Wrong> {
    const UNREADABLE: Wrong = Wrong("the authorization server's metadata cannot be read");
    let document = Document::read(text, NODES).ok_or(UNREADABLE)?;
    let member = |name: &str| document.text(name).map_err(|_| UNREADABLE);
    if member("issuer")?.as_deref() != Some(url) {
        return Err(Wrong("the authorization server's metadata names another issuer"));
    }
    let own = place(url, trust.plain)?;
    let endpoint = |text: &str| {
        let found = place(text, trust.plain)?;
        if trust.named || same_origin(&found, &own) {
            return Ok(found);
        }
        Err(Wrong("the authorization server sends to another host; if you trust it, name it with --issuer"))
    };
    let methods = document.texts("code_challenge_methods_supported").map_err(|_| UNREADABLE)?.unwrap_or_default();
    if !methods.iter().any(|method| method == "S256") {
        return Err(Wrong("the authorization server does not know PKCE with S256"));
    }
    let scopes = document.texts("scopes_supported").unwrap_or_default().unwrap_or_default();
    Ok(Issuer {
        url: url.to_owned(),
        authorization: endpoint(&member("authorization_endpoint")?.ok_or(UNREADABLE)?)?,
        token: endpoint(&member("token_endpoint")?.ok_or(UNREADABLE)?)?,
        registration: member("registration_endpoint")?.map(|text| endpoint(&text)).transpose()?,
        says_who: document.truth("authorization_response_iss_parameter_supported") == Ok(Some(true)),
        offline: scopes.iter().any(|scope| scope == "offline_access"),
    })
}
