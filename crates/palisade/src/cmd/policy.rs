//! `palisade policy check | explain | test`

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use palisade_gateway::config::{self, Config, Flags, Start};
use palisade_guard::authorize::policy::{Action, Deed, Policy as Rules, Thing, Verdict, Who};
use palisade_guard::message::json::{Bounds, Kind, scan};
use serde::Deserialize;

use crate::cli::{Explain, Policy};
use crate::say;

/// Does it.
pub(crate) fn policy(command: Policy) -> ExitCode {
    let done = match command {
        Policy::Check(file) => check(&file.config),
        Policy::Explain(asked) => explain(&asked),
        Policy::Test { file, config } => test(&file, &config.config),
    };
    done.unwrap_or_else(|code| code)
}

fn check(file: &Path) -> Result<ExitCode, ExitCode> {
    let (_, rules) = load(file)?;
    say::out(format_args!("{}: {} rules, ok", file.display(), rules.len()));
    Ok(ExitCode::SUCCESS)
}

/// The configuration, and the policy in it.
fn load(file: &Path) -> Result<(Config, Arc<Rules>), ExitCode> {
    let loaded = config::load(&Flags::default(), Some(file), &config::env::system(), Start::File);
    let config = loaded.map_err(|faults| say::faults(&faults))?.config;
    if let Some(rules) = config.policy.clone() {
        return Ok((config, rules));
    }
    say::err(format_args!("{}: there is no [policy]: the credentials' own scopes decide", file.display()));
    Err(ExitCode::FAILURE)
}

/// One question, whatever it came from.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[serde(default)]
    name: String,
    #[serde(default = "somebody")]
    caller: String,
    #[serde(default)]
    groups: Vec<String>,
    tool: Option<String>,
    resource: Option<String>,
    prompt: Option<String>,
    #[serde(default)]
    args: BTreeMap<String, serde_json::Value>,
    address: Option<IpAddr>,
    #[serde(default = "key")]
    method: String,
    time: Option<u64>,
    expect: Expected,
    /// The rule that must decide.
    rule: Option<String>,
    /// Whether it must stand in lists.
    listed: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Expected {
    Allow,
    Deny,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    cases: Vec<Case>,
}

fn somebody() -> String {
    "key:somebody".to_owned()
}

fn key() -> String {
    "key".to_owned()
}

/// What is asked for, in the words of policies.
fn thing<'a>(
    tool: Option<&'a String>,
    resource: Option<&'a String>,
    prompt: Option<&'a String>,
) -> Result<(Action, Thing, &'a str, &'a str), String> {
    let (action, thing, whole) = match (tool, resource, prompt) {
        (Some(whole), None, None) => (Action::Call, Thing::Tool, whole),
        (None, Some(whole), None) => (Action::Read, Thing::Resource, whole),
        (None, None, Some(whole)) => (Action::Get, Thing::Prompt, whole),
        _ => return Err("say one of tool, resource and prompt".to_owned()),
    };
    let (server, name) = whole.split_once('/').ok_or_else(|| format!("write {whole:?} as SERVER/NAME"))?;
    Ok((action, thing, server, name))
}

/// The groups of a caller that the configuration knows.
fn known_groups(config: &Config, caller: &str) -> Vec<Arc<str>> {
    let keys = config.auth.keys.iter().map(|key| (format!("key:{}", key.name), &key.grant));
    let clients = config.auth.clients.iter().map(|client| (format!("client:{}", client.name), &client.grant));
    let certificates = config.auth.certificates.iter().map(|rule| (rule.id.to_string(), &*rule.grant));
    let found = keys.chain(clients).chain(certificates).find(|(name, _)| name == caller);
    found.map(|(_, grant)| grant.groups.clone()).unwrap_or_default()
}

