//! Scopes: what a key or token lets its holder do, in words that stand in it.
//!
//! `mcp:{kind}:{action}:{server}/{name}`, where `*` in the last part stands for any run of characters. What is left out
//! at the end is not limited: `mcp:tools:call` is every tool of every server, `mcp:tools` and `mcp:tools:*` also lists.
//!
//! 1. Kinds and actions are those of [`Deed`]. Whoever may do something with things of a server may list its things of
//!    that kind: clients list before they call.
//! 2. The administration has scopes of its own, `palisade:{part}:{read|write}`; no `mcp` scope covers it, nor the reverse.
//! 3. A scope that is not written like this covers nothing. In settings it is a fault; in a token it is another's.

use std::fmt;
use std::str::FromStr;

use super::glob;
use crate::message::Call;

/// Scopes of one holder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scopes(Vec<Scope>);

/// One scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    family: Family,
    kind: Box<str>,
    action: Box<str>,
    server: Box<str>,
    name: Box<str>,
}

/// The parts of a scope; `*` stands for any run of characters.
#[derive(Debug, Clone, Copy)]
pub struct ScopeParts<'s> {
    /// Whether it is about the administration, and not about MCP: then `kind` names its part.
    pub administers: bool,
    /// The kind of thing.
    pub kind: &'s str,
    /// What may be done.
    pub action: &'s str,
    /// On which servers.
    pub server: &'s str,
    /// To things of which names.
    pub name: &'s str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Mcp,
    Palisade,
}

/// Kinds of things on a server, and what can be done with them.
const MCP: [(&str, &[&str]); 5] = [
    ("tools", &["call", "list"]),
    ("resources", &["read", "list"]),
    ("prompts", &["get", "list"]),
    ("tasks", &["use"]),
    ("methods", &["call"]),
];
/// Parts of the administration.
const PARTS: [&str; 2] = ["keys", "tokens"];

/// The longest scope.
pub const SCOPE_BYTES: usize = 512;

/// Why a text is no scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAScope(pub(crate) &'static str);

impl fmt::Display for NotAScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl FromStr for Scope {
    type Err = NotAScope;

    fn from_str(text: &str) -> Result<Self, NotAScope> {
        if text.len() > SCOPE_BYTES || !text.bytes().all(is_scope_byte) {
            return Err(NotAScope("a scope is 1 to 512 visible ASCII characters without \" and \\"));
        }
        let mut parts = text.splitn(4, ':');
        let family = match parts.next() {
            Some("mcp") => Family::Mcp,
            Some("palisade") => Family::Palisade,
            _ => return Err(NotAScope("a scope begins with \"mcp:\" or \"palisade:\"")),
        };
        let kind = parts.next().ok_or(NotAScope("a scope names a kind after its first word, or \"*\""))?;
        let action = parts.next().unwrap_or("*");
        let (server, name) = match parts.next() {
            None => ("*", "*"),
            Some(_) if family == Family::Palisade => {
                return Err(NotAScope("write palisade:{keys|tokens}:{read|write}"));
            }
            Some(whole) => whole.split_once('/').unwrap_or((whole, "*")),
        };
        if [kind, action, server, name].contains(&"") {
            return Err(NotAScope("a part of the scope is empty: write \"*\" for any"));
        }
        if !family.has(kind, action) {
            return Err(NotAScope(family.hint()));
        }
        let [kind, action, server, name] = [kind, action, server, name].map(Box::from);
        Ok(Self { family, kind, action, server, name })
    }
}

/// RFC 6749 section 3.3.
const fn is_scope_byte(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)
}

impl Family {
    fn has(self, kind: &str, action: &str) -> bool {
        match self {
            Self::Mcp => MCP.iter().any(|(known, actions)| {
                (kind == "*" || kind == *known) && (action == "*" || actions.contains(&action))
            }),
            Self::Palisade => (kind == "*" || PARTS.contains(&kind)) && ["*", "read", "write"].contains(&action),
        }
    }

    const fn hint(self) -> &'static str {
        match self {
            Self::Mcp => "write mcp:tools:call, mcp:resources:read, mcp:prompts:get, mcp:tasks:use or mcp:methods:call",
            Self::Palisade => "write palisade:{keys|tokens}:{read|write}",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { family, kind, action, server, name } = self;
        match family {
            Family::Palisade => write!(f, "palisade:{kind}:{action}"),
            Family::Mcp => write!(f, "mcp:{kind}:{action}:{server}/{name}"),
        }
    }
}

/// What a scope can allow on a server: an action, and the name it acts on, which only lists do not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deed<'a> {
    kind: &'static str,
    action: &'static str,
    name: Option<&'a str>,
}

impl<'a> Deed<'a> {
    /// What `tools/list` needs.
    pub const LIST_TOOLS: Deed<'static> = Deed { kind: "tools", action: "list", name: None };

    /// The kind of thing: `tools`.
    pub const fn kind(&self) -> &'static str {
        self.kind
    }

    /// What is done: `call`.
    pub const fn action(&self) -> &'static str {
        self.action
    }

    /// The name it acts on, which only lists do not have.
    pub const fn name(&self) -> Option<&'a str> {
        self.name
    }
}

impl fmt::Display for Deed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mcp:{}:{}", self.kind, self.action)
    }
}

