//! One tree out of file, environment and flags, and for each setting in it where it came from.
//!
//! Flag wins over environment, environment over file, file over default. A list is replaced whole. Keys alone add
//! up: whoever adds one by a variable does not expect the others to stop working.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::Value as Schema;
use toml::{Table, Value};
use zeroize::Zeroize;

use super::env::{self, Sets, TABLE, Vars};
use super::fault::{Faults, Place};
use super::flags::{Credential, Flags, ServerFlag, Start};
use super::{schema, shape};

/// The settings as given, before anything is known of their meaning.
#[derive(Default)]
pub(super) struct Layered {
    pub(super) tree: Table,
    pub(super) places: BTreeMap<String, Place>,
}

impl Layered {
    /// Where this setting came from; a list's element, where its list came from.
    pub(super) fn place(&self, setting: &str) -> Place {
        let list = setting.rfind('[').and_then(|cut| setting.get(..cut)).filter(|_| setting.ends_with(']'));
        let found = self.places.get(setting).or_else(|| self.places.get(list?));
        found.cloned().unwrap_or(Place::Default)
    }

    /// Whether anybody gave this setting.
    pub(super) fn has(&self, setting: &str) -> bool {
        self.places.contains_key(setting)
    }

    /// Puts a value over whatever stood there. `setting` is dotted and stands in no list.
    pub(super) fn set(&mut self, setting: &str, value: Value, place: Place) {
        let mut table = &mut self.tree;
        let mut names = setting.split('.').peekable();
        while let Some(name) = names.next() {
            if names.peek().is_none() {
                table.insert(name.to_owned(), value);
                break;
            }
            let below = table.entry(name).or_insert_with(|| Value::Table(Table::new()));
            let Value::Table(below) = below else { return };
            table = below;
        }
        self.places.retain(|other, _| !other.strip_prefix(setting).is_some_and(|rest| rest.starts_with(['[', '.'])));
        self.places.insert(setting.to_owned(), place);
    }

    fn text(&self, table: &str, name: &str) -> Option<&str> {
        self.tree.get(table)?.get(name)?.as_str()
    }
}

/// Keys in the clear may stand in the tree until they are moved out of it.
impl Drop for Layered {
    fn drop(&mut self) {
        self.tree.iter_mut().for_each(|(_, value)| wipe(value));
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Table(table) => table.iter_mut().for_each(|(_, value)| wipe(value)),
        _ => {}
    }
}

/// Lays environment and flags over the file.
pub(super) fn over(
    layered: &mut Layered,
    vars: &Vars,
    flags: &Flags,
    start: Start,
    root: &Schema,
    faults: &mut Faults,
) {
    environment(layered, vars, flags, root, faults);
    for (flag, setting, text) in flags.settings() {
        text_at(layered, setting, text, Place::Flag(flag), root, faults);
    }
    for (flag, setting, list) in
        [("--allowed-host", "listen.hosts", &flags.hosts), ("--allowed-origin", "listen.origins", &flags.origins)]
    {
        if !list.is_empty() {
            let list = list.iter().map(|item| Value::from(item.as_str())).collect();
            layered.set(setting, Value::Array(list), Place::Flag(flag));
        }
    }
    servers(layered, flags, faults);
    if flags.stdio {
        no_network(layered);
    }
    if start == Start::AdHoc {
        ad_hoc(layered);
    }
}

/// Whoever starts us is the client, and reads the file that says who may call: to ask it for a key would ask for what it
/// has. All that is about a network is put aside.
fn no_network(layered: &mut Layered) {
    let list = |item: &str| Value::Array(vec![Value::from(item)]);
    for (setting, value) in [
        ("auth.mode", Value::from("none")),
        ("listen.address", Value::from("127.0.0.1:0")),
        ("listen.hosts", list("localhost")),
        ("listen.origins", list("none")),
        ("listen.trusted_proxies", Value::Array(Vec::new())),
        ("store.url", Value::from("memory")),
    ] {
        layered.set(setting, value, Place::Flag("palisade stdio"));
    }
}

fn environment(layered: &mut Layered, vars: &Vars, flags: &Flags, root: &Schema, faults: &mut Faults) {
    for row in TABLE {
        let usable = matches!(row.sets, Sets::Setting(_) | Sets::Port | Sets::DisableAuth | Sets::ServerMode);
        let Some(secret) = usable.then(|| env::text(row, vars, faults)).flatten() else { continue };
        let (text, place) = (secret.reveal(), Place::Env(row.name));
        match row.sets {
            Sets::Setting(setting) => text_at(layered, setting, text, place, root, faults),
            Sets::Port => port(layered, text, place, faults),
            Sets::DisableAuth => disable_auth(layered, text, vars, faults),
            Sets::ServerMode if text == "http" || text == "stdio" && flags.stdio => {}
            Sets::ServerMode => {
                let problem = match text {
                    "stdio" => "this command serves over HTTP".to_owned(),
                    _ => format!("{text:?} is not one of \"http\", \"stdio\""),
                };
                faults.add("", place, problem, "use palisade stdio, or set it to http or unset it");
            }
            _ => {}
        }
    }
}

