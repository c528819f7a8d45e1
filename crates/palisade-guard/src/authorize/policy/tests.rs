//! Rules, roles, lists and what cannot be dodged.

use std::sync::Arc;

use super::{Action, BUILT_IN, Binding, Deed, Denial, Policy, Source, Text, Thing, Who};
use crate::grant::Scopes;

const NOON: u64 = 1_800_000_000;

fn servers() -> Vec<Arc<str>> {
    ["files", "bank"].map(Arc::from).to_vec()
}

/// Everybody in the group `G` has the role `G`, built in or `own`.
fn source(cedar: &str, own: &[(&str, &[&str])]) -> Source {
    let names = own.iter().map(|(name, _)| *name).chain(BUILT_IN.map(|(name, _)| name));
    let bind = |name: &str| Binding { roles: vec![name.into()], groups: vec![name.into()], callers: Vec::new() };
    let roles = own.iter().map(|(name, scopes)| (Arc::from(*name), Scopes::read(scopes.iter().copied()).unwrap()));
    let files = vec![Text { path: "p.cedar".into(), text: cedar.to_owned() }];
    Source { roles: roles.collect(), bindings: names.map(bind).collect(), files }
}

fn policy(cedar: &str) -> Policy {
    Policy::compile(&source(cedar, &[]), &servers()).unwrap()
}

fn groups(names: &[&str]) -> Vec<Arc<str>> {
    names.iter().map(|name| Arc::from(*name)).collect()
}

fn who(groups: &[Arc<str>]) -> Who<'_> {
    Who { id: "key:ann", groups, method: "key", address: "192.0.2.7".parse().unwrap(), unix_s: NOON }
}

fn tool<'a>(name: &'a str, arguments: &'a str) -> Deed<'a> {
    let arguments = Some(arguments.as_bytes());
    Deed { action: Action::Call, thing: Thing::Tool, server: "bank", name, arguments, completed: None }
}

fn allows(policy: &Policy, group: &[&str], deed: &Deed<'_>) -> bool {
    policy.decide(&who(&groups(group)), deed).allowed
}

/// C1, C2: without a rule nothing is allowed; each built-in role does its own, a group that has none nothing.
#[test]
fn built_in_roles() {
    let policy = policy("");
    let part = |action| Deed { action, thing: Thing::Part, server: "", name: "keys", arguments: None, completed: None };
    let read = Deed {
        action: Action::Read,
        thing: Thing::Resource,
        server: "files",
        name: "file:///a",
        arguments: None,
        completed: None,
    };
    for (role, [call, read_it, inspect, administer]) in [
        ("admin", [true, true, true, true]),
        ("operator", [true, true, true, false]),
        ("auditor", [false, false, true, false]),
        ("developer", [true, true, false, false]),
        ("viewer", [false, true, false, false]),
        ("nobody", [false, false, false, false]),
    ] {
        assert_eq!(allows(&policy, &[role], &tool("pay", "{}")), call, "{role}");
        assert_eq!(allows(&policy, &[role], &read), read_it, "{role}");
        assert_eq!(allows(&policy, &[role], &part(Action::Inspect)), inspect, "{role}");
        assert_eq!(allows(&policy, &[role], &part(Action::Administer)), administer, "{role}");
        let shown = policy.shows(&who(&groups(&[role])), Thing::Tool, "bank", "pay");
        assert_eq!(shown, role != "nobody", "{role}");
        assert_eq!(policy.reaches(&who(&groups(&[role])), "bank"), role != "nobody", "{role}");
    }
}

