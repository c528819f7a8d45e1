//! `/api/keys`: the operations on managed keys, for callers with the scopes `palisade:keys:read` and `palisade:keys:write`.
//!
//! A write is an arrival like a call: its intent stands in the journal before it is done. Who did what to which key is
//! recorded with the change itself, in the store, and from there in the journal too.

use http::{Method, request};
use palisade_guard::authenticate::Principal;
use palisade_guard::authenticate::key_text::PublicId;
use palisade_guard::authorize;
use palisade_guard::message::json::{Bounds, scan};
use palisade_guard::refusal::{Reason, Refusal};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::arrival;
use crate::keys::{self, Asker, Error, GRACE, Holds, Wanted, grace};
use crate::passage::Passage;
use crate::reply::Reply;
use crate::snapshot::Snapshot;
use crate::transport::http::Content;

/// What a path below `/api/keys` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Path {
    /// `/api/keys`
    All,
    /// `/api/keys/{id}`
    One(PublicId),
    /// `/api/keys/{id}/rotate`
    Rotate(PublicId),
    /// `/api/keys/{id}/revoke`
    Revoke(PublicId),
    /// `/api/keys/{id}/usage`
    Usage(PublicId),
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    List(Option<PublicId>),
    Create,
    Show(PublicId),
    Rotate(PublicId),
    Revoke(PublicId),
    Usage(PublicId),
}

/// How a secret is exchanged.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Rotation {
    /// How long the secret before works on, up to `90d`; `0s` ends it, and every other before it, now. Without it `24h`.
    grace: Option<String>,
    /// When the key ends, from now on, like `90d`; without it when it would have.
    expires: Option<String>,
    /// Whether a secret that works on after an earlier rotation ends now. Without it the rotation is refused until that
    /// secret's time is over.
    end_older: bool,
}

/// Bytes of a request's body.
const BODY: usize = 64 << 10;
const BOUNDS: Bounds = Bounds { depth: 4, nodes: 1024, lone_surrogates: false };

impl Path {
    /// What a path means, without the `/api/keys` in front.
    pub(crate) fn read(rest: &str) -> Option<Self> {
        if rest.is_empty() {
            return Some(Self::All);
        }
        let (id, verb) = rest.strip_prefix('/')?.split_at_checked(12)?;
        let id = PublicId::read(id.as_bytes())?;
        match verb {
            "" => Some(Self::One(id)),
            "/rotate" => Some(Self::Rotate(id)),
            "/revoke" => Some(Self::Revoke(id)),
            "/usage" => Some(Self::Usage(id)),
            _ => None,
        }
    }

    fn deed(self, method: &Method) -> Result<Deed, &'static str> {
        match (self, method) {
            (Self::All, &Method::GET) => Ok(Deed::List(None)),
            (Self::All, &Method::POST) => Ok(Deed::Create),
            (Self::One(id), &Method::GET) => Ok(Deed::Show(id)),
            (Self::One(id), &Method::DELETE) | (Self::Revoke(id), &Method::POST) => Ok(Deed::Revoke(id)),
            (Self::Rotate(id), &Method::POST) => Ok(Deed::Rotate(id)),
            (Self::Usage(id), &Method::GET) => Ok(Deed::Usage(id)),
            (Self::All, _) => Err("GET, POST"),
            (Self::One(_), _) => Err("GET, DELETE"),
            (Self::Rotate(_) | Self::Revoke(_), _) => Err("POST"),
            (Self::Usage(_), _) => Err("GET"),
        }
    }
}

impl Deed {
    /// Its name in records, and the scope it needs.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::List(_) => ("keys.list", "read"),
            Self::Show(_) => ("keys.show", "read"),
            Self::Usage(_) => ("keys.usage", "read"),
            Self::Create => ("keys.create", "write"),
            Self::Rotate(_) => ("keys.rotate", "write"),
            Self::Revoke(_) => ("keys.revoke", "write"),
        }
    }

    const fn target(self) -> Option<PublicId> {
        match self {
            Self::List(_) | Self::Create => None,
            Self::Show(id) | Self::Rotate(id) | Self::Revoke(id) | Self::Usage(id) => Some(id),
        }
    }
}

