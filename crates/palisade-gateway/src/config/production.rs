//! What production (and staging) refuses, one row for each rule.
//!
//! These settings have a use on a developer's desk. Where callers depend on the gateway each of them is a door left
//! open, so the gateway does not start. All rows are judged, so that one start shows every open door.

use palisade_guard::host;

use super::check::keys;
use super::checked::{AuthMode, Config, StorePlace};
use super::fault::{Faults, Place};
use super::flags::Flags;
use super::merge::Layered;
use super::raw;
use super::secret::{Reference, Secret, is_telling};
use super::shape::join;

/// One thing production refuses.
#[derive(Debug)]
pub struct Rule {
    /// What it is, in words of the manual.
    pub refuses: &'static str,
    judge: fn(&Facts<'_>, &mut Found<'_>),
}

/// What a rule judges.
pub(super) struct Facts<'a> {
    pub(super) raw: &'a raw::File,
    pub(super) config: &'a Config,
    pub(super) flags: &'a Flags,
}

/// Every rule.
pub const RULES: &[Rule] = &[
    Rule { refuses: "no authentication: `auth.mode = \"none\"`, `DISABLE_AUTH=true`", judge: no_authentication },
    Rule { refuses: "no key at all", judge: no_key },
    Rule { refuses: "a key in the file in the clear", judge: literal_key },
    Rule { refuses: "a key on the command line: `--api-key`", judge: key_as_argument },
    Rule { refuses: "a signing secret in the file in the clear", judge: literal_signing_secret },
    Rule { refuses: "an upstream's credential in the file in the clear", judge: literal_credential },
    Rule { refuses: "no host names, or `*`", judge: any_host },
    Rule { refuses: "no word about browser origins, or `*`", judge: any_origin },
    Rule { refuses: "a proxy list that trusts everybody", judge: any_proxy },
    Rule { refuses: "plain HTTP to an upstream that is not this machine", judge: plain_http },
    Rule { refuses: "no journal: `audit.dir` unset", judge: no_journal },
    Rule { refuses: "a store that forgets: `store.url = \"memory\"`", judge: forgetful },
    Rule { refuses: "a Redis that asks for no password: `redis.password` unset", judge: open_redis },
    Rule { refuses: "log level `trace`", judge: trace },
    Rule { refuses: "tokens of others without `auth.public_url`", judge: no_public_url },
    Rule { refuses: "the secret of tokens, or of an issuer's client, in the file in the clear", judge: literal_secret },
    Rule { refuses: "limits too high to limit anything", judge: limitless },
];

/// Judges every rule.
pub(super) fn judge(facts: &Facts<'_>, layered: &Layered, faults: &mut Faults) {
    let mut found = Found { layered, faults, environment: facts.raw.environment.as_str() };
    for rule in RULES {
        (rule.judge)(facts, &mut found);
    }
}

struct Found<'a> {
    layered: &'a Layered,
    faults: &'a mut Faults,
    environment: &'static str,
}

impl Found<'_> {
    fn add(&mut self, setting: &str, problem: &str, cure: &str) {
        let place = self.layered.place(setting);
        self.add_at(setting, place, problem, cure);
    }

    fn add_at(&mut self, setting: &str, place: Place, problem: &str, cure: &str) {
        if !self.faults.was_tried(setting) {
            self.faults.add(setting, place, format!("{problem}, which {} refuses", self.environment), cure);
        }
    }
}

fn no_authentication(facts: &Facts<'_>, found: &mut Found<'_>) {
    if facts.config.auth.mode == AuthMode::None && !facts.flags.stdio {
        found.add("auth.mode", "lets everybody in", "use \"bearer\"");
    }
}

fn no_key(facts: &Facts<'_>, found: &mut Found<'_>) {
    // A store that is there is asked at the start.
    let kept = match &facts.config.store.place {
        StorePlace::Memory => false,
        StorePlace::File(path) => path.exists(),
        StorePlace::Postgres(_) => true,
    };
    if facts.config.auth.wants_a_key() && !kept && !facts.flags.tends_keys {
        found.add("auth.keys", "holds no key that counts", keys::CURE);
    }
}

