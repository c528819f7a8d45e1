//! A policy of 200 rules beside the built-in roles, and a caller in one group.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use palisade_guard::authorize::policy::{Action, Binding, Deed, Policy, Source, Text, Thing, Who};

/// A policy and who asks it.
pub(crate) struct Asked {
    policy: Option<Policy>,
    groups: Vec<Arc<str>>,
}

/// 200 rules, of which one reads arguments.
pub(crate) fn rules() -> Asked {
    let first = "permit (principal in Group::\"g\", action == Action::\"call\", resource == Tool::\"s/pay\")
        when { context.arguments.amount < 10 };";
    let rule = |number: u32| {
        format!(
            "permit (principal in Group::\"g{number}\", action == Action::\"call\", resource == Tool::\"s/t{number}\");"
        )
    };
    let text = std::iter::once(first.to_owned()).chain((1..200).map(rule)).collect::<Vec<_>>().join("\n");
    let files = vec![Text { path: "p".into(), text }];
    let roles = vec!["developer".into()];
    let bindings = vec![Binding { roles, groups: vec!["h".into()], callers: Vec::new() }];
    let source = Source { files, bindings, ..Source::default() };
    let policy = Policy::compile(&source, &["s".into()]).ok();
    Asked { policy, groups: vec!["g".into(), "h".into()] }
}

/// A decision that was made before.
pub(crate) fn known(asked: &Asked) -> bool {
    decide(asked, "t7", b"{}")
}

/// One that rests on an argument, and is made anew.
pub(crate) fn by_argument(asked: &Asked) -> bool {
    decide(asked, "pay", br#"{"amount":5}"#)
}

fn decide(asked: &Asked, name: &str, arguments: &[u8]) -> bool {
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let who = Who { id: "key:a", groups: &asked.groups, method: "key", address, unix_s: 1 };
    let arguments = Some(arguments);
    let deed = Deed { action: Action::Call, thing: Thing::Tool, server: "s", name, arguments, completed: None };
    asked.policy.as_ref().is_some_and(|policy| policy.decide(&who, &deed).allowed)
}
