//! What may be shown of a key: everything but its secret.

use palisade_guard::clock::Rfc3339;
use schemars::JsonSchema;
use serde::Serialize;

use super::wanted::Permits;
use crate::store::keys::Row;

/// A key, as it is shown.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct View {
    /// Its public id: what records and limits call it, with `managed:` in front.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Whom to ask about it.
    pub owner: Option<String>,
    /// Whether it works.
    pub state: State,
    /// What it lets its holder do.
    #[serde(flatten)]
    pub permits: Permits,
    /// When it was made.
    pub created_at: String,
    /// Who made it.
    pub created_by: String,
    /// When it ends or ended; `null` for never.
    pub expires_at: Option<String>,
    /// When its secret was exchanged last.
    pub rotated_at: Option<String>,
    /// Until when the secret before works too.
    pub previous_secret_until: Option<String>,
    /// When it was revoked.
    pub revoked_at: Option<String>,
    /// How often it was used.
    pub uses: u64,
    /// When it was used last. Uses are written down every few seconds.
    pub last_used_at: Option<String>,
}

/// Whether a key works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It works.
    Active,
    /// Its time is over.
    Expired,
    /// It was revoked.
    Revoked,
}

impl State {
    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

/// A part of all keys.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Listed {
    /// The keys, the newest first; at most 1000.
    pub keys: Vec<View>,
    /// The last id, where there may be more: ask again with `after` this one.
    pub next: Option<String>,
}

/// How a key was used.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Used {
    /// Its public id.
    pub id: String,
    /// Whether it works.
    pub state: State,
    /// How often it was used.
    pub uses: u64,
    /// When it was used last.
    pub last_used_at: Option<String>,
}

/// What a text is that may be a key.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Verified {
    /// The public id in it; `None` if it has not the form of a managed key, checksum included.
    pub id: Option<String>,
    /// Whether it would be let in now.
    pub works: bool,
    /// Why it does not.
    pub why: Option<&'static str>,
    /// What is known of the key that works.
    pub key: Option<View>,
}

/// A key that was just made, with its text: this is the one time it is shown.
#[derive(Serialize, JsonSchema)]
pub struct Issued {
    /// The key itself.
    pub key: String,
    /// Everything else about it.
    #[serde(flatten)]
    pub about: View,
}

/// Without the key.
impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issued").field("about", &self.about).finish_non_exhaustive()
    }
}

impl View {
    /// How a row looks at this time.
    pub(super) fn of(row: Row, now: i64) -> Self {
        let state = match (row.revoked, row.expires) {
            (Some(_), _) => State::Revoked,
            (None, Some(end)) if end <= now => State::Expired,
            _ => State::Active,
        };
        Self {
            state,
            permits: serde_json::from_str(&row.permits).unwrap_or_default(),
            created_at: time(row.created),
            expires_at: row.expires.map(time),
            rotated_at: row.rotated.map(time),
            previous_secret_until: row.old_until.filter(|until| *until > now).map(time),
            revoked_at: row.revoked.map(time),
            uses: row.uses.try_into().unwrap_or_default(),
            last_used_at: row.last_used.map(time),
            id: row.id,
            name: row.name,
            owner: row.owner,
            created_by: row.created_by,
        }
    }

    /// The part about its use.
    pub(super) fn used(self) -> Used {
        Used { id: self.id, state: self.state, uses: self.uses, last_used_at: self.last_used_at }
    }
}

fn time(unix_ms: i64) -> String {
    Rfc3339(unix_ms.try_into().unwrap_or_default()).to_string()
}