fn literal_key(facts: &Facts<'_>, found: &mut Found<'_>) {
    for (index, _) in facts.raw.auth.keys.iter().enumerate().filter(|(_, key)| key.key.is_some()) {
        let setting = format!("auth.keys[{index}].key");
        found.add(&setting, "is a key in the clear", "write its sha256, or use key_file or key_env");
    }
}

fn literal_signing_secret(facts: &Facts<'_>, found: &mut Found<'_>) {
    for (index, client) in facts.raw.auth.clients.iter().enumerate() {
        let literal = |secret: &Secret| !matches!(secret.reference(), Some(Reference::Env(_) | Reference::File(_)));
        for (item, _) in client.secrets.iter().enumerate().filter(|(_, secret)| literal(secret)) {
            let setting = format!("auth.clients[{index}].secrets[{item}]");
            found.add(&setting, "is a secret in the clear", "write \"secret:env:NAME\" or \"secret:file:PATH\"");
        }
    }
}

fn key_as_argument(facts: &Facts<'_>, found: &mut Found<'_>) {
    if facts.flags.api_key.is_some() {
        let problem = "shows the key to every process on this machine";
        found.add_at("", Place::Flag("--api-key"), problem, "use --api-key-file or --env-keys");
    }
}

fn literal_credential(facts: &Facts<'_>, found: &mut Found<'_>) {
    let literal = |value: &Secret| !matches!(value.reference(), Some(Reference::Env(_) | Reference::File(_)));
    for (name, server) in &facts.raw.servers {
        for (table, values) in [("headers", &server.headers), ("env", &server.env)] {
            for (key, _) in values.iter().filter(|(key, value)| is_telling(key) && literal(value)) {
                let setting = join(&format!("{}.{table}", join("servers", name)), key);
                found.add(
                    &setting,
                    "is a credential in the clear",
                    "write \"secret:env:NAME\" or \"secret:file:PATH\"",
                );
            }
        }
    }
}

fn no_public_url(facts: &Facts<'_>, found: &mut Found<'_>) {
    if !facts.config.auth.issuers.is_empty() && facts.config.auth.public_url.is_none() {
        let cure = "write the address that clients use, like \"https://mcp.example.com\"";
        found.add("auth.public_url", "is not set, so a token's audience would be what its sender says", cure);
    }
}

fn literal_secret(facts: &Facts<'_>, found: &mut Found<'_>) {
    let literal = |value: &Option<Secret>| value.as_ref().is_some_and(|value| value.reference().is_none());
    let tokens = &facts.raw.auth.tokens;
    let own = [("secret", &tokens.secret), ("previous_secret", &tokens.previous_secret)];
    let own = own.map(|(name, value)| (format!("auth.tokens.{name}"), value));
    let issuers = facts.raw.auth.issuers.iter().enumerate();
    let issuers =
        issuers.map(|(index, issuer)| (format!("auth.issuers[{index}].client_secret"), &issuer.client_secret));
    for (setting, _) in own.into_iter().chain(issuers).filter(|(_, value)| literal(value)) {
        if matches!(found.layered.place(&setting), Place::File { .. }) {
            found.add(&setting, "is a secret in the clear", "write \"secret:env:NAME\" or \"secret:file:PATH\"");
        }
    }
}

fn any_host(facts: &Facts<'_>, found: &mut Found<'_>) {
    let hosts = &facts.raw.listen.hosts;
    if hosts.is_empty() {
        let cure = "list the names this gateway is called by, like [\"mcp.example.com\"] (ALLOWED_HOSTS)";
        found.add("listen.hosts", "is empty", cure);
    }
    for (index, _) in hosts.iter().enumerate().filter(|(_, host)| *host == "*") {
        found.add(&format!("listen.hosts[{index}]"), "serves every host name", "list the names");
    }
}

fn any_origin(facts: &Facts<'_>, found: &mut Found<'_>) {
    let origins = &facts.raw.listen.origins;
    if origins.is_empty() {
        let cure = "list the origins that may call (ALLOWED_ORIGINS), or write [\"none\"] if no browser may";
        found.add("listen.origins", "is empty", cure);
    }
    for (index, _) in origins.iter().enumerate().filter(|(_, origin)| *origin == "*") {
        found.add(&format!("listen.origins[{index}]"), "lets every web page call", "list the origins that may");
    }
}