/// Everything that a call does; empty for what whoever may see the server may do.
pub fn deeds(call: &Call) -> Vec<Deed<'_>> {
    let Call::Message(message) = call else { return Vec::new() };
    let Some(method) = message.method_name() else { return Vec::new() };
    let named = |kind, action| message.names().map(|name| Deed { kind, action, name: Some(name) }).collect();
    let list = |kind| vec![Deed { kind, action: "list", name: None }];
    match method {
        "tools/call" => named("tools", "call"),
        "tools/list" => list("tools"),
        "resources/list" | "resources/templates/list" => list("resources"),
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" | "subscriptions/listen" => {
            named("resources", "read")
        }
        "prompts/list" => list("prompts"),
        "completion/complete" if message.completes_resource() => named("resources", "read"),
        "prompts/get" | "completion/complete" => named("prompts", "get"),
        "tasks/get" | "tasks/update" | "tasks/cancel" | "tasks/result" | "tasks/list" => {
            vec![Deed { kind: "tasks", action: "use", name: None }]
        }
        _ if message.method().is_some() => Vec::new(),
        vendors => vec![Deed { kind: "methods", action: "call", name: Some(vendors) }],
    }
}

impl Scopes {
    /// Those of a list in which each must be right.
    pub fn read<'t>(texts: impl IntoIterator<Item = &'t str>) -> Result<Self, (String, NotAScope)> {
        let read = texts.into_iter().map(|text| text.parse().map_err(|fault| (text.to_owned(), fault)));
        read.collect::<Result<_, _>>().map(Self)
    }

    /// Those of ours among a token's scopes, separated by spaces. Others' are left out.
    pub fn among(texts: &str) -> Self {
        Self(texts.split(' ').filter_map(|text| text.parse().ok()).collect())
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }

    /// The scopes as they are written.
    pub fn words(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(Scope::to_string)
    }

    /// Whether the holder may do anything on this server.
    pub fn reach(&self, server: &str) -> bool {
        self.0.iter().any(|scope| scope.is_about(server))
    }

    /// Whether the holder may do this on this server.
    pub fn cover(&self, server: &str, deed: &Deed<'_>) -> bool {
        self.0.iter().any(|scope| scope.covers(server, deed))
    }

    /// Whether the holder can do nothing that `other`'s holder cannot: each scope of MCP is within one of `other`'s.
    pub fn within(&self, other: &Self) -> bool {
        let of_mcp = |scope: &&Scope| scope.family == Family::Mcp;
        let covered = |scope: &Scope| other.0.iter().any(|wide| wide.contains(scope));
        !self.administer_beyond(other) && self.0.iter().filter(of_mcp).all(covered)
    }

    /// Whether the holder could do something in the administration that `other`'s holder cannot.
    fn administer_beyond(&self, other: &Self) -> bool {
        let all = PARTS.iter().flat_map(|part| ["read", "write"].map(|action| (*part, action)));
        all.into_iter().any(|(part, action)| self.administer(part, action) && !other.administer(part, action))
    }

    /// Whether the holder may read or write this part of the administration.
    pub fn administer(&self, part: &str, action: &str) -> bool {
        self.0
            .iter()
            .any(|scope| scope.family == Family::Palisade && says(&scope.kind, part) && says(&scope.action, action))
    }
}

impl Scope {
    /// What it says, part by part.
    pub fn parts(&self) -> ScopeParts<'_> {
        let Self { family, kind, action, server, name } = self;
        ScopeParts { administers: *family == Family::Palisade, kind, action, server, name }
    }

    /// Whether it is about things on this server.
    pub fn is_about(&self, server: &str) -> bool {
        self.family == Family::Mcp && glob::matches(self.server.as_bytes(), server.as_bytes())
    }

    fn covers(&self, server: &str, deed: &Deed<'_>) -> bool {
        if !self.is_about(server) {
            return false;
        }
        match (deed.kind, deed.name) {
            // A task is what became of a call.
            ("tasks", _) => says(&self.kind, "tasks") || says(&self.kind, "tools") && says(&self.action, "call"),
            (kind, None) => says(&self.kind, kind),
            (kind, Some(name)) => says(&self.kind, kind) && says(&self.action, deed.action) && self.names(kind, name),
        }
    }

    /// Whether all that `inner` covers is covered by this. A pattern that fits another's text, where a `*` is a letter like
    /// any other that only a `*` fits, fits whatever that one fits.
    fn contains(&self, inner: &Self) -> bool {
        let fits = |wide: &str, narrow: &str| glob::matches(wide.as_bytes(), narrow.as_bytes());
        self.family == inner.family
            && says(&self.kind, &inner.kind)
            && says(&self.action, &inner.action)
            && fits(&self.server, &inner.server)
            && (fits(&self.name, &inner.name)
                && (&*self.name == "*" || self.name == inner.name || !climbs(&inner.name)))
    }

    /// A URI that climbs (`file:///srv/../etc`) is no part of what `file:///srv/*` means, though it is written like it.
    fn names(&self, kind: &str, name: &str) -> bool {
        let climbs = || kind == "resources" && &*self.name != "*" && self.name.contains('*') && climbs(name);
        glob::matches(self.name.as_bytes(), name.as_bytes()) && !climbs()
    }
}

fn says(word: &str, wanted: &str) -> bool {
    word == "*" || word == wanted
}

/// Whether a part of a URI's path may be `..`, plain or encoded, for whoever reads it.
pub fn climbs(uri: &str) -> bool {
    let uri = uri.to_ascii_lowercase();
    uri.contains("..") || uri.contains("%2e") || uri.contains("%25") || uri.contains('\\') || uri.contains("%5c")
}
