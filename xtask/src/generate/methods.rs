//! The page of methods, from the table in `palisade_guard::message::method`.

use palisade_guard::message::method::CLIENT;
use palisade_guard::message::{Form, Method, Revision, Target};

use super::NOTE;
use super::table::{code, table};

pub(super) fn page() -> String {
    let rows = CLIENT.iter().map(|method| {
        let form = match method.form {
            Form::Request => "request",
            Form::Notification => "notification",
        };
        let header = if method.is_mirrored() { "yes" } else { "" };
        [code(method.name), form.to_owned(), revisions(method), names(method.target).to_owned(), header.to_owned()]
    });
    let head = ["method", "form", "revisions", "names", "in `Mcp-Name`"];
    format!("{NOTE}\n\n# Methods\n\n{INTRODUCTION}\n{}", table(head, rows))
}

/// In the order of time, without the oldest: it is served as part of a later one and offered to nobody.
fn revisions(method: &Method) -> String {
    let served = Revision::SUPPORTED.iter().rev().filter_map(|name| Revision::named(name.as_bytes()));
    let names: Vec<_> = served.filter(|revision| method.exists_in(*revision)).map(Revision::name).collect();
    if names.len() == Revision::SUPPORTED.len() { "all".to_owned() } else { names.join(", ") }
}

const fn names(target: Target) -> &'static str {
    match target {
        Target::Nothing => "",
        Target::Tool => "a tool: `params.name`",
        Target::Name => "a prompt: `params.name`",
        Target::Uri => "a resource: `params.uri`",
        Target::Reference => "a prompt or a template: `params.ref`",
        Target::Task => "a task: `params.taskId`",
        Target::Listen => "resources: `params.notifications.resourceSubscriptions`",
    }
}

const INTRODUCTION: &str = "\
The methods a client may send, and the revisions that have them. Every other method is refused (`UnknownMethod`), unless
`servers.NAME.methods` lists it. What a method names is read from the body; in 2026-07-28 the last column says whether
the header `Mcp-Name` must repeat it.
";

#[cfg(test)]
mod tests {
    use super::page;
    use palisade_guard::message::method::CLIENT;

    #[test]
    fn every_method_is_there() {
        let page = page();
        for method in &CLIENT {
            assert!(page.contains(&format!("| `{}` |", method.name)), "{}", method.name);
        }
        assert!(page.contains("| `tools/call` | request | all |"));
        assert!(page.contains("| `ping` | request | 2025-03-26, 2025-06-18, 2025-11-25 |"));
    }
}