fn any_proxy(facts: &Facts<'_>, found: &mut Found<'_>) {
    let proxies = facts.config.identify.trusted_proxies.iter().enumerate();
    for (index, _) in proxies.filter(|(_, network)| network.prefix_len() == 0) {
        let problem = "lets every client choose the address it is limited by";
        found.add(&format!("listen.trusted_proxies[{index}]"), problem, "list the proxies themselves");
    }
}

fn plain_http(facts: &Facts<'_>, found: &mut Found<'_>) {
    for (name, server) in facts.raw.servers.iter().filter(|(_, server)| !server.danger_plain_http) {
        let Some(url) = server.url.as_ref().and_then(|url| url.as_str().parse::<http::Uri>().ok()) else { continue };
        let here = host::is_here(url.host().unwrap_or_default());
        if url.scheme_str() == Some("http") && !here {
            let setting = format!("{}.url", join("servers", name));
            let cure = "use https, or set danger_plain_http = true on this server if you own the whole way";
            found.add(&setting, "is plain HTTP to another machine", cure);
        }
    }
}

fn no_journal(facts: &Facts<'_>, found: &mut Found<'_>) {
    if facts.config.audit.dir.is_none() {
        found.add("audit.dir", "is not set, so no call would be recorded", "name a folder (--audit-dir)");
    }
}

fn forgetful(facts: &Facts<'_>, found: &mut Found<'_>) {
    let named = facts.raw.store.url.is_some() && !found.faults.was_tried("store.url");
    if named && facts.config.store.place == StorePlace::Memory && !facts.flags.stdio {
        let problem = "forgets revoked keys and what was signed once when the gateway ends";
        found.add("store.url", problem, "write \"sqlite:FILE\"");
    }
}

fn open_redis(facts: &Facts<'_>, found: &mut Found<'_>) {
    if facts.config.redis.as_ref().is_some_and(|redis| redis.password.is_none()) {
        let problem = "is not set, so whoever reaches Redis lifts every limit";
        found.add("redis.password", problem, "give its user one, and write \"secret:file:PATH\" (REDIS_PASSWORD)");
    }
}

fn trace(facts: &Facts<'_>, found: &mut Found<'_>) {
    if facts.raw.log.level == raw::Level::Trace {
        found.add("log.level", "follows what callers send", "use \"debug\" or less");
    }
}

fn limitless(facts: &Facts<'_>, found: &mut Found<'_>) {
    let (limits, message) = (&facts.raw.limits, &facts.config.message);
    let bytes = |size: usize| u64::try_from(size).unwrap_or(u64::MAX);
    let keys = facts.raw.auth.keys.iter().enumerate();
    let own = keys.map(|(index, key)| {
        (format!("auth.keys[{index}].limit_per_minute"), key.limit_per_minute.unwrap_or(0).into(), CALLS)
    });
    let clients = facts.raw.auth.clients.iter().enumerate();
    let signers = clients.map(|(index, client)| {
        (format!("auth.clients[{index}].limit_per_minute"), client.limit_per_minute.unwrap_or(0).into(), CALLS)
    });
    let rules = facts.raw.auth.certificates.iter().enumerate();
    let own = own.chain(rules.map(|(index, rule)| {
        (format!("auth.certificates[{index}].limit_per_minute"), rule.limit_per_minute.unwrap_or(0).into(), CALLS)
    }));
    let rows = [
        ("per_address_per_minute", limits.per_address_per_minute.into(), GUESSES),
        ("address_ceiling_per_minute", limits.address_ceiling_per_minute.into(), CALLS),
        ("per_caller_per_minute", limits.per_caller_per_minute.into(), CALLS),
        ("body", bytes(message.body), LARGEST),
        ("signed_body", bytes(message.signed_body), LARGEST),
        ("arguments", bytes(message.arguments), LARGEST),
        ("answer", bytes(message.answer), LARGEST),
        ("header", bytes(message.header), 256 << 10),
    ];
    let rows = rows.into_iter().map(|(name, value, most)| (format!("limits.{name}"), value, most));
    for (setting, value, most) in rows.chain(own).chain(signers).filter(|(_, value, most)| value > most) {
        found.add(&setting, &format!("is {value}, more than {most}"), "lower it");
    }
}

/// Guesses at a key from one address in a minute.
const GUESSES: u64 = 10_000;
const CALLS: u64 = 10_000_000;
const LARGEST: u64 = 100 << 20;
