//! Roles, written in the words of scopes, as Cedar.

use std::fmt::Write as _;

use super::{Action, Thing};
use crate::grant::{Scope, ScopeParts};

/// Roles that need not be written, and what they may.
pub const BUILT_IN: [(&str, &[&str]); 5] = [
    ("admin", &["mcp:*", "palisade:*"]),
    ("operator", &["mcp:*", "palisade:*:read"]),
    ("auditor", &["mcp:*:list", "palisade:*:read"]),
    ("developer", &["mcp:*"]),
    ("viewer", &["mcp:*:list", "mcp:resources:read", "mcp:prompts:get"]),
];

/// Whether a role of this name is there without being written.
pub fn is_built_in(name: &str) -> bool {
    BUILT_IN.iter().any(|(role, _)| *role == name)
}

/// What each scope means: its kind and action, what may be done, and to what. Whoever called may use what became of it.
const MEANS: [(&str, &str, &[Action], Thing); 9] = [
    ("tools", "call", &[Action::Call], Thing::Tool),
    ("tools", "call", &[Action::Use], Thing::Task),
    ("tools", "list", &[Action::List], Thing::Tool),
    ("resources", "read", &[Action::Read, Action::Subscribe, Action::Complete], Thing::Resource),
    ("resources", "list", &[Action::List], Thing::Resource),
    ("prompts", "get", &[Action::Get, Action::Complete], Thing::Prompt),
    ("prompts", "list", &[Action::List], Thing::Prompt),
    ("tasks", "use", &[Action::Use], Thing::Task),
    ("methods", "call", &[Action::Invoke], Thing::Method),
];

/// One scope of a role as rules of Cedar: the name of each, and its text.
pub(super) fn rules(role: &str, scope: &Scope) -> Vec<(String, String)> {
    let parts = scope.parts();
    if parts.administers {
        let words = [("read", Action::Inspect), ("write", Action::Administer)];
        let actions = words.into_iter().filter(|(word, _)| says(parts.action, word)).map(|(_, action)| action);
        let actions: Vec<_> = actions.collect();
        let mut when = String::new();
        names(&mut when, "name", parts.kind);
        return vec![rule(role, scope, &actions, Thing::Part, &when)];
    }
    let means = MEANS.iter().filter(|(kind, action, ..)| {
        // Who may use a thing sees it; `*` would else list what a rule forbids to use.
        says(parts.kind, kind) && (parts.action == *action || parts.action == "*" && *action != "list")
    });
    means.map(|(kind, _, actions, thing)| rule(role, scope, actions, *thing, &when(&parts, kind, *thing))).collect()
}

fn when(parts: &ScopeParts<'_>, kind: &str, thing: Thing) -> String {
    let mut when = String::new();
    names(&mut when, "server", parts.server);
    // The id of a task says nothing of the tool.
    if thing != Thing::Task || kind == "tasks" {
        names(&mut when, "name", parts.name);
        if thing == Thing::Resource && parts.name != "*" && parts.name.contains('*') {
            when.push_str(" && !resource.climbs");
        }
    }
    when
}

/// A scope has neither `"` nor `\`, and its `*` is Cedar's.
fn names(when: &mut String, attribute: &str, pattern: &str) {
    if pattern != "*" {
        let and = if when.is_empty() { "" } else { " && " };
        let _ = write!(when, r#"{and}resource.{attribute} like "{pattern}""#);
    }
}

fn rule(role: &str, scope: &Scope, actions: &[Action], thing: Thing, when: &str) -> (String, String) {
    let words: Vec<_> = actions.iter().map(|action| format!("Action::\"{}\"", action.word())).collect();
    let when = if when.is_empty() { String::new() } else { format!(" when {{ {when} }}") };
    let text =
        format!("permit (principal in Role::\"{role}\", action in [{}], resource is {thing}){when};", words.join(", "));
    let first = actions.first().map_or("", |action| action.word());
    (format!("role {role}: {scope} ({first} {thing})"), text)
}

fn says(word: &str, wanted: &str) -> bool {
    word == "*" || word == wanted
}
