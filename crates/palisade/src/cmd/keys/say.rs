//! What the command answers: for people, or as JSON. A key alone stands on standard output, words about it beside.

use std::fmt::Display;
use std::process::ExitCode;

use palisade_gateway::keys::{Issued, Used, Verified, View};
use serde_json::json;

use crate::cli::Desk;
use crate::say::{err, out};

/// A key that was just made.
pub(super) fn issued(desk: &Desk, issued: &Issued) {
    if desk.json {
        return out(json!(issued));
    }
    let about = &issued.about;
    out(&issued.key);
    err(format_args!("{} is called {}. This is the one time that the key is shown.", about.id, about.name));
    if let Some(until) = &about.previous_secret_until {
        err(format_args!("The secret before works until {until}."));
    }
    if let Some(end) = &about.expires_at {
        err(format_args!("It ends at {end}."));
    }
}

/// All keys.
pub(super) fn list(desk: &Desk, views: &[View]) {
    if desk.json {
        return out(json!({"keys": views}));
    }
    if views.is_empty() {
        return err("There is no managed key. Make one with `palisade keys create NAME`.");
    }
    let row = |cells: [&dyn Display; 6]| {
        let [id, name, state, ends, last, uses] = cells;
        out(format_args!("{id:<12}  {name:<24}  {state:<7}  {ends:<24}  {last:<24}  {uses}"));
    };
    row([&"ID", &"NAME", &"STATE", &"ENDS", &"LAST USE", &"USES"]);
    for view in views {
        let (ends, last) = (or(view.expires_at.as_ref(), "never"), or(view.last_used_at.as_ref(), "never"));
        row([&view.id, &view.name, &view.state.word(), &ends, &last, &view.uses]);
    }
}

/// One key.
pub(super) fn view(desk: &Desk, view: &View) {
    if desk.json {
        return out(json!(view));
    }
    let permits = &view.permits;
    let all = |list: &Option<Vec<String>>| list.as_ref().map_or_else(|| "all".to_owned(), |list| list.join(", "));
    let some = |list: &[String], none: &str| if list.is_empty() { none.to_owned() } else { list.join(", ") };
    let limit = permits.limit_per_minute.map_or_else(|| "as for everybody".to_owned(), |limit| format!("{limit}/min"));
    let lines = [
        ("id", view.id.clone()),
        ("name", view.name.clone()),
        ("owner", or(view.owner.as_ref(), "nobody named").to_owned()),
        ("state", view.state.word().to_owned()),
        ("servers", all(&permits.servers)),
        ("scopes", all(&permits.scopes)),
        ("groups", some(&permits.groups, "none")),
        ("allow", some(&permits.allow, "everywhere")),
        ("deny", some(&permits.deny, "nowhere")),
        ("limit", limit),
        ("made", format!("{} by {}", view.created_at, view.created_by)),
        ("ends", or(view.expires_at.as_ref(), "never").to_owned()),
        ("rotated", or(view.rotated_at.as_ref(), "never").to_owned()),
        ("old secret until", or(view.previous_secret_until.as_ref(), "over").to_owned()),
        ("revoked", or(view.revoked_at.as_ref(), "no").to_owned()),
        ("uses", view.uses.to_string()),
        ("last use", or(view.last_used_at.as_ref(), "never").to_owned()),
    ];
    for (name, value) in lines {
        out(format_args!("{name:<18}{value}"));
    }
}

/// A key that was withdrawn.
pub(super) fn revoked(desk: &Desk, view: &View) {
    if desk.json {
        return out(json!(view));
    }
    err(format_args!(
        "{} ({}) is revoked: every gateway on this store refuses it within a second.",
        view.id, view.name
    ));
}

/// How a key was used.
pub(super) fn used(desk: &Desk, used: &Used) {
    if desk.json {
        return out(json!(used));
    }
    out(format_args!("{} uses, the last {}", used.uses, or(used.last_used_at.as_ref(), "never")));
}

/// What a text on standard input is.
pub(super) fn verified(desk: &Desk, verified: &Verified) -> ExitCode {
    let works = verified.works;
    if desk.json {
        out(json!(verified));
    } else {
        match (&verified.id, &verified.key) {
            (None, _) => out("This is no managed key: its form or its checksum is wrong."),
            (Some(id), Some(key)) => out(format_args!("This is {id}, called {}, and it works.", key.name)),
            (Some(id), None) => {
                let why = verified.why.unwrap_or_default();
                out(format_args!("This has the form of a managed key, {id}, and does not work: {why}."));
            }
        }
    }
    if works { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn or<'t>(text: Option<&'t String>, none: &'t str) -> &'t str {
    text.map_or(none, String::as_str)
}
