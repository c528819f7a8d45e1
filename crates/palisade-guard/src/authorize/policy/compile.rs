//! From roles and files to rules, with everything that is wrong with them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use cedar_policy::{Authorizer, Policy as Cedar, PolicyId, PolicySet, Schema, ValidationMode, Validator};
use miette::Diagnostic as _;
use serde_json::{Value, json};

use super::facts::Names;
use super::memory::Memory;
use super::unknown::{self, Sure, rewritten};
use super::words::SCHEMA;
use super::{Action, Denial, Policy, Rule, Sets, permits, roles};
use crate::digest::sha256;
use crate::grant::Scopes;

/// What a policy is made of.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// Roles of the operator's own, and what they may.
    pub roles: Vec<(Arc<str>, Scopes)>,
    /// Who has which.
    pub bindings: Vec<Binding>,
    /// Rules in Cedar.
    pub files: Vec<Text>,
}

/// Who has which roles.
#[derive(Debug, Clone, Default)]
pub struct Binding {
    /// The roles.
    pub roles: Vec<Arc<str>>,
    /// Everybody in one of these groups.
    pub groups: Vec<Arc<str>>,
    /// These callers, by the names that records have.
    pub callers: Vec<Arc<str>>,
}

/// A file of rules.
#[derive(Debug, Clone)]
pub struct Text {
    /// Where it is.
    pub path: Arc<str>,
    /// What is in it.
    pub text: String,
}

/// Something wrong with a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// In which file; none for a role.
    pub path: Option<Arc<str>>,
    /// On which line, counted from 1.
    pub line: usize,
    /// What.
    pub problem: String,
}

/// A rule on its way.
struct Draft {
    cedar: Cedar,
    json: Value,
    rule: Rule,
}

impl Policy {
    /// Compiles rules for these servers. With a single finding there is no policy.
    pub fn compile(source: &Source, servers: &[Arc<str>]) -> Result<Self, Vec<Finding>> {
        let mut findings = Vec::new();
        let mut drafts = of_roles(source, servers, &mut findings);
        for file in &source.files {
            of_file(file, &mut drafts, &mut findings);
        }
        unique(&drafts, &mut findings);
        let known = Known { source, servers };
        for (draft, file) in drafts.iter().filter_map(|draft| Some((draft, place(draft, source)?))) {
            findings.extend(known.never(draft).map(|problem| file.finding(problem)));
        }
        findings.extend(checked(&drafts, source));
        if !findings.is_empty() {
            findings.sort_by(|one, other| (&one.path, one.line).cmp(&(&other.path, other.line)));
            findings.dedup();
            return Err(findings);
        }
        built(source, drafts).map_err(|problem| vec![Finding { path: None, line: 0, problem }])
    }
}

fn of_roles(source: &Source, servers: &[Arc<str>], findings: &mut Vec<Finding>) -> Vec<Draft> {
    let own = source.roles.iter().map(|(name, scopes)| (name.as_ref(), scopes.clone(), true));
    let built_in = roles::BUILT_IN.iter().map(|(name, scopes)| (*name, Scopes::among(&scopes.join(" ")), false));
    let mut drafts = Vec::new();
    for (role, scopes, own) in own.chain(built_in) {
        for scope in scopes.iter() {
            if own && !scope.parts().administers && !servers.iter().any(|server| scope.is_about(server)) {
                let problem = format!("role {role}: {scope} can never match, since no server is called like that");
                findings.push(Finding { path: None, line: 0, problem });
            }
            for (id, text) in roles::rules(role, scope) {
                // Two scopes may say the same.
                if drafts.iter().any(|draft: &Draft| *draft.rule.id == *id) {
                    continue;
                }
                let rule = Rule {
                    id: id.as_str().into(),
                    place: format!("role {role}").into(),
                    denial: Denial::Default,
                    text: text.as_str().into(),
                };
                match Cedar::parse(Some(PolicyId::new(&id)), &text).map(|cedar| (cedar.to_json(), cedar)) {
                    Ok((Ok(json), cedar)) => drafts.push(Draft { cedar, json, rule }),
                    Ok((Err(error), _)) => findings.push(Finding { path: None, line: 0, problem: error.to_string() }),
                    Err(error) => findings.push(Finding { path: None, line: 0, problem: error.to_string() }),
                }
            }
        }
    }
    drafts
}

