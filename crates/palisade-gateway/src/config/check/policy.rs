//! `[policy]`: roles and rules, compiled.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use palisade_guard::authorize::policy::{Binding, Finding, Policy, Source, Text, is_built_in};
use palisade_guard::grant::Scopes;

use super::keys::{NAME_CURE, is_name};
use super::{Check, Place};
use crate::config::raw;
use crate::config::seen::Seen;
use crate::config::shape::{join, nearest};

/// Bytes of one file of rules, and how many files there may be.
const FILE_BYTES: u64 = 1 << 20;
const FILES: usize = 256;

/// The policy; `None` where something is wrong with it.
pub(super) fn read(raw: &raw::Policy, servers: &[Arc<str>], check: &mut Check<'_>) -> Option<Arc<Policy>> {
    let source = Source { roles: roles(raw, check), bindings: bindings(raw, check), files: files(raw, check) };
    match Policy::compile(&source, servers) {
        Ok(policy) => Some(Arc::new(policy)),
        Err(findings) => {
            for finding in &findings {
                report(finding, check);
            }
            None
        }
    }
}

fn report(finding: &Finding, check: &mut Check<'_>) {
    let cure = "correct the rule, or remove it";
    match &finding.path {
        Some(path) => {
            let place = Place::File { path: Arc::clone(path), line: finding.line };
            check.faults.add("", place, finding.problem.as_str(), cure);
        }
        None => check.fault("policy.roles", finding.problem.as_str(), cure),
    }
}

fn roles(raw: &raw::Policy, check: &mut Check<'_>) -> Vec<(Arc<str>, Scopes)> {
    let mut roles = Vec::new();
    for (name, scopes) in &raw.roles {
        let at = join("policy.roles", name);
        if !is_name(name) {
            check.fault(&at, format!("{name:?} is not a name for a role"), NAME_CURE);
        } else if is_built_in(name) {
            check.fault(&at, "is built in", "give yours another name");
        }
        match Scopes::read(scopes.iter().map(String::as_str)) {
            Ok(scopes) => roles.push((Arc::from(name.as_str()), scopes)),
            Err((text, why)) => check.fault(&at, format!("{text:?} is not a scope: {why}"), super::grant::SCOPE_CURE),
        }
    }
    roles
}

fn bindings(raw: &raw::Policy, check: &mut Check<'_>) -> Vec<Binding> {
    let shared = |names: &[String]| names.iter().map(|name| Arc::from(name.as_str())).collect::<Vec<Arc<str>>>();
    let mut bindings = Vec::new();
    for (index, binding) in raw.bindings.iter().enumerate() {
        let at = format!("policy.bindings[{index}]");
        for name in binding.roles.iter().filter(|name| !is_built_in(name) && !raw.roles.contains_key(*name)) {
            let known: Vec<_> = raw.roles.keys().map(String::as_str).collect();
            let cure = match nearest(name, &known) {
                Some(near) => format!("did you mean {near:?}?"),
                None => "add it under [policy.roles], or take a built-in one".to_owned(),
            };
            check.fault(&format!("{at}.roles"), format!("{name:?} is not a role"), cure);
        }
        for name in binding.callers.iter().filter(|name| !name.contains(':') && *name != "anonymous") {
            let cure = format!("write its kind in front, like \"key:{name}\" or \"client:{name}\"");
            check.fault(&format!("{at}.callers"), format!("{name:?} is not the name of a caller"), cure);
        }
        if binding.roles.is_empty() || binding.groups.is_empty() && binding.callers.is_empty() {
            check.fault(&at, "gives nobody anything", "write roles, and groups or callers that have them");
        }
        let [roles, groups, callers] = [&binding.roles, &binding.groups, &binding.callers].map(|names| shared(names));
        bindings.push(Binding { roles, groups, callers });
    }
    bindings
}

fn files(raw: &raw::Policy, check: &mut Check<'_>) -> Vec<Text> {
    let mut texts = Vec::new();
    for (index, pattern) in raw.files.iter().enumerate() {
        let setting = format!("policy.files[{index}]");
        let whole = check.path(&setting, pattern);
        let found = named(&whole);
        if found.is_empty() {
            check.fault(
                &setting,
                format!("{pattern:?} names no file"),
                "name a file of Cedar rules, or a folder's \"*.cedar\"",
            );
        }
        for path in found {
            if texts.len() >= FILES {
                check.fault(&setting, format!("names more than {FILES} files"), "put the rules into fewer files");
                break;
            }
            check.files.push(Seen::now(&path));
            match text(&path) {
                Ok(text) => texts.push(Text { path: path.display().to_string().into(), text }),
                Err(why) => {
                    let problem = format!("{}: {why}", path.display());
                    check.fault(&setting, problem, "name a readable file of UTF-8 text");
                }
            }
        }
    }
    texts
}

/// The files that a path with `*` in its last part names, in order.
fn named(whole: &Path) -> Vec<PathBuf> {
    let Some(name) = whole.file_name().and_then(|name| name.to_str()) else { return Vec::new() };
    let Some((front, back)) = name.split_once('*') else { return vec![whole.to_owned()] };
    let folder = whole.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let fits = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.len() >= front.len() + back.len() && name.starts_with(front) && name.ends_with(back) && path.is_file()
    };
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let mut found: Vec<_> = entries.filter(fits).collect();
    found.sort();
    found
}

fn text(path: &Path) -> Result<String, String> {
    let about = fs::metadata(path).map_err(|error| error.to_string())?;
    if about.len() > FILE_BYTES {
        return Err(format!("is larger than {FILE_BYTES} bytes"));
    }
    fs::read_to_string(path).map_err(|error| error.to_string())
}
