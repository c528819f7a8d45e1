//! Rights by policy: one engine (Cedar) for roles and for free rules, and one answer for calls and for lists.
//!
//! 1. Nothing is allowed that no rule permits; a `forbid` wins over every `permit`.
//! 2. A rule that cannot be evaluated denies, whatever other rules say: Cedar would leave it out, a `forbid` too.
//! 3. A thing stands in a list if it may be used with some arguments, or if `list` is permitted on it; never where a
//!    `forbid` is sure to stand against either. Both come from the same rules ([`unknown`]).
//! 4. A server is seen by whoever might do something there.
//! 5. A policy only takes away: what a credential's own servers and scopes leave out stays left out.
//!
//! A decision in which no rule reads the circumstances is remembered ([`memory`]).

mod compile;
mod facts;
mod memory;
mod reading;
mod roles;
#[cfg(test)]
mod tests;
mod unknown;
mod words;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use cedar_policy::{Authorizer, Decision, Effect, PolicyId, PolicySet, Response};

pub use compile::{Binding, Finding, Source, Text};
pub use roles::{BUILT_IN, is_built_in};
pub use words::{Action, Thing};

use facts::Names;
use memory::{Key, Memory};

/// Rules, compiled once and asked for every call.
pub struct Policy {
    names: Names,
    /// The rules that can speak about each action.
    sets: BTreeMap<Action, Sets>,
    /// Who might do something on a server.
    reach: PolicySet,
    rules: HashMap<PolicyId, Arc<Rule>>,
    /// Whether some rule names a caller, so that two callers in the same groups may differ.
    by_name: bool,
    /// SHA-256 of all that it was made of.
    print: [u8; 32],
    memory: Memory,
    authorizer: Authorizer,
}

/// The same rules in the forms in which they are asked.
#[derive(Default)]
struct Sets {
    /// As they are written.
    whole: PolicySet,
    /// For lists: nothing is known of arguments.
    listed: PolicySet,
    /// Holds something where a rule that reads the circumstances might have a say.
    telling: PolicySet,
    /// Whether some rule reads arguments.
    arguments: bool,
}

/// One rule, as people know it.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// `@id`, or where it stands.
    pub id: Arc<str>,
    /// Where it stands: a file and a line, or a role.
    pub place: Box<str>,
    /// What it says to whom it denies: `@deny` and `@says`.
    pub denial: Denial,
    /// Its text.
    pub text: Box<str>,
}

/// What a caller hears of a rule that denies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// That there is no such thing, if the caller may not even list it; else that it is not allowed.
    Default,
    /// That there is no such thing.
    Hide,
    /// Which rule it is, and its words.
    Explain(Box<str>),
}

/// Who asks, and in which circumstances.
#[derive(Debug, Clone, Copy)]
pub struct Who<'a> {
    /// The caller's name, as records have it.
    pub id: &'a str,
    /// The caller's groups.
    pub groups: &'a [Arc<str>],
    /// How the caller was verified.
    pub method: &'a str,
    /// Where the caller is.
    pub address: IpAddr,
    /// Seconds since 1970.
    pub unix_s: u64,
}

/// What somebody wants to do to one thing.
#[derive(Debug, Clone, Copy)]
pub struct Deed<'a> {
    /// What.
    pub action: Action,
    /// To what kind of thing.
    pub thing: Thing,
    /// On which server.
    pub server: &'a str,
    /// The name there.
    pub name: &'a str,
    /// The arguments, as they were written: an object that was found good.
    pub arguments: Option<&'a [u8]>,
    /// One more argument, of a completion.
    pub completed: Option<(&'a str, &'a str)>,
}

/// What the rules say.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// Whether it may be done.
    pub allowed: bool,
    /// The rule that decided; none where nothing permits it.
    pub rule: Option<Arc<Rule>>,
    /// A rule that could not be evaluated, and why: then it may not be done.
    pub broken: Option<Arc<str>>,
}