fn text_at(layered: &mut Layered, setting: &str, text: &str, place: Place, root: &Schema, faults: &mut Faults) {
    let Some(schema) = schema::at(root, setting) else { return };
    match shape::from_text(text, schema) {
        Ok(value) => layered.set(setting, value, place),
        Err((problem, cure)) => {
            faults.add(setting, place, problem, cure);
            faults.tried(setting.to_owned());
        }
    }
}

/// `PORT` says the port and nothing about the address: whoever sets it must not open the gate to the network.
fn port(layered: &mut Layered, text: &str, place: Place, faults: &mut Faults) {
    let Ok(port) = text.parse::<u16>() else {
        faults.add("listen.address", place, format!("{text:?} is not a port"), "write a number from 0 to 65535");
        return;
    };
    let address = layered.text("listen", "address").unwrap_or("127.0.0.1:8080");
    // An address that cannot be read stays as it is, and is a fault of its own.
    if let Ok(mut address) = address.parse::<SocketAddr>() {
        address.set_port(port);
        layered.set("listen.address", Value::from(address.to_string()), place);
    }
}

fn disable_auth(layered: &mut Layered, text: &str, vars: &Vars, faults: &mut Faults) {
    let place = Place::Env("DISABLE_AUTH");
    match env::switch(text) {
        None => faults.add("auth.mode", place, format!("{text:?} is neither true nor false"), "write true or false"),
        Some(false) => {}
        Some(true) if vars.get("AUTH_MODE").is_some_and(|mode| mode != "none") => {
            faults.add("auth.mode", place, "is true, and AUTH_MODE asks for authentication", "unset one of the two");
        }
        Some(true) => layered.set("auth.mode", Value::from("none"), place),
    }
}

fn servers(layered: &mut Layered, flags: &Flags, faults: &mut Faults) {
    if flags.servers.is_empty() && !flags.server_env.is_empty() {
        faults.add("", ENV, "there is no command that could see it", "write the command after --, or env in the file");
    }
    for (name, server) in &flags.servers {
        let setting = shape::join("servers", name);
        let (flag, field, value) = match server {
            ServerFlag::Url(url) => ("--url", "url", Value::from(url.reveal())),
            ServerFlag::Command(command) => {
                let words = command.words().iter().map(|word| Value::from(word.as_str())).collect();
                ("-- CMD", "command", Value::Array(words))
            }
        };
        let place = Place::Flag(flag);
        if layered.has(&setting) {
            faults.add(&setting, place, "is in the file too", "give it another name, or start without the file");
            continue;
        }
        let mut table = Table::from_iter([(field.to_owned(), value)]);
        variables(&setting, &flags.server_env, &mut table, layered);
        credential(flags.credential.as_ref(), &mut table);
        let all = layered.tree.entry("servers").or_insert_with(|| Value::Table(Table::new()));
        if let Value::Table(all) = all {
            all.insert(name.clone(), Value::Table(table));
        }
        layered.places.insert(format!("{setting}.{field}"), place.clone());
        layered.places.insert(setting, place);
    }
}

/// `NAME` lets a variable of ours through, `NAME=VALUE` sets one.
fn variables(setting: &str, texts: &[String], server: &mut Table, layered: &mut Layered) {
    let (mut set, mut inherited) = (Table::new(), Vec::new());
    for text in texts {
        match text.split_once('=') {
            Some((name, value)) => {
                layered.places.insert(shape::join(&format!("{setting}.env"), name), ENV);
                set.insert(name.to_owned(), Value::from(value));
            }
            None => inherited.push(Value::from(text.as_str())),
        }
    }
    let tables = [("env", Value::Table(set)), ("inherit_env", Value::Array(inherited))];
    for (field, value) in tables.into_iter().filter(|(_, value)| !is_empty(value)) {
        layered.places.insert(format!("{setting}.{field}"), ENV);
        server.insert(field.to_owned(), value);
    }
}

fn credential(credential: Option<&Credential>, server: &mut Table) {
    let one = |name: &str, value: Value| Value::Table(Table::from_iter([(name.to_owned(), value)]));
    match credential {
        None => {}
        Some(Credential::Key(key)) => {
            let bearer = Value::from(format!("Bearer {}", key.reveal()));
            server.insert("headers".to_owned(), one("authorization", bearer));
        }
        Some(Credential::Signature { key_id, secret }) => {
            let mut sign = Table::from_iter([("key_id".to_owned(), Value::from(key_id.as_str()))]);
            sign.insert("secret".to_owned(), Value::from(secret.reveal()));
            server.insert("sign".to_owned(), Value::Table(sign));
        }
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_table().is_some_and(Table::is_empty) || value.as_array().is_some_and(Vec::is_empty)
}

const ENV: Place = Place::Flag("--env");

/// Without a file, whoever listens on loopback is a developer at a desk; everybody else gets production's rules.
fn ad_hoc(layered: &mut Layered) {
    let address = layered.text("listen", "address").unwrap_or("127.0.0.1:8080");
    let loopback = address.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_loopback());
    for (setting, value) in [("environment", "development"), ("log.format", "pretty")] {
        if loopback && !layered.has(setting) {
            layered.set(setting, Value::from(value), Place::Default);
        }
    }
}
