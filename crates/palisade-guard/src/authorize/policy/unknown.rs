//! A policy when something about the call is not known yet: what it might say, and what it is sure to say.
//!
//! A list is written before anybody has chosen arguments. So each condition is rewritten until it reads nothing that is
//! unknown: to what must hold for it to be possible ([`Sure::Perhaps`]), or what must hold for it to be certain
//! ([`Sure::Certainly`]). A permit counts in a list if it might hold, a forbid only if it certainly does; so what is
//! listed may be callable, and what is never callable is not listed.

use serde_json::{Map, Value, json};

/// How sure a rewritten condition is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sure {
    /// It may hold.
    Perhaps,
    /// It holds, whatever the unknown is.
    Certainly,
}

impl Sure {
    const fn other(self) -> Self {
        match self {
            Self::Perhaps => Self::Certainly,
            Self::Certainly => Self::Perhaps,
        }
    }

    /// What stands for an expression of which nothing can be told.
    fn guess(self) -> Value {
        json!({"Value": self == Self::Perhaps})
    }
}

/// Whether an expression, by itself, is something unknown.
pub(super) type Unknown = fn(&Value) -> bool;

/// What the caller sends is not known; who and where the caller is, is.
pub(super) fn arguments(expression: &Value) -> bool {
    reads(expression, "context", |attribute| ["arguments", "hosts", "paths", "decimals"].contains(&attribute))
}

/// Nothing of the circumstances is known.
pub(super) fn context(expression: &Value) -> bool {
    reads(expression, "context", |_| true)
}

/// Neither the circumstances nor the thing are known, but for the server it is on.
pub(super) fn thing(expression: &Value) -> bool {
    context(expression) || reads(expression, "resource", |attribute| attribute != "server")
}

/// Whether a policy reads something unknown anywhere in its conditions.
pub(super) fn anywhere(policy: &Value, unknown: Unknown) -> bool {
    policy.get("conditions").is_some_and(|conditions| mentions(conditions, unknown))
}

/// The policy with its conditions rewritten.
pub(super) fn rewritten(policy: &Value, sure: Sure, unknown: Unknown) -> Value {
    let mut policy = policy.clone();
    let conditions = policy.get_mut("conditions").and_then(Value::as_array_mut);
    for clause in conditions.into_iter().flatten() {
        // What stands after `unless` is negated.
        let within = if clause.get("kind") == Some(&json!("unless")) { sure.other() } else { sure };
        if let Some(body) = clause.get_mut("body") {
            *body = rewrite(body, within, unknown);
        }
    }
    policy
}

fn rewrite(expression: &Value, sure: Sure, unknown: Unknown) -> Value {
    if !mentions(expression, unknown) {
        return expression.clone();
    }
    let only = expression
        .as_object()
        .filter(|object| object.len() == 1)
        .and_then(|object| object.iter().next())
        .map(|(operator, sides)| (operator.as_str(), sides));
    match only {
        Some((operator @ ("&&" | "||"), sides)) if sides.get("left").is_some() && sides.get("right").is_some() => {
            let side = |name: &str| sides.get(name).map(|side| rewrite(side, sure, unknown)).unwrap_or_default();
            json!({operator: {"left": side("left"), "right": side("right")}})
        }
        Some((operator @ "!", sides)) => match sides.get("arg") {
            Some(inner) => json!({operator: {"arg": rewrite(inner, sure.other(), unknown)}}),
            None => sure.guess(),
        },
        _ => sure.guess(),
    }
}

fn mentions(expression: &Value, unknown: Unknown) -> bool {
    unknown(expression)
        || match expression {
            Value::Array(items) => items.iter().any(|item| mentions(item, unknown)),
            Value::Object(members) => {
                !is_known_read(members, unknown) && members.values().any(|item| mentions(item, unknown))
            }
            _ => false,
        }
}

/// Whether this is `variable.attribute` where the attribute is known, though the variable as a whole is not.
fn is_known_read(members: &Map<String, Value>, unknown: Unknown) -> bool {
    let read = members.get("left").filter(|_| members.contains_key("attr"));
    read.is_some_and(|left| left.get("Var").is_some() && unknown(left) && !unknown(&Value::Object(members.clone())))
}

/// Whether this is the variable, or `variable.attribute` with an attribute that is `unknown`.
fn reads(expression: &Value, variable: &str, unknown: fn(&str) -> bool) -> bool {
    let is_it = |value: &Value| value.get("Var").and_then(Value::as_str) == Some(variable);
    if is_it(expression) {
        return true;
    }
    let attribute = expression.get("left").filter(|left| is_it(left)).and_then(|_| expression.get("attr")?.as_str());
    attribute.is_some_and(unknown)
}
