//! `/api/tokens`: the operations on tokens of our own, for callers with the scope `palisade:tokens:write`; and
//! `/api/tokens/refresh`, for whoever has a refresh token.
//!
//! A write is an arrival like a call: its intent stands in the journal before it is done. Who did what is recorded with the
//! change itself, in the store, and from there in the journal too.

use http::{Method, request};
use palisade_guard::authenticate::Principal;
use palisade_guard::authorize;
use palisade_guard::refusal::{Reason, Refusal};
use palisade_guard::token::revoked::Kind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::keys::{asker, read};
use crate::arrival;
use crate::passage::Passage;
use crate::reply::Reply;
use crate::snapshot::Snapshot;
use crate::tokens::{Error, Live};
use crate::transport::http::Content;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    /// `POST /api/tokens`
    Issue,
    /// `POST /api/tokens/refresh`
    Refresh,
    /// `POST /api/tokens/revoke`
    Revoke,
    /// `POST /api/tokens/rotate-key`
    RotateKey,
}

/// What is taken back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Revocation {
    /// One token, a family (a token and what followed it by refreshing), or all tokens of a holder until now.
    kind: What,
    /// The id of the token, the family, or the holder as records have it: `token:NAME`, `oauth:ISSUER:WHO`.
    name: String,
}

/// What can be taken back.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum What {
    Token,
    Family,
    Holder,
}

/// That it was done.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Done {
    /// The name of the key in force, after a rotation.
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    /// Always true.
    done: bool,
}

/// Bytes of a request's body.
const BODY: usize = 64 << 10;

impl Deed {
    /// What a path means, without the `/api/tokens` in front.
    pub(crate) fn read(rest: &str) -> Option<Self> {
        match rest {
            "" => Some(Self::Issue),
            "/refresh" => Some(Self::Refresh),
            "/revoke" => Some(Self::Revoke),
            "/rotate-key" => Some(Self::RotateKey),
            _ => None,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Issue => "tokens.issue",
            Self::Refresh => "tokens.refresh",
            Self::Revoke => "tokens.revoke",
            Self::RotateKey => "tokens.rotate-key",
        }
    }
}

/// Answers a request to `/api/tokens`.
pub(super) async fn answer(
    gate: &Snapshot,
    passage: &mut Passage,
    deed: Deed,
    (head, body): (&request::Parts, Content),
    caller: &Principal,
) -> Result<Reply, Refusal> {
    let Some(live) = &gate.lasting.tokens else {
        return passage.fact("route", Err(Refusal::new(Reason::UnknownPath)));
    };
    if head.method != Method::POST {
        passage.allow = "POST";
        return passage.fact("route", Err(Refusal::new(Reason::MethodNotAllowed)));
    }
    passage.record.facts.set_method(deed.word());
    let address = passage.fact("identify", passage.record.facts.client.ok_or(Refusal::new(Reason::Internal)))?;
    let allowed = match deed {
        Deed::Refresh if caller.refresh().is_some() => Ok(()),
        Deed::Refresh => Err(Refusal::new(Reason::Forbidden).says("send the refresh token as the Bearer credential")),
        _ => authorize::administer(&gate.asker(caller, address), "tokens", "write"),
    };
    passage.fact("authorize", allowed)?;
    passage.record.facts.rule = Some(if deed == Deed::Refresh { "refresh-token" } else { "scopes" }.into());
    let body = passage.fact("parse", arrival::document(gate, body, &head.headers, BODY).await)?;
    passage.intend(gate).await?;
    let done = run(gate, live, deed, &body, caller).await;
    passage.fact("tokens", done)
}

async fn run(gate: &Snapshot, live: &Live, deed: Deed, body: &[u8], caller: &Principal) -> Result<Reply, Refusal> {
    let by = asker(gate, caller);
    let answer = match deed {
        Deed::Issue => {
            let servers: Vec<_> = gate.servers.keys().cloned().collect();
            json!(live.mint.issue(&read(body)?, &servers, by).await.map_err(refused)?)
        }
        Deed::Refresh => {
            let (family, generation) = caller.refresh().unwrap_or_default();
            let refreshed = live.mint.refresh(family, generation).await;
            if matches!(refreshed, Err(Error::Reused)) {
                gate.lasting.follower.stir();
            }
            json!(refreshed.map_err(refused)?)
        }
        Deed::Revoke => {
            let Revocation { kind, name } = read(body)?;
            let kind = match kind {
                What::Token => Kind::Token,
                What::Family => Kind::Family,
                What::Holder => Kind::Holder,
            };
            live.mint.revoke(kind, &name, by).await.map_err(refused)?;
            json!(Done { kid: None, done: true })
        }
        Deed::RotateKey => json!(Done { kid: Some(live.mint.rotate(by).await.map_err(refused)?), done: true }),
    };
    // What was taken back ends what is open, and the journal has who did it.
    if deed != Deed::Refresh {
        gate.lasting.follower.stir();
    }
    Ok(Reply::json(&answer))
}

#[expect(clippy::needless_pass_by_value, reason = "it is what becomes of an error")]
fn refused(error: Error) -> Refusal {
    let words = error.to_string();
    match error {
        Error::Wrong(field, _) => Refusal::new(Reason::InvalidParams).says(words).at(format!("/{field}")),
        Error::Unknown | Error::Reused | Error::NotGood => {
            let challenge = palisade_guard::authenticate::CHALLENGE_INVALID;
            Refusal::new(Reason::Unauthenticated).challenge(challenge).because(words)
        }
        Error::Beyond(_) => Refusal::new(Reason::Forbidden).says(words),
        Error::Full | Error::Secret => Refusal::new(Reason::Conflict).says(words),
        Error::Store(_) => Refusal::new(Reason::StoreUnavailable).because(words),
        Error::NoKey => Refusal::new(Reason::Internal).because(words),
    }
}