impl Policy {
    /// What the rules say to a deed.
    pub fn decide(&self, who: &Who<'_>, deed: &Deed<'_>) -> Verdict {
        let Some(sets) = self.sets.get(&deed.action) else { return NOTHING };
        let key = Key::of(who, self.by_name, deed, false);
        if let Some(known) = self.memory.get(&key) {
            return known;
        }
        let verdict = self.ask(&sets.whole, who, deed, sets.arguments);
        if verdict.broken.is_none() && !self.depends(sets, who, deed) {
            self.memory.put(&key, &verdict);
        }
        verdict
    }

    /// Whether a thing stands in this caller's lists.
    pub fn shows(&self, who: &Who<'_>, thing: Thing, server: &str, name: &str) -> bool {
        let deed = |action| Deed { action, thing, server, name, arguments: None, completed: None };
        let (used, listed) = (deed(thing.used_by()), deed(Action::List));
        let key = Key::of(who, self.by_name, &used, true);
        if let Some(known) = self.memory.get(&key) {
            return known.allowed;
        }
        let answers = [used, listed].map(|deed| {
            let sets = self.sets.get(&deed.action);
            let verdict = sets.map_or(NOTHING, |sets| self.ask(&sets.listed, who, &deed, false));
            (verdict, sets.is_some_and(|sets| self.depends(sets, who, &deed)))
        });
        // What is denied by a rule is hidden; what no rule speaks of is not permitted.
        let stands_against =
            |verdict: &Verdict| !verdict.allowed && (verdict.rule.is_some() || verdict.broken.is_some());
        let allowed = answers.iter().any(|(verdict, _)| verdict.allowed)
            && !answers.iter().any(|(verdict, _)| stands_against(verdict));
        if !answers.iter().any(|(verdict, depends)| *depends || verdict.broken.is_some()) {
            self.memory.put(&key, &Verdict { allowed, ..NOTHING });
        }
        allowed
    }

    /// Whether the caller might do something on a server.
    pub fn reaches(&self, who: &Who<'_>, server: &str) -> bool {
        let deed = Deed {
            action: Action::Reach,
            thing: Thing::Server,
            server,
            name: server,
            arguments: None,
            completed: None,
        };
        let key = Key::of(who, self.by_name, &deed, true);
        if let Some(known) = self.memory.get(&key) {
            return known.allowed;
        }
        let verdict = self.ask(&self.reach, who, &deed, false);
        // Nothing in these rules reads the circumstances.
        self.memory.put(&key, &verdict);
        verdict.allowed
    }

    /// Differs where rules or roles differ.
    pub const fn print(&self) -> &[u8; 32] {
        &self.print
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there are none: then nothing is allowed.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether a rule that reads the circumstances might have a say.
    fn depends(&self, sets: &Sets, who: &Who<'_>, deed: &Deed<'_>) -> bool {
        if sets.telling.is_empty() {
            return false;
        }
        let verdict = self.ask(&sets.telling, who, deed, false);
        verdict.allowed || verdict.broken.is_some()
    }

    fn ask(&self, set: &PolicySet, who: &Who<'_>, deed: &Deed<'_>, arguments: bool) -> Verdict {
        match self.names.request(who, deed, arguments) {
            Ok((request, entities)) => self.verdict(&self.authorizer.is_authorized(&request, set, &entities)),
            Err(why) => Verdict { broken: Some(why.into()), ..NOTHING },
        }
    }

    fn verdict(&self, response: &Response) -> Verdict {
        let rule = response.diagnostics().reason().filter_map(|id| self.rules.get(id));
        let rule = rule.min_by(|one, other| one.place.cmp(&other.place)).map(Arc::clone);
        if let Some(error) = response.diagnostics().errors().next() {
            return Verdict { allowed: false, rule: None, broken: Some(error.to_string().into()) };
        }
        Verdict { allowed: response.decision() == Decision::Allow, rule, broken: None }
    }
}

/// Nothing permits it.
const NOTHING: Verdict = Verdict { allowed: false, rule: None, broken: None };

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").field("rules", &self.rules.len()).finish_non_exhaustive()
    }
}

/// Whether a policy of Cedar's permits, in a word.
const fn permits(effect: Effect) -> bool {
    matches!(effect, Effect::Permit)
}
