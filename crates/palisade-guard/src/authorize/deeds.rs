//! A call in the words of policies.

use std::ops::Range;

use super::policy::{Action, Deed, Thing};
use crate::message::json::{Bounds, scan, text_of};
use crate::message::{Call, Message};
use crate::refusal::{Detail, Reason, Refusal};

/// Everything that a call does to things of `server`. Empty for what whoever may see the server may do, lists too: what is
/// in them is decided item by item.
pub(super) fn of<'c>(server: &'c str, call: &'c Call, said: &'c Said) -> Vec<Deed<'c>> {
    let Call::Message(message) = call else { return Vec::new() };
    let deed = |action, thing, name, completed| {
        let arguments = said.arguments.clone().and_then(|span| message.bytes().get(span));
        Deed { action, thing, server, name, arguments, completed }
    };
    let each = |action, thing| message.names().map(|name| deed(action, thing, name, None)).collect::<Vec<_>>();
    let each_uri = |action| {
        let deeds = message.names().map(|uri| deed(action, Thing::Resource, uri, Some(("uri", uri))));
        deeds.collect::<Vec<_>>()
    };
    match message.method_name().unwrap_or_default() {
        "tools/call" => each(Action::Call, Thing::Tool),
        "prompts/get" => each(Action::Get, Thing::Prompt),
        "resources/read" => each_uri(Action::Read),
        "resources/subscribe" | "resources/unsubscribe" => each_uri(Action::Subscribe),
        "subscriptions/listen" => {
            let tasks = said.tasks.iter().map(|id| deed(Action::Use, Thing::Task, id, None));
            each_uri(Action::Subscribe).into_iter().chain(tasks).collect()
        }
        "completion/complete" => {
            let thing = if said.of_resource { Thing::Resource } else { Thing::Prompt };
            let completed = said.completed.as_ref().map(|(name, text)| (name.as_str(), text.as_str()));
            message.names().map(|name| deed(Action::Complete, thing, name, completed)).collect()
        }
        "tasks/get" | "tasks/update" | "tasks/cancel" | "tasks/result" => each(Action::Use, Thing::Task),
        // The rest is what scopes know by its name alone: methods beyond those of MCP.
        method if message.method().is_none() && message.form().is_some() => {
            vec![deed(Action::Invoke, Thing::Method, method, None)]
        }
        _ => Vec::new(),
    }
}

/// What deeds rest on and does not stand in one piece in the message.
#[derive(Default)]
pub(super) struct Said {
    /// Where the arguments stand: of a completion, those that were chosen before.
    arguments: Option<Range<usize>>,
    /// What a completion completes, and with what.
    completed: Option<(String, String)>,
    /// Whether it is a resource template's.
    of_resource: bool,
    /// Tasks that a subscription names.
    tasks: Vec<String>,
}

impl Said {
    pub(super) fn of(call: &Call) -> Self {
        let Call::Message(message) = call else { return Self::default() };
        let text = |path: &[&str]| {
            let (span, _) = message.param(path)?;
            Some(text_of(message.bytes().get(span)?).into_owned())
        };
        match message.method_name() {
            Some("completion/complete") => Self {
                arguments: message.param(&["context", "arguments"]).map(|(span, _)| span),
                completed: text(&["argument", "name"]).zip(text(&["argument", "value"])),
                of_resource: message.completes_resource(),
                tasks: Vec::new(),
            },
            Some("subscriptions/listen") => Self { tasks: listened(message).unwrap_or_default(), ..Self::default() },
            _ => Self { arguments: message.arguments(), ..Self::default() },
        }
    }
}

fn listened(message: &Message) -> Option<Vec<String>> {
    let (span, _) = message.param(&["notifications", "taskIds"])?;
    let text = message.bytes().get(span)?;
    // It was found good when the message was parsed.
    let outline = scan(text, Bounds { depth: usize::MAX, nodes: usize::MAX, lone_surrogates: true }).ok()?;
    let ids =
        outline.children(None).map(|(_, id)| text_of(text.get(id.value.clone()).unwrap_or_default()).into_owned());
    Some(ids.collect())
}

/// A part of the administration, read or written.
pub(super) fn administration<'c>(part: &'c str, action: &str) -> Deed<'c> {
    let action = if action == "read" { Action::Inspect } else { Action::Administer };
    Deed { action, thing: Thing::Part, server: "", name: part, arguments: None, completed: None }
}

/// What a caller hears of a thing that is hidden: what there would be to hear if it were not there.
pub(super) fn nothing_there(deed: &Deed<'_>) -> Refusal {
    match deed.thing {
        Thing::Tool => Refusal::new(Reason::UnknownTool).at("/params/name"),
        Thing::Prompt => Refusal::new(Reason::InvalidParams).says("unknown prompt"),
        Thing::Resource => {
            let uri = Detail::Text(deed.name.to_owned().into());
            Refusal::new(Reason::InvalidParams).says("no server lists this resource").with("uri", uri)
        }
        Thing::Task => Refusal::new(Reason::InvalidParams).says("unknown task").at("/params/taskId"),
        Thing::Method => Refusal::new(Reason::UnknownMethod).at("/method"),
        Thing::Part | Thing::Server => Refusal::new(Reason::Forbidden),
    }
}