/// The rules of a file, in its order.
fn of_file(file: &Text, drafts: &mut Vec<Draft>, findings: &mut Vec<Finding>) {
    let mut found = |at: usize, problem: String| {
        findings.push(Finding { path: Some(Arc::clone(&file.path)), line: line(&file.text, at), problem });
    };
    let set: PolicySet = match file.text.parse() {
        Ok(set) => set,
        Err(errors) => {
            let errors: cedar_policy::ParseErrors = errors;
            for error in errors.iter() {
                let at = error.labels().and_then(|mut labels| labels.next()).map_or(0, |label| label.offset());
                let help = error.help().map(|help| format!(" ({help})")).unwrap_or_default();
                found(at, format!("{error}{help}"));
            }
            return;
        }
    };
    if set.templates().next().is_some() {
        found(0, "a template: write the rule with its principal and resource in it".to_owned());
    }
    let mut rules: Vec<_> = set.policies().collect();
    // Cedar numbers them in order.
    rules.sort_by_key(|rule| rule.id().to_string().trim_start_matches("policy").parse::<usize>().unwrap_or(usize::MAX));
    let mut from = 0;
    for cedar in rules {
        let text = cedar.to_cedar().unwrap_or_default();
        let at = file.text.get(from..).and_then(|rest| rest.find(&text)).map_or(from, |at| from + at);
        from = at + text.len();
        let place = format!("{}:{}", file.path, line(&file.text, at));
        let denial = match denial(cedar) {
            Ok(denial) => denial,
            Err(problem) => {
                found(at, problem);
                continue;
            }
        };
        let id: Arc<str> = cedar.annotation("id").unwrap_or(&place).into();
        let rule = Rule { id: Arc::clone(&id), place: place.into(), denial, text: text.into() };
        match cedar.to_json() {
            Ok(json) => drafts.push(Draft { cedar: cedar.new_id(PolicyId::new(&*id)), json, rule }),
            Err(error) => found(at, error.to_string()),
        }
    }
}

fn denial(cedar: &Cedar) -> Result<Denial, String> {
    const KNOWN: [&str; 4] = ["id", "deny", "says", "note"];
    if let Some((name, _)) = cedar.annotations().find(|(name, _)| !KNOWN.contains(name)) {
        return Err(format!("@{name} means nothing here: write @id, @deny, @says or @note"));
    }
    if permits(cedar.effect()) && (cedar.annotation("deny").is_some() || cedar.annotation("says").is_some()) {
        return Err("a permit denies nothing: @deny and @says belong to a forbid".to_owned());
    }
    match (cedar.annotation("deny"), cedar.annotation("says")) {
        (None, None) => Ok(Denial::Default),
        (Some("hide"), None) => Ok(Denial::Hide),
        (Some("explain"), says) => Ok(Denial::Explain(says.unwrap_or_default().into())),
        (None | Some("hide"), Some(_)) => Err("@says is heard with @deny(\"explain\") alone".to_owned()),
        (Some(word), _) => Err(format!("@deny({word:?}): write \"hide\" or \"explain\"")),
    }
}

/// The line of a byte, counted from 1.
fn line(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
}

fn unique(drafts: &[Draft], findings: &mut Vec<Finding>) {
    let mut seen = HashSet::new();
    for draft in drafts.iter().filter(|draft| !seen.insert(&draft.rule.id)) {
        let (path, line) = draft.rule.place.rsplit_once(':').unwrap_or((&draft.rule.place, "0"));
        let problem = format!("@id({:?}) stands twice", draft.rule.id);
        findings.push(Finding { path: Some(path.into()), line: line.parse().unwrap_or(0), problem });
    }
}

/// Where a rule stands in its file.
struct InFile {
    path: Arc<str>,
    line: usize,
}