/// C1: scopes of a role mean what they mean in a credential, climbing included.
#[test]
fn roles_speak_in_scopes() {
    let own: [(&str, &[&str]); 1] = [(
        "ops",
        &["mcp:tools:call:bank/pay_*", "mcp:resources:read:files/file:///srv/*", "mcp:methods:call:files/x/*"],
    )];
    let policy = Policy::compile(&source("", &own), &servers()).unwrap();
    assert!(allows(&policy, &["ops"], &tool("pay_rent", "{}")));
    assert!(!allows(&policy, &["ops"], &tool("pay", "{}")));
    let other = Deed { server: "files", ..tool("pay_rent", "{}") };
    assert!(!allows(&policy, &["ops"], &other));
    let resource = |name| Deed { action: Action::Subscribe, thing: Thing::Resource, name, ..other };
    assert!(allows(&policy, &["ops"], &resource("file:///srv/a")));
    assert!(!allows(&policy, &["ops"], &resource("file:///srv/../etc/passwd")));
    assert!(!allows(&policy, &["ops"], &resource("file:///srv/%2e%2e/etc/passwd")));
    let method = |name| Deed { action: Action::Invoke, thing: Thing::Method, name, ..other };
    assert!(allows(&policy, &["ops"], &method("x/y")) && !allows(&policy, &["ops"], &method("y/x")));
    let shown = |name| policy.shows(&who(&groups(&["ops"])), Thing::Tool, "bank", name);
    assert!(shown("pay_rent") && !shown("pay"));
}

const CAPPED: &str = r#"
permit (principal in Role::"developer", action == Action::"call", resource == Tool::"bank/pay")
when { context.arguments.amount <= 1000 };
"#;

/// C2: a rule on an argument holds however the argument is written, and denies what it cannot read.
#[test]
fn arguments_cannot_be_dodged() {
    let own: [(&str, &[&str]); 1] = [("clerk", &["mcp:tools:list:bank"])];
    let cedar = CAPPED.replace("developer", "clerk");
    let policy = Policy::compile(&source(&cedar, &own), &servers()).unwrap();
    for good in [
        r#"{"amount":1000}"#,
        r#"{"amount": -5, "note": null}"#,
        r#"{"\u0061mount":7}"#,
        r#"{"amount":1e3}"#,
        r#"{"amount":999.0}"#,
    ] {
        assert!(allows(&policy, &["clerk"], &tool("pay", good)), "{good}");
    }
    for bad in [
        "{}",
        r#"{"amount":1001}"#,
        r#"{"\u0061mount":1001}"#,
        r#"{"amount":1e4}"#,
        r#"{"amount":1000.5}"#,
        r#"{"amount":1e400}"#,
        r#"{"amount":99999999999999999999}"#,
        r#"{"amount":0.00001}"#,
        r#"{"amount":"1"}"#,
        r#"{"amount":null}"#,
        r#"{"amount":[1]}"#,
        r#"{"amount":{"__extn":{"fn":"decimal","arg":"1.0"}}}"#,
        r#"{"amount":{"__entity":{"type":"Role","id":"admin"}}}"#,
    ] {
        assert!(!allows(&policy, &["clerk"], &tool("pay", bad)), "{bad}");
    }
}