fn explain(asked: &Explain) -> Result<ExitCode, ExitCode> {
    let wrong = |why: String| {
        say::err(why);
        ExitCode::FAILURE
    };
    let (config, rules) = load(&asked.config.config)?;
    let named = thing(asked.tool.as_ref(), asked.resource.as_ref(), asked.prompt.as_ref());
    let (action, thing, server, name) = named.map_err(wrong)?;
    let bounds = Bounds { depth: 64, nodes: 100_000, lone_surrogates: false };
    if !scan(asked.args.as_bytes(), bounds).is_ok_and(|outline| outline.root == Kind::Object) {
        return Err(wrong("--args is no JSON object".to_owned()));
    }
    let mut groups = known_groups(&config, &asked.caller);
    groups.extend(asked.groups.iter().map(|group| Arc::from(group.as_str())));
    let unix_s = asked.time.unwrap_or_else(now);
    let who = Who { id: &asked.caller, groups: &groups, method: &asked.method, address: asked.address, unix_s };
    let arguments = (thing != Thing::Resource).then_some(asked.args.as_bytes());
    let completed = (thing == Thing::Resource).then_some(("uri", name));
    let verdict = rules.decide(&who, &Deed { action, thing, server, name, arguments, completed });
    say::out(words(&verdict));
    if let Some(rule) = &verdict.rule {
        say::out(format_args!("\n{}", rule.text));
    }
    let shown = if rules.shows(&who, thing, server, name) { "stands" } else { "does not stand" };
    say::out(format_args!(
        "\nIt {shown} in the caller's lists. The credential's own servers and scopes are a ceiling."
    ));
    Ok(ExitCode::SUCCESS)
}

/// What was decided, and by what.
fn words(verdict: &Verdict) -> String {
    match (&verdict.broken, &verdict.rule) {
        (Some(why), _) => format!("denied: a rule could not be evaluated: {why}"),
        (None, Some(rule)) if *rule.id == *rule.place => {
            format!("{}: the rule at {}", outcome(verdict), rule.place)
        }
        (None, Some(rule)) => format!("{}: the rule {:?} ({})", outcome(verdict), rule.id, rule.place),
        (None, None) => "denied: no rule permits it".to_owned(),
    }
}

const fn outcome(verdict: &Verdict) -> &'static str {
    if verdict.allowed { "allowed" } else { "denied" }
}

fn now() -> u64 {
    palisade_gateway::now().unix_ms / 1000
}

fn test(file: &Path, config: &Path) -> Result<ExitCode, ExitCode> {
    let (config, rules) = load(config)?;
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string());
    let cases: Result<Cases, _> = text.and_then(|text| toml::from_str(&text).map_err(|error| error.to_string()));
    let cases = cases.map_err(|why| {
        say::err(format_args!("{}: {why}", file.display()));
        ExitCode::from(say::EX_CONFIG)
    })?;
    let mut failed = 0_usize;
    for (number, case) in cases.cases.iter().enumerate() {
        if let Err(why) = decided(&config, &rules, case) {
            failed += 1;
            say::out(format_args!("case {} ({}): {why}", number + 1, case.name));
        }
    }
    say::out(format_args!("{} cases, {failed} failed", cases.cases.len()));
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn decided(config: &Config, rules: &Rules, case: &Case) -> Result<(), String> {
    let (action, thing, server, name) = thing(case.tool.as_ref(), case.resource.as_ref(), case.prompt.as_ref())?;
    let mut groups = known_groups(config, &case.caller);
    groups.extend(case.groups.iter().map(|group| Arc::from(group.as_str())));
    let address = case.address.unwrap_or(Ipv4Addr::LOCALHOST.into());
    let unix_s = case.time.unwrap_or_else(now);
    let who = Who { id: &case.caller, groups: &groups, method: &case.method, address, unix_s };
    let arguments = serde_json::to_string(&case.args).map_err(|error| error.to_string())?;
    let completed = (thing == Thing::Resource).then_some(("uri", name));
    let arguments = (thing != Thing::Resource).then_some(arguments.as_bytes());
    let verdict = rules.decide(&who, &Deed { action, thing, server, name, arguments, completed });
    if verdict.allowed != (case.expect == Expected::Allow) {
        return Err(words(&verdict));
    }
    if let Some(wanted) = &case.rule
        && verdict.rule.as_ref().is_none_or(|rule| *rule.id != **wanted)
    {
        return Err(format!("{}, and not by {wanted:?}", words(&verdict)));
    }
    match case.listed {
        Some(listed) if listed != rules.shows(&who, thing, server, name) => {
            Err(format!("it is {} lists", if listed { "missing from" } else { "in" }))
        }
        _ => Ok(()),
    }
}