impl InFile {
    fn finding(&self, problem: String) -> Finding {
        Finding { path: Some(Arc::clone(&self.path)), line: self.line, problem }
    }
}

fn place(draft: &Draft, source: &Source) -> Option<InFile> {
    let (path, line) = draft.rule.place.rsplit_once(':')?;
    let file = source.files.iter().find(|file| *file.path == *path)?;
    Some(InFile { path: Arc::clone(&file.path), line: line.parse().ok()? })
}

/// What rules can name.
struct Known<'s> {
    source: &'s Source,
    servers: &'s [Arc<str>],
}

impl Known<'_> {
    /// Why a rule can never match, as far as its names tell.
    fn never(&self, draft: &Draft) -> impl Iterator<Item = String> {
        draft.cedar.entity_literals().into_iter().filter_map(|literal| {
            let (kind, id) = (literal.type_name().to_string(), literal.id().unescaped().to_owned());
            let why = self.is_nobody(&kind, &id)?;
            Some(format!("can never match: {kind}::{id:?} {why}"))
        })
    }

    fn is_nobody(&self, kind: &str, id: &str) -> Option<&'static str> {
        let is_server = |name: &str| self.servers.iter().any(|server| **server == *name);
        let bound = || self.source.bindings.iter().any(|binding| binding.roles.iter().any(|role| **role == *id));
        match kind {
            "Server" if !is_server(id) => Some("is none of the servers"),
            "Tool" | "Resource" | "Prompt" | "Task" | "Method" => match id.split_once('/') {
                Some((server, _)) if is_server(server) => None,
                Some(_) => Some("is on none of the servers"),
                None => Some("does not say on which server: write it like \"SERVER/NAME\""),
            },
            "Role" if !bound() => Some("is a role that nobody has"),
            "Part" if !["keys", "tokens"].contains(&id) => Some("is no part of the administration"),
            _ => None,
        }
    }
}

/// What Cedar's validator says of the rules of files, as far as they read no arguments.
fn checked(drafts: &[Draft], source: &Source) -> Vec<Finding> {
    let whole = |problem: String| vec![Finding { path: None, line: 0, problem }];
    let schema = match Schema::from_cedarschema_str(SCHEMA) {
        Ok((schema, _)) => schema,
        Err(error) => return whole(error.to_string()),
    };
    let mut places = HashMap::new();
    let mut set = PolicySet::new();
    for (draft, place) in drafts.iter().filter_map(|draft| Some((draft, place(draft, source)?))) {
        let known = rewritten(&draft.json, Sure::Perhaps, unknown::arguments);
        let added = derived(draft, known).and_then(|cedar| set.add(cedar).map_err(|error| error.to_string()));
        if added.is_ok() {
            places.insert(draft.cedar.id().clone(), place);
        }
    }
    let result = Validator::new(schema).validate(&set, ValidationMode::Strict);
    let errors = result.validation_errors().map(|error| (error.policy_id(), error.to_string()));
    let warnings = result.validation_warnings().map(|warning| (warning.policy_id(), warning.to_string()));
    let plain = |id: &PolicyId, said: String| {
        // Cedar says for which policy; the place does.
        said.split_once(&format!("for policy `{id}`, ")).map_or(said.clone(), |(_, rest)| rest.to_owned())
    };
    errors.chain(warnings).filter_map(|(id, said)| Some(places.get(id)?.finding(plain(id, said)))).collect()
}

/// A policy of the same name from another form of it.
fn derived(draft: &Draft, json: Value) -> Result<Cedar, String> {
    Cedar::from_json(Some(draft.cedar.id().clone()), json).map_err(|error| error.to_string())
}