/// C2: a forbid that cannot be evaluated denies, though Cedar would leave it out; a null is not absent.
#[test]
fn what_cannot_be_evaluated_denies() {
    let policy = policy(
        r#"@id("big") forbid (principal, action == Action::"call", resource == Tool::"bank/pay")
           when { context.arguments has amount && context.arguments.amount > 1000 };"#,
    );
    let verdict = |arguments: &str| policy.decide(&who(&groups(&["developer"])), &tool("pay", arguments));
    assert!(verdict("{}").allowed && verdict(r#"{"amount":12}"#).allowed);
    let big = verdict(r#"{"amount":1001}"#);
    assert!(!big.allowed && big.rule.is_some_and(|rule| *rule.id == *"big"));
    for broken in [r#"{"amount":"9"}"#, r#"{"amount":null}"#, r#"{"amount":1e99}"#, r#"{"amount":2000.5}"#] {
        let verdict = verdict(broken);
        assert!(!verdict.allowed && verdict.broken.is_some(), "{broken}");
    }
    assert!(policy.decide(&who(&groups(&["developer"])), &tool("other", r#"{"amount":"9"}"#)).allowed);
}

/// C2: hosts and paths are read so that nobody can read another one out of them.
#[test]
fn hosts_and_paths() {
    let own: [(&str, &[&str]); 1] = [("clerk", &["mcp:tools:list:bank"])];
    let cedar = r#"
        permit (principal in Role::"clerk", action == Action::"call", resource == Tool::"bank/fetch")
        when { context.hosts.url == "example.com" };
        permit (principal in Role::"clerk", action == Action::"call", resource == Tool::"bank/open")
        when { context.paths.path like "/srv/*" };
    "#;
    let policy = Policy::compile(&source(cedar, &own), &servers()).unwrap();
    let fetches = |url: &str| allows(&policy, &["clerk"], &tool("fetch", &format!(r#"{{"url":"{url}"}}"#)));
    assert!(
        fetches("https://example.com/x") && fetches("HTTPS://EXAMPLE.com:8443?q") && fetches("http://example.com.")
    );
    for url in [
        "https://example.com@evil.net/",
        "https://evil.net/example.com",
        "https://evil.net#@example.com",
        r"https://evil.net\\@example.com",
        "https://example.com%2eevil.net",
        "https://exa\\tmple.com",
        "//example.com",
        "example.com",
        "https://example.com.evil.net",
    ] {
        assert!(!fetches(url), "{url}");
    }
    let opens = |path: &str| allows(&policy, &["clerk"], &tool("open", &format!(r#"{{"path":"{path}"}}"#)));
    assert!(opens("/srv/a") && opens("/srv/a/b..txt") && opens("\\/srv/a"));
    for path in [
        "/srv/../etc",
        "/srv/%2e%2e/etc",
        "/srv/./x",
        r"/srv\\..\\etc",
        "/etc/passwd",
        "/srv",
        "/srv//etc",
        "/srv/\\u002e\\u002e/x",
    ] {
        assert!(!opens(path), "{path}");
    }
}

/// C3: what may be called with some arguments is listed; what a rule is sure to forbid, or nobody permits, is not.
#[test]
fn lists_show_what_may_be_called() {
    let own: [(&str, &[&str]); 1] = [("clerk", &["mcp:tools:call:bank/see_*"])];
    let cedar = r#"
        permit (principal in Role::"clerk", action == Action::"call", resource in Server::"bank")
        when { resource.name == "pay" && context.arguments.amount < 10 };
        forbid (principal, action == Action::"call", resource) when { resource.name like "see_secret*" };
        forbid (principal, action == Action::"call", resource) when { resource.name == "see_all" && context.arguments has all };
        forbid (principal, action == Action::"call", resource)
        when { resource.name == "see_inside" } unless { context.address.isInRange(ip("10.0.0.0/8")) };
    "#;
    let policy = Policy::compile(&source(cedar, &own), &servers()).unwrap();
    let group = groups(&["clerk"]);
    let shown = |name: &str| policy.shows(&who(&group), Thing::Tool, "bank", name);
    assert!(shown("see_balance") && shown("pay") && shown("see_all"));
    assert!(!shown("see_secrets") && !shown("other") && !shown("see_inside"));
    let inside = Who { address: "10.1.2.3".parse().unwrap(), ..who(&group) };
    assert!(policy.shows(&inside, Thing::Tool, "bank", "see_inside") && !shown("see_inside"));
    assert!(policy.reaches(&who(&group), "bank") && !policy.reaches(&who(&group), "files"));
}

/// A3, C2: a server is seen by whoever might do something there, and not where all of it is forbidden.
#[test]
fn who_sees_a_server() {
    let policy = policy(
        r#"
        permit (principal in Group::"day", action == Action::"call", resource == Tool::"bank/pay")
        when { context.time < 5 && context.arguments.amount < 1 };
        forbid (principal in Group::"banned", action, resource in Server::"bank");
        forbid (principal, action == Action::"call", resource in Server::"files");
        "#,
    );
    let reaches = |group: &[&str], server| policy.reaches(&who(&groups(group)), server);
    assert!(reaches(&["day"], "bank") && !reaches(&["day"], "files"));
    assert!(reaches(&["viewer"], "bank") && !reaches(&["viewer", "banned"], "bank"));
    assert!(reaches(&["viewer"], "files"));
}

/// C2: a decision is remembered only where no rule that reads the circumstances has a say.
#[test]
fn circumstances_are_not_remembered() {
    let policy = policy(
        r#"forbid (principal, action == Action::"call", resource) when { resource.name == "pay" && context.time > 5 };
           forbid (principal == Caller::"key:eve", action, resource);"#,
    );
    let group = groups(&["developer"]);
    let at = |unix_s| policy.decide(&Who { unix_s, ..who(&group) }, &tool("pay", "{}")).allowed;
    assert!(at(1) && !at(9) && at(1));
    for _ in 0..2 {
        assert!(policy.decide(&who(&group), &tool("see", "{}")).allowed);
        assert!(!policy.decide(&Who { id: "key:eve", ..who(&group) }, &tool("see", "{}")).allowed);
    }
}

/// What is wrong with these rules, by line.
fn wrong(cedar: &str) -> Vec<(usize, String)> {
    let found = Policy::compile(&source(cedar, &[]), &servers()).err().unwrap_or_default();
    found.into_iter().map(|finding| (finding.line, finding.problem)).collect()
}

/// C2: what is wrong with a rule is found before it is in force, with its line.
#[test]
fn faults_have_lines() {
    for (cedar, line, says) in [
        ("\n\npermit (principal, action resource);", 3, "unexpected"),
        ("\npermit (principal, action == Action::\"cal\", resource);", 2, "cal"),
        ("\npermit (principal, action, resource) when { context.adress == ip(\"10.0.0.1\") };", 2, "adress"),
        ("permit (principal, action, resource in Server::\"fils\");", 1, "is none of the servers"),
        ("permit (principal, action, resource == Tool::\"fils/x\");", 1, "is on none of the servers"),
        ("permit (principal, action, resource == Tool::\"x\");", 1, "does not say on which server"),
        ("permit (principal in Role::\"boss\", action, resource);", 1, "a role that nobody has"),
        ("\npermit (principal, action, resource) when { context.time > 5 && false };", 2, "impossible"),
        ("permit (principal, action == Action::\"get\", resource is Tool);", 1, ""),
        ("@deny(\"shout\") forbid (principal, action, resource);", 1, "hide"),
        ("@deny(\"hide\") permit (principal, action, resource);", 1, "a permit denies nothing"),
        ("@dney(\"hide\") forbid (principal, action, resource);", 1, "@dney"),
        (
            "@id(\"a\") permit (principal, action, resource);\n@id(\"a\") forbid (principal, action, resource);",
            2,
            "twice",
        ),
        ("permit (principal == ?principal, action, resource);", 1, "template"),
    ] {
        let found = wrong(cedar);
        assert!(found.iter().any(|(at, problem)| *at == line && problem.contains(says)), "{cedar}: {found:?}");
    }
    let own: [(&str, &[&str]); 1] = [("ops", &["mcp:tools:call:fils/*"])];
    let found = Policy::compile(&source("", &own), &servers()).unwrap_err();
    assert!(found.iter().any(|finding| finding.problem.contains("can never match")), "{found:?}");
}

/// C2: each rule says what its denial tells.
#[test]
fn denials_speak_as_they_are_told() {
    let policy = policy(
        r#"@id("h") @deny("hide") forbid (principal, action, resource == Tool::"bank/a");
           @id("e") @deny("explain") @says("ask first") forbid (principal, action, resource == Tool::"bank/b");"#,
    );
    let denial =
        |name| policy.decide(&who(&groups(&["developer"])), &tool(name, "{}")).rule.map(|rule| rule.denial.clone());
    assert_eq!(denial("a"), Some(Denial::Hide));
    assert_eq!(denial("b"), Some(Denial::Explain("ask first".into())));
}