/// Answers a request to `/api/keys`.
pub(super) async fn answer(
    gate: &Snapshot,
    passage: &mut Passage,
    path: Path,
    (head, body): (&request::Parts, Content),
    caller: &Principal,
) -> Result<Reply, Refusal> {
    let deed = match path.deed(&head.method) {
        Ok(Deed::List(_)) => Deed::List(passage.fact("parse", after(head.uri.query()))?),
        Ok(deed) => deed,
        Err(allow) => {
            passage.allow = allow;
            return passage.fact("route", Err(Refusal::new(Reason::MethodNotAllowed)));
        }
    };
    let (name, action) = deed.words();
    passage.record.facts.set_method(name);
    passage.record.facts.name = deed.target().map(|id| format!("managed:{}", id.as_str()).into());
    let address = passage.fact("identify", passage.record.facts.client.ok_or(Refusal::new(Reason::Internal)))?;
    passage.fact("authorize", authorize::administer(&gate.asker(caller, address), "keys", action))?;
    passage.record.facts.rule = Some("scopes".into());
    let body = passage.fact("parse", arrival::document(gate, body, &head.headers, BODY).await)?;
    if action == "write" {
        passage.intend(gate).await?;
    }
    let done = run(gate, deed, &body, caller).await;
    passage.fact("keys", done)
}

/// Who asks, and what they hold. The end of a token or certificate is not its holder's: another follows. That of a key is.
pub(super) fn asker<'a>(gate: &Snapshot, caller: &'a Principal) -> Asker<'a> {
    let id = caller.id().strip_prefix("managed:").and_then(|id| PublicId::read(id.as_bytes()));
    let table = gate.lasting.keys.managed().table();
    let ends = id.and_then(|id| table.get(&id)?.expires_ms).and_then(|end| i64::try_from(end).ok());
    let holds = Holds { grant: caller.grant(), ends, usual_limit: gate.limits.per_caller() };
    Asker { who: caller.id(), holds: Some(holds) }
}

async fn run(gate: &Snapshot, deed: Deed, body: &[u8], caller: &Principal) -> Result<Reply, Refusal> {
    let (live, book) = (&gate.lasting.keys, &gate.lasting.keys.book);
    let by = asker(gate, caller);
    let answer = match deed {
        Deed::List(after) => {
            let after = after.as_ref().map(PublicId::as_str);
            json!(book.list(after).await.map_err(refused)?)
        }
        Deed::Show(id) => json!(book.show(id.as_str()).await.map_err(refused)?),
        Deed::Usage(id) => json!(book.usage(id.as_str()).await.map_err(refused)?),
        Deed::Create => {
            let wanted: Wanted = read(body)?;
            let servers: Vec<_> = gate.servers.keys().cloned().collect();
            json!(book.create(&wanted, &servers, by).await.map_err(refused)?)
        }
        Deed::Rotate(id) => {
            let wanted: Rotation = if body.is_empty() { Rotation::default() } else { read(body)? };
            let grace = grace(wanted.grace.as_deref().unwrap_or(GRACE)).map_err(refused)?;
            let how = keys::Rotation { grace, expires: wanted.expires.as_deref(), end_older: wanted.end_older };
            json!(book.rotate(id.as_str(), how, by).await.map_err(refused)?)
        }
        Deed::Revoke(id) => json!(book.revoke(id.as_str(), by).await.map_err(refused)?),
    };
    if matches!(deed, Deed::Create | Deed::Rotate(_) | Deed::Revoke(_)) {
        // Before it is acknowledged, it counts.
        live.changed().await.map_err(refused)?;
        gate.lasting.follower.stir();
    }
    Ok(Reply::json(&answer))
}

/// `?after=ID`, and nothing else.
fn after(query: Option<&str>) -> Result<Option<PublicId>, Refusal> {
    let Some(query) = query else { return Ok(None) };
    let id = query.strip_prefix("after=").and_then(|id| PublicId::read(id.as_bytes()));
    id.map(Some).ok_or_else(|| Refusal::new(Reason::InvalidParams).says("write ?after=ID, or no query").at("after"))
}

/// A document that means one thing: no name twice, none that is unknown.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    scan(body, BOUNDS).map_err(|fault| Refusal::new(Reason::NotJson).because(format_args!("{fault:?}")))?;
    serde_json::from_slice(body).map_err(|error| {
        let words: String = error.to_string().chars().take(300).collect();
        Refusal::new(Reason::InvalidParams).says(words)
    })
}

fn refused(error: Error) -> Refusal {
    let words = error.to_string();
    match error {
        Error::Wrong(wrong) => {
            let first = wrong.first().map_or_else(String::new, |wrong| format!("/{}", wrong.field));
            Refusal::new(Reason::InvalidParams).says(words).at(first)
        }
        Error::Unknown => Refusal::new(Reason::UnknownPath).says(words),
        Error::Taken(_) | Error::Over(_) | Error::Overlap(_) | Error::Full => {
            Refusal::new(Reason::Conflict).says(words)
        }
        Error::Beyond(_) => Refusal::new(Reason::Forbidden).says(words),
        Error::Store(_) => Refusal::new(Reason::StoreUnavailable).because(words),
        Error::Pepper(..) | Error::OtherPepper | Error::Unreadable => Refusal::new(Reason::Internal).because(words),
    }
}
