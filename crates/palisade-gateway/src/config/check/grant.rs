//! What the holder of a configured credential may do.

use std::sync::Arc;

use palisade_guard::grant::{Grant, Scopes};

use super::keys::{NAME_CURE, is_name};
use super::{Check, listen};
use crate::config::raw;
use crate::config::shape::nearest;

/// What the file says of it.
pub(super) struct Rights<'r> {
    servers: Option<&'r [String]>,
    scopes: Option<&'r [String]>,
    groups: &'r [String],
    allow: &'r [String],
    deny: &'r [String],
    limit: Option<u32>,
}

impl<'r> From<&'r raw::Key> for Rights<'r> {
    fn from(raw: &'r raw::Key) -> Self {
        let (servers, scopes) = (raw.servers.as_deref(), raw.scopes.as_deref());
        let raw::Key { groups, allow, deny, .. } = raw;
        Self { servers, scopes, groups, allow, deny, limit: raw.limit_per_minute }
    }
}

impl<'r> From<&'r raw::Client> for Rights<'r> {
    fn from(raw: &'r raw::Client) -> Self {
        let (servers, scopes) = (raw.servers.as_deref(), raw.scopes.as_deref());
        let raw::Client { groups, allow, deny, .. } = raw;
        Self { servers, scopes, groups, allow, deny, limit: raw.limit_per_minute }
    }
}

impl<'r> From<&'r raw::Certificate> for Rights<'r> {
    fn from(raw: &'r raw::Certificate) -> Self {
        let (servers, scopes) = (raw.servers.as_deref(), raw.scopes.as_deref());
        let raw::Certificate { groups, allow, deny, .. } = raw;
        Self { servers, scopes, groups, allow, deny, limit: raw.limit_per_minute }
    }
}

/// The grant of what stands at `at`. What is wrong is a fault, and left out.
pub(super) fn read(at: &str, raw: &Rights<'_>, servers: &[Arc<str>], check: &mut Check<'_>) -> Grant {
    let lists = listen::lists(at, raw.allow, raw.deny, check);
    let listed = self::servers(at, raw.servers, servers, check);
    let scopes = raw.scopes.as_ref().map(|texts| {
        Scopes::read(texts.iter().map(String::as_str)).unwrap_or_else(|(text, why)| {
            check.fault(&format!("{at}.scopes"), format!("{text:?} is not a scope: {why}"), SCOPE_CURE);
            Scopes::default()
        })
    });
    for name in raw.groups.iter().filter(|name| !is_name(name)) {
        check.fault(&format!("{at}.groups"), format!("{name:?} is not a name for a group"), NAME_CURE);
    }
    let groups = raw.groups.iter().map(|name| Arc::from(name.as_str())).collect();
    Grant { servers: listed, scopes, words: None, groups, lists, limit: raw.limit }
}

/// The servers that a list names; `None` where there is no list.
pub(super) fn servers(
    at: &str,
    names: Option<&[String]>,
    servers: &[Arc<str>],
    check: &mut Check<'_>,
) -> Option<Vec<Arc<str>>> {
    let each = names?.iter().enumerate();
    Some(each.filter_map(|(item, name)| server(&format!("{at}.servers[{item}]"), name, servers, check)).collect())
}

fn server(at: &str, name: &str, servers: &[Arc<str>], check: &mut Check<'_>) -> Option<Arc<str>> {
    let found = servers.iter().find(|server| &***server == name).map(Arc::clone);
    if found.is_none() {
        let known: Vec<&str> = servers.iter().map(|server| &**server).collect();
        let cure = match nearest(name, &known) {
            Some(near) => format!("did you mean {near:?}?"),
            None => "add it under [servers], or remove it here".to_owned(),
        };
        check.fault(at, format!("{name:?} is not a server"), cure);
    }
    found
}

pub(super) const SCOPE_CURE: &str = "write it like \"mcp:tools:call:SERVER/TOOL\" or \"palisade:keys:read\"";