fn built(source: &Source, drafts: Vec<Draft>) -> Result<Policy, String> {
    let mut sets: BTreeMap<Action, Sets> = BTreeMap::new();
    let mut reach = PolicySet::new();
    let mut print = Vec::new();
    let mut by_name = source.bindings.iter().any(|binding| !binding.callers.is_empty());
    for draft in &drafts {
        print.extend_from_slice(&sha256(draft.rule.text.as_bytes()));
        by_name |= draft.cedar.entity_literals().iter().any(|literal| literal.type_name().to_string() == "Caller");
        for action in Action::ALL.into_iter().filter(|action| concerns(&draft.json, *action)) {
            add(sets.entry(action).or_default(), draft)?;
        }
        if let Some(json) = reaching(&draft.json, permits(draft.cedar.effect())) {
            reach.add(derived(draft, json)?).map_err(|error| error.to_string())?;
        }
    }
    print.extend_from_slice(&sha256(format!("{:?}", source.bindings).as_bytes()));
    let names = Names::new(&source.bindings)?;
    let rules = drafts.into_iter().map(|draft| (draft.cedar.id().clone(), Arc::new(draft.rule))).collect();
    let (print, memory, authorizer) = (sha256(&print), Memory::new(), Authorizer::new());
    Ok(Policy { names, sets, reach, rules, by_name, print, memory, authorizer })
}

fn add(sets: &mut Sets, draft: &Draft) -> Result<(), String> {
    let text = |error: cedar_policy::PolicySetError| error.to_string();
    let sure = if permits(draft.cedar.effect()) { Sure::Perhaps } else { Sure::Certainly };
    sets.whole.add(draft.cedar.clone()).map_err(text)?;
    sets.listed.add(derived(draft, rewritten(&draft.json, sure, unknown::arguments))?).map_err(text)?;
    if unknown::anywhere(&draft.json, unknown::context) {
        let mut telling = rewritten(&draft.json, Sure::Perhaps, unknown::context);
        if let Some(telling) = telling.as_object_mut() {
            telling.insert("effect".into(), "permit".into());
        }
        sets.telling.add(derived(draft, telling)?).map_err(text)?;
    }
    sets.arguments |= unknown::anywhere(&draft.json, unknown::arguments);
    Ok(())
}

/// Whether a rule can speak about an action.
fn concerns(rule: &Value, action: Action) -> bool {
    let named = actions(rule);
    named.is_empty() || named.iter().any(|name| *name == action.word())
}

/// The actions that a rule names; none for all.
fn actions(rule: &Value) -> Vec<&str> {
    let Some(scope) = rule.get("action") else { return Vec::new() };
    let one = scope.get("entity").into_iter();
    let several = scope.get("entities").and_then(Value::as_array).into_iter().flatten();
    one.chain(several).filter_map(|entity| entity.get("id")?.as_str()).collect()
}

/// The same rule as it speaks about a server as a whole; none where it does not.
///
/// A permit of anything there might let somebody do something. A forbid counts if it is about everything there.
fn reaching(rule: &Value, permit: bool) -> Option<Value> {
    let named = actions(rule);
    let administers = |name: &&str| ["inspect", "administer"].contains(name);
    if if permit { !named.is_empty() && named.iter().all(administers) } else { !named.is_empty() } {
        return None;
    }
    let scope = rule.get("resource")?;
    let all = json!({"op": "All"});
    let resource = match scope.get("op").and_then(Value::as_str)? {
        "All" => all,
        "is" if !permit => return None,
        "is" => {
            if scope.get("entity_type").and_then(Value::as_str) == Some("Part") {
                return None;
            }
            scope.get("in").map_or(Some(all), |within| about(within.get("entity")?))?
        }
        _ => {
            let entity = scope.get("entity")?;
            if !permit && entity.get("type").and_then(Value::as_str) != Some("Server") {
                return None;
            }
            about(entity)?
        }
    };
    let sure = if permit { Sure::Perhaps } else { Sure::Certainly };
    let mut rule = rewritten(rule, sure, unknown::thing);
    let members = rule.as_object_mut()?;
    members.insert("action".into(), json!({"op": "All"}));
    members.insert("resource".into(), resource);
    Some(rule)
}

/// The scope of the server that a thing is on.
fn about(entity: &Value) -> Option<Value> {
    let (kind, id) = (entity.get("type")?.as_str()?, entity.get("id")?.as_str()?);
    let server = if kind == "Server" { id } else { id.split_once('/')?.0 };
    Some(json!({"op": "==", "entity": {"type": "Server", "id": server}}))
}
