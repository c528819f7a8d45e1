//! The configuration from outside: what is refused and in which words, what wins, what is shown.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use palisade_gateway::config::{
    self, AuthMode, Command, Environment, Flags, Format, Loaded, Secret, ServerFlag, Start, StorePlace, Upstream, Vars,
    env, production,
};

/// Keys that are good enough for production.
const KEY: &str = "mcp_Zk3rT9wQx7LmN2vB8yHcD4fGj6KpS1aE";
const OTHER_KEY: &str = "mcp_Pq8sV1uWe5RtY7iO3aSdF6gHj2KlZ9xC";
/// What must never be seen.
const CANARY: &str = "mcp_CANARYq8sV1uWe5RtY7iO3aSdF6gHj2Kl";

/// A folder with a configuration, an environment and flags.
struct Desk {
    folder: tempfile::TempDir,
    vars: Vars,
    flags: Flags,
}

impl Desk {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), vars: Vars::new(), flags: Flags::default() }
    }

    fn var(mut self, name: &str, value: &str) -> Self {
        self.vars.insert(name.to_owned(), OsString::from(value));
        self
    }

    fn flags(mut self, set: impl FnOnce(&mut Flags)) -> Self {
        set(&mut self.flags);
        self
    }

    /// A file beside the configuration.
    fn file(self, name: &str, mode: u32, text: &str) -> Self {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn load(&self, toml: &str) -> Result<Loaded, String> {
        let path = self.path("palisade.toml");
        fs::write(&path, toml).unwrap();
        self.told(config::load(&self.flags, Some(&path), &self.vars, Start::File))
    }

    fn load_ad_hoc(&self) -> Result<Loaded, String> {
        self.told(config::load(&self.flags, None, &self.vars, Start::AdHoc))
    }

    /// The faults as an operator reads them, without the folder's name.
    fn told(&self, outcome: Result<Loaded, Vec<config::Fault>>) -> Result<Loaded, String> {
        let folder = format!("{}/", self.folder.path().display());
        outcome.map_err(|faults| config::report(&faults).replace(&folder, ""))
    }

    #[track_caller]
    fn faults(&self, toml: &str) -> String {
        self.load(toml).map(|loaded| config::show(&loaded)).expect_err("this must be refused")
    }

    #[track_caller]
    fn loads(&self, toml: &str) -> Loaded {
        self.load(toml).unwrap_or_else(|faults| panic!("this must be taken:\n{faults}"))
    }
}

/// The least that production takes without the line that begins with `cut`; `extra` stands below.
fn production_without(cut: &str, extra: &str) -> String {
    let lines = [
        "listen.hosts = [\"mcp.example.com\"]",
        "listen.origins = [\"https://app.example.com\"]",
        "audit.dir = \"audit\"",
        "servers.files.command = [\"files\"]",
        "auth.keys = [{ name = \"ci\", key_env = \"CI_KEY\" }]",
    ];
    let kept = lines.iter().filter(|line| cut.is_empty() || !line.starts_with(cut));
    kept.map(|line| (*line).to_owned() + "\n").collect::<String>() + extra
}

fn production(extra: &str) -> String {
    production_without("", extra)
}

/// The least that development takes, and `extra` below it.
fn development(extra: &str) -> String {
    format!("environment = \"development\"\nservers.files.command = [\"files\"]\n{extra}")
}

/// Where the key of [`production`] is.
fn desk() -> Desk {
    Desk::new().var("CI_KEY", KEY)
}

/// I2: a file full of errors is told of all of them at once, with lines and the nearest right names.
#[test]
fn every_fault_of_a_file_is_told_at_once() {
    let toml = r#"environment = "prod"
enviroment = "production"
[log]
level = 3
[listen]
adress = "127.0.0.1:8080"
hosts = "mcp.example.com"
origins = ["https://app.example.com/path", 7]
trusted_proxies = ["10.0.0.1/8"]
max_connections = -1
[listen.security_headers]
frame_option = "DENY"
[auth]
mode = "jwt"
[[auth.keys]]
name = "ci"
servers = ["file"]
key_evn = "CI"
[servers.files]
comand = ["files"]
timeout = "5 minutes"
[servers.Search]
url = "ftp://search"
[limits]
body = "10 MB"
depth = 1000
wat = 1
[audit]
dir = "nowhere/at/all"
"#;
    let want = r#"palisade.toml:1: environment: "prod" is not one of "production", "staging", "development"; did you mean "production"?
palisade.toml:2: enviroment: is not a setting; did you mean environment?
palisade.toml:4: log.level: is a whole number, not a text in quotes; write a text in quotes
palisade.toml:6: listen.adress: is not a setting; did you mean address?
palisade.toml:7: listen.hosts: is a text, not a list; write a list
palisade.toml:8: listen.origins[0]: "https://app.example.com/path" is not an origin; an origin is scheme, host and port alone, like "https://app.example.com"
palisade.toml:8: listen.origins[1]: is a whole number, not a text in quotes; write a text in quotes
palisade.toml:9: listen.trusted_proxies[0]: "10.0.0.1/8" is not a network; write "10.0.0.0/8" or "10.0.0.1"
palisade.toml:10: listen.max_connections: -1 is not a whole number from 1 to 1000000; write one that is
palisade.toml:12: listen.security_headers.frame_option: is not a setting; did you mean frame_options?
palisade.toml:14: auth.mode: this version does not have "jwt"; use one of "none", "bearer", "hmac"
palisade.toml:17: auth.keys[0].servers[0]: "file" is not a server; did you mean "files"?
palisade.toml:18: auth.keys[0].key_evn: is not a setting; did you mean key_env?
palisade.toml:20: servers.files.comand: is not a setting; did you mean command?
palisade.toml:21: servers.files.timeout: "5 minutes" is not a duration; write a number and ms, s, m, h or d, like "30s"
palisade.toml:22: servers.Search: is not a name for a server; write 1 to 63 of a-z, 0-9, "_" and "-", beginning with a letter or digit
palisade.toml:23: servers.Search.url: has neither scheme http nor https; write one like "https://search.internal/mcp"
palisade.toml:25: limits.body: "10 MB" is not a size; write a number and B, KiB, MiB or GiB, like "10MiB"
palisade.toml:26: limits.depth: 1000 is not a whole number from 4 to 128; write one that is
palisade.toml:27: limits.wat: is not a setting; known here: address_ceiling_per_minute, answer, arguments, batch, body, counted, depth, header, penalty, per_address_per_minute, per_caller_per_minute, signed_body, tool_names
palisade.toml:29: audit.dir: nowhere/at/all is not a folder and cannot become one; name one whose parent exists
"#;
    assert_eq!(Desk::new().faults(toml), want);
}

/// I2: text that is not TOML is told with its line, and what is wrong elsewhere with it.
#[test]
fn what_cannot_be_read_is_told() {
    let told = Desk::new().var("PORT", "eighty").faults("environment = \"development\"\n[listen\n");
    assert!(told.starts_with("palisade.toml:2: is not TOML: "), "{told}");
    let port = "env PORT: listen.address: \"eighty\" is not a port; write a number from 0 to 65535\n";
    assert!(told.ends_with(port), "{told}");
    let nowhere = Path::new("/nowhere.toml");
    let missing = config::load(&Flags::default(), Some(nowhere), &Vars::new(), Start::File).unwrap_err();
    assert!(config::report(&missing).starts_with("/nowhere.toml: cannot be read ("), "{missing:?}");
    assert_eq!(missing.len(), 1);
}

/// I2: a fault is one line, whatever stands in the file.
#[test]
fn a_fault_cannot_forge_lines() {
    let toml = development("\"a\\nforged: line\\u001b[2J\" = 1\nlisten.hosts = [\"x\\n\\u202Ey\"]\n");
    let told = Desk::new().faults(&toml);
    assert_eq!(told.lines().count(), 2, "{told}");
    assert!(!told.contains(['\u{1b}', '\u{202e}']), "{told}");
}

/// I2: production with nothing set hears of everything it lacks.
#[test]
fn an_empty_production_hears_of_everything() {
    let want = r#"default: audit.dir: is not set, so no call would be recorded, which production refuses; name a folder (--audit-dir)
default: auth.keys: holds no key that counts, which production refuses; make one with `palisade keys create`, add [[auth.keys]], start with --api-key-file FILE, or set MCP_API_KEYS
default: listen.hosts: is empty, which production refuses; list the names this gateway is called by, like ["mcp.example.com"] (ALLOWED_HOSTS)
default: listen.origins: is empty, which production refuses; list the origins that may call (ALLOWED_ORIGINS), or write ["none"] if no browser may
default: servers: there is no server to guard; add [servers.NAME] with a command or a url, or start with --url URL or -- CMD
"#;
    assert_eq!(Desk::new().faults(""), want);
}

/// One thing production refuses: how to set it, what is told, and how to set the same thing safely.
struct Row {
    rule: &'static str,
    danger: (Desk, String),
    told: &'static str,
    benign: (Desk, String),
}

fn row(rule: &'static str, danger: (Desk, String), told: &'static str, benign: (Desk, String)) -> Row {
    Row { rule, danger, told, benign }
}

/// The rows for who may call.
fn rows_of_callers() -> Vec<Row> {
    let literal = format!("auth.keys = [{{ name = \"two\", key = \"{OTHER_KEY}\" }}]\n");
    let header = |value: &str| {
        format!("[servers.web]\nurl = \"https://web/mcp\"\nheaders = {{ authorization = \"{value}\" }}\n")
    };
    let client = |secret: &str| format!("[[auth.clients]]\nname = \"desk\"\nsecrets = [\"{secret}\"]\n");
    vec![
        row(
            "no authentication",
            (desk(), production("auth.mode = \"none\"\n")),
            "palisade.toml:6: auth.mode: lets everybody in, which production refuses; use \"bearer\"",
            (desk(), production("auth.mode = \"bearer\"\n")),
        ),
        row(
            "no authentication",
            (desk().var("DISABLE_AUTH", "true"), production("")),
            "env DISABLE_AUTH: auth.mode: lets everybody in, which production refuses; use \"bearer\"",
            (desk().var("DISABLE_AUTH", "false"), production("")),
        ),
        row(
            "no key at all",
            (desk(), production_without("auth.keys", "")),
            "default: auth.keys: holds no key that counts, which production refuses; make one with `palisade keys \
             create`, add [[auth.keys]], start with --api-key-file FILE, or set MCP_API_KEYS",
            (desk().var("MCP_API_KEYS", OTHER_KEY), production_without("auth.keys", "")),
        ),
        row(
            "a key in the file",
            (desk(), production_without("auth.keys", &literal)),
            "palisade.toml:5: auth.keys[0].key: is a key in the clear, which production refuses; write its sha256, or \
             use key_file or key_env",
            (
                desk().file("two", 0o600, OTHER_KEY),
                production_without("auth.keys", "auth.keys = [{ key_file = \"two\" }]\n"),
            ),
        ),
        row(
            "a key on the command line",
            (desk().flags(|flags| flags.api_key = Some(Secret::new(OTHER_KEY.to_owned()))), production("")),
            "flag --api-key: shows the key to every process on this machine, which production refuses; use \
             --api-key-file or --env-keys",
            (desk().var("API_KEY", OTHER_KEY).flags(|flags| flags.env_keys = true), production("")),
        ),
        row(
            "a signing secret",
            (desk(), production(&client(OTHER_KEY))),
            "palisade.toml:8: auth.clients[0].secrets[0]: is a secret in the clear, which production refuses; write \
             \"secret:env:NAME\" or \"secret:file:PATH\"",
            (desk().var("DESK", OTHER_KEY), production(&client("secret:env:DESK"))),
        ),
        row(
            "an upstream's credential",
            (desk(), production(&header("Bearer x"))),
            "palisade.toml:8: servers.web.headers.authorization: is a credential in the clear, which production \
             refuses; write \"secret:env:NAME\" or \"secret:file:PATH\"",
            (desk().var("WEB", "Bearer x"), production(&header("secret:env:WEB"))),
        ),
    ]
}

/// The rows for the ways in.
fn rows_of_the_edge() -> Vec<Row> {
    vec![
        row(
            "no host names",
            (desk(), production_without("listen.hosts", "listen.hosts = []\n")),
            "palisade.toml:5: listen.hosts: is empty, which production refuses; list the names this gateway is called \
             by, like [\"mcp.example.com\"] (ALLOWED_HOSTS)",
            (desk().var("ALLOWED_HOSTS", "*.example.com,[::1]:8080"), production_without("listen.hosts", "")),
        ),
        row(
            "no host names",
            (desk().var("ALLOWED_HOSTS", "*"), production("")),
            "env ALLOWED_HOSTS: listen.hosts[0]: serves every host name, which production refuses; list the names",
            (desk().var("ALLOWED_HOSTS", "mcp.example.com"), production("")),
        ),
        row(
            "no word about browser origins",
            (desk().var("ALLOWED_ORIGINS", ""), production("")),
            "env ALLOWED_ORIGINS: listen.origins: is empty, which production refuses; list the origins that may call \
             (ALLOWED_ORIGINS), or write [\"none\"] if no browser may",
            (desk().var("ALLOWED_ORIGINS", "none"), production("")),
        ),
        row(
            "no word about browser origins",
            (desk().var("ALLOWED_ORIGINS", "https://a.example.com, *"), production("")),
            "env ALLOWED_ORIGINS: listen.origins[1]: lets every web page call, which production refuses; list the \
             origins that may",
            (desk().var("ALLOWED_ORIGINS", "https://a.example.com, https://b.example.com"), production("")),
        ),
        row(
            "a proxy list",
            (desk(), production("listen.trusted_proxies = [\"10.0.0.0/8\", \"::/0\"]\n")),
            "palisade.toml:6: listen.trusted_proxies[1]: lets every client choose the address it is limited by, which \
             production refuses; list the proxies themselves",
            (desk(), production("listen.trusted_proxies = [\"10.0.0.0/8\", \"fd00::/8\"]\n")),
        ),
    ]
}

/// The rows for what lies behind.
fn rows_of_the_rest() -> Vec<Row> {
    let issuer = "auth.issuers = [{ name = \"corp\", url = \"https://login.example.com\" }]\n".to_owned();
    let secret = |text: &str| format!("auth.tokens.secret = \"{text}\"\n");
    let local = "servers.web.url = \"http://[::1]:9000/mcp\"\n\
                 servers.own = { url = \"http://web.internal/mcp\", danger_plain_http = true }\n";
    vec![
        row(
            "plain HTTP",
            (desk(), production("servers.web.url = \"http://web.internal/mcp\"\n")),
            "palisade.toml:6: servers.web.url: is plain HTTP to another machine, which production refuses; use https, \
             or set danger_plain_http = true on this server if you own the whole way",
            (desk(), production(local)),
        ),
        row(
            "no journal",
            (desk(), production_without("audit.dir", "")),
            "default: audit.dir: is not set, so no call would be recorded, which production refuses; name a folder \
             (--audit-dir)",
            (desk().flags(|flags| flags.audit_dir = Some("/".to_owned())), production_without("audit.dir", "")),
        ),
        row(
            "a store that forgets",
            (desk().var("DATABASE_URL", "memory"), production("")),
            "env DATABASE_URL: store.url: forgets revoked keys and what was signed once when the gateway ends, which \
             production refuses; write \"sqlite:FILE\"",
            (desk().var("DATABASE_URL", "sqlite:keys.db"), production("")),
        ),
        row(
            "a Redis that asks for no password",
            (desk(), production("redis.url = \"rediss://cache\"\n")),
            "default: redis.password: is not set, so whoever reaches Redis lifts every limit, which production refuses; \
             give its user one, and write \"secret:file:PATH\" (REDIS_PASSWORD)",
            (desk().var("REDIS_PASSWORD", "pw"), production("redis.url = \"rediss://cache\"\n")),
        ),
        row(
            "log level",
            (desk().var("MCP_LOG_LEVEL", "trace"), production("")),
            "env MCP_LOG_LEVEL: log.level: follows what callers send, which production refuses; use \"debug\" or less",
            (desk().var("MCP_LOG_LEVEL", "debug"), production("")),
        ),
        row(
            "tokens of others",
            (desk(), production(&issuer)),
            "default: auth.public_url: is not set, so a token's audience would be what its sender says, which \
             production refuses; write the address that clients use, like \"https://mcp.example.com\"",
            (desk(), production(&format!("{issuer}auth.public_url = \"https://mcp.example.com\"\n"))),
        ),
        row(
            "the secret of tokens",
            (desk(), production(&secret("q7Zk2vX9mN4pR8tW1yB6dF3hJ5lS0zGa"))),
            "palisade.toml:6: auth.tokens.secret: is a secret in the clear, which production refuses; write \
             \"secret:env:NAME\" or \"secret:file:PATH\"",
            (desk().var("SIGNS", "q7Zk2vX9mN4pR8tW1yB6dF3hJ5lS0zGa"), production(&secret("secret:env:SIGNS"))),
        ),
        row(
            "limits too high",
            (desk(), production("limits = { per_address_per_minute = 10001, address_ceiling_per_minute = 20000 }\n")),
            "palisade.toml:6: limits.per_address_per_minute: is 10001, more than 10000, which production refuses; lower it",
            (desk(), production("limits = { per_address_per_minute = 10000, address_ceiling_per_minute = 20000 }\n")),
        ),
    ]
}

/// B1, B2, A5, A8: each dangerous setting keeps production from starting, its safe twin does not, and a developer may.
#[test]
fn production_refuses_each_dangerous_setting() {
    let mut seen = Vec::new();
    for row in rows_of_callers().into_iter().chain(rows_of_the_edge()).chain(rows_of_the_rest()) {
        let rule = production::RULES.iter().position(|rule| rule.refuses.starts_with(row.rule));
        seen.push(rule.unwrap_or_else(|| panic!("no rule begins with {:?}", row.rule)));
        let (desk, toml) = row.danger;
        assert_eq!(desk.faults(&toml), format!("{}\n", row.told));
        let staging = desk.faults(&format!("environment = \"staging\"\n{toml}"));
        assert!(staging.contains("which staging refuses"), "{staging}");
        if let Err(faults) = desk.load(&format!("environment = \"development\"\n{toml}")) {
            panic!("{}: a developer may, but: {faults}", row.rule);
        }
        let (desk, toml) = row.benign;
        desk.loads(&toml);
    }
    seen.dedup();
    assert_eq!(seen, (0..production::RULES.len()).collect::<Vec<_>>(), "every rule has a row here, in order");
}

/// I2: all dangerous settings together are told together.
#[test]
fn production_lists_all_dangers_at_once() {
    let toml = "listen = { hosts = [\"*\"], origins = [\"*\"], trusted_proxies = [\"0.0.0.0/0\"] }\n\
                auth.mode = \"none\"\nlog.level = \"trace\"\nservers.web.url = \"http://web/mcp\"\n";
    let desk = Desk::new().flags(|flags| flags.listen = Some("0.0.0.0:80".to_owned()));
    let told = desk.faults(toml);
    let settings = ["hosts[0]", "origins[0]", "trusted_proxies[0]", "auth.mode", "log.level", "web.url"];
    for setting in settings.into_iter().chain(["audit.dir"]) {
        assert!(told.contains(setting), "{setting} is missing in\n{told}");
    }
}

/// I2, P-A8: `environment` has three words; nothing that is nearly one of them counts.
#[test]
fn the_environment_is_one_of_three_words() {
    for word in ["prod", "Production", "production ", "dev", "DEVELOPMENT", "1"] {
        let told = desk().var("ENVIRONMENT", word).faults(&production(""));
        let words = "is not one of \"production\", \"staging\", \"development\"; ";
        assert!(told.starts_with(&format!("env ENVIRONMENT: environment: {word:?} {words}")), "{told}");
    }
    assert_eq!(desk().loads(&production("")).config.environment, Environment::Production);
    let told = desk().var("ENVIRONMENT", "").faults(&production(""));
    assert_eq!(told, "env ENVIRONMENT: is set to nothing; unset it or give it a value\n");
}

/// B1, P-A7: nobody but this machine ever gets in without authentication.
#[test]
fn mode_none_is_for_loopback_in_development() {
    let open = development("auth.mode = \"none\"\n");
    let loaded = Desk::new().loads(&open);
    assert_eq!(loaded.config.auth.mode, AuthMode::None);
    let note = "authentication is off (auth.mode = \"none\"): everybody on this machine may call";
    assert_eq!(loaded.config.notes, [note]);
    assert_eq!(
        Desk::new().faults(&format!("{open}listen.address = \"0.0.0.0:8080\"\n")),
        "palisade.toml:3: auth.mode: is \"none\", and 0.0.0.0:8080 is not a loopback address; use \"bearer\", or listen \
         on 127.0.0.1\n"
    );
    assert_eq!(
        Desk::new().faults(&format!("{open}listen.trusted_proxies = [\"127.0.0.1\"]\n")),
        "palisade.toml:3: auth.mode: is \"none\", and listen.trusted_proxies lets a proxy bring everybody in; use \
         \"bearer\", or trust no proxy\n"
    );
    let loaded = Desk::new().var("DISABLE_AUTH", "true").loads(&development(""));
    assert_eq!((loaded.config.auth.mode, loaded.config.notes), (AuthMode::None, vec![note.to_owned()]));
    assert_eq!(
        Desk::new().var("DISABLE_AUTH", "true").var("AUTH_MODE", "bearer").faults(&development("")),
        "env DISABLE_AUTH: auth.mode: is true, and AUTH_MODE asks for authentication; unset one of the two\n"
    );
    assert_eq!(
        Desk::new().var("DISABLE_AUTH", "yes").faults(&development("")),
        "env DISABLE_AUTH: auth.mode: \"yes\" is neither true nor false; write true or false\n"
    );
}

/// A13: a flag wins over the environment, the environment over the file, the file over the default.
#[test]
fn flag_wins_over_environment_over_file_over_default() {
    let shown = |desk: &Desk, toml: &str| {
        let page = config::show(&desk.loads(toml));
        let line = page.lines().find(|line| line.starts_with("listen.address")).unwrap();
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        line.replace(&format!("{}/", desk.folder.path().display()), "")
    };
    let (plain, filed) = (development(""), development("listen.address = \"127.0.0.1:1\"\n"));
    assert_eq!(shown(&Desk::new(), &plain), "listen.address = \"127.0.0.1:8080\" # default");
    assert_eq!(shown(&Desk::new(), &filed), "listen.address = \"127.0.0.1:1\" # palisade.toml:3");
    assert_eq!(shown(&Desk::new().var("PORT", "2"), &filed), "listen.address = \"127.0.0.1:2\" # env PORT");
    let flagged = Desk::new().var("PORT", "2").flags(|flags| flags.listen = Some("[::1]:3".to_owned()));
    assert_eq!(shown(&flagged, &filed), "listen.address = \"[::1]:3\" # flag --listen");

    let vars = Desk::new().var("RATE_LIMIT_PER_MINUTE", "7").var("CALLER_RATE_LIMIT_PER_MINUTE", "8");
    let vars = vars.var("ALLOWED_HOSTS", "a.example.com, b.example.com").var("MCP_ENABLE_MONITORING", "false");
    let toml = development("listen.hosts = [\"c.example.com\"]\nlimits.per_address_per_minute = 9\n");
    let config = vars.loads(&toml).config;
    assert_eq!((config.limits.per_address, config.limits.per_caller), (7, 8));
    assert_eq!((config.edge.hosts.len(), config.monitoring), (2, false));
}

/// I1: without a file, loopback is a developer's desk; any other address gets production's rules.
#[test]
fn without_a_file_loopback_decides() {
    let command = || ServerFlag::Command(Command::new(vec!["server".to_owned(), "--x".to_owned()]));
    let ad_hoc = || Desk::new().flags(|flags| flags.servers.push(("server".to_owned(), command())));
    let loaded = ad_hoc().load_ad_hoc().unwrap();
    assert_eq!((loaded.config.environment, loaded.config.log.format), (Environment::Development, Format::Pretty));
    assert!(loaded.config.auth.wants_a_key());
    let Upstream::Stdio { command, .. } = &loaded.config.servers[0].upstream else { panic!("not a command") };
    assert_eq!(command.words(), ["server", "--x"]);

    let told = ad_hoc().flags(|flags| flags.listen = Some("0.0.0.0:8080".to_owned())).load_ad_hoc().unwrap_err();
    for setting in ["audit.dir", "auth.keys", "listen.hosts", "listen.origins"] {
        assert!(told.contains(&format!("default: {setting}: ")), "{told}");
    }
    let asked = ad_hoc().var("ENVIRONMENT", "production").load_ad_hoc().unwrap_err();
    assert!(asked.contains("auth.keys"), "{asked}");
    let told = Desk::new().load_ad_hoc().unwrap_err();
    assert!(told.starts_with("default: servers: there is no server to guard;"), "{told}");
}

/// I1: what the command may see is said on the command line, and a secret of the gateway is not among it.
#[test]
fn variables_for_the_command_are_flags_too() {
    let command = || ServerFlag::Command(Command::new(vec!["server".to_owned()]));
    let desk = |texts: &[&str]| {
        Desk::new().var("LEVEL", "3").flags(|flags| {
            flags.servers.push(("server".to_owned(), command()));
            flags.server_env = texts.iter().map(|text| (*text).to_owned()).collect();
        })
    };
    let loaded = desk(&["LEVEL", "MODE=a=b"]).load_ad_hoc().unwrap();
    let Upstream::Stdio { env, inherit_env, .. } = &loaded.config.servers[0].upstream else { panic!("not a command") };
    assert_eq!(inherit_env, &["LEVEL"]);
    assert_eq!((env[0].0.as_str(), env[0].1.reveal()), ("MODE", "a=b"));
    assert_eq!(
        desk(&["API_KEY", "=x"]).load_ad_hoc().unwrap_err(),
        "flag --env: servers.server.env.\"\": is not a name for a variable; write one like \"LOG_LEVEL\"\n\
         flag --env: servers.server.inherit_env[0]: API_KEY holds a secret of the gateway; give the server a variable of \
         its own\n"
    );
    let strict = desk(&["TOKEN=x"]).var("ENVIRONMENT", "production").load_ad_hoc().unwrap_err();
    assert!(strict.contains("flag --env: servers.server.env.TOKEN: is a credential in the clear"), "{strict}");
    let alone = Desk::new().flags(|flags| flags.server_env.push("LEVEL".to_owned())).faults(&development(""));
    let want = "there is no command that could see it; write the command after --, or env in the file";
    assert_eq!(alone, format!("flag --env: {want}\n"));
    let inside = Desk::new().flags(|flags| flags.in_process = true).load_ad_hoc().unwrap();
    assert!(inside.config.servers.is_empty());
}

/// B2: keys come from every source at once, and each holder has a name.
#[test]
fn keys_add_up() {
    let desk = Desk::new()
        .var("MCP_API_KEYS", "robot=aV3ry-Random_Key.number1, aV3ry-Random_Key.number2==")
        .var("API_KEY", "aV3ry-Random_Key.number3")
        .var("AUTH_TOKEN", "aV3ry-Random_Key.number4")
        .var("MCP_API_KEY_HASH", &"0123456789abcdef".repeat(4))
        .var("OWN", "aV3ry-Random_Key.number5")
        .file("keys", 0o600, "# ours\n\nanna aV3ry-Random_Key.number6\naV3ry-Random_Key.number7\n")
        .file("one", 0o600, "aV3ry-Random_Key.number8\n");
    let keys = desk.path("keys");
    let desk = desk.flags(|flags| {
        flags.api_key_file = Some(keys);
        flags.api_key = Some(Secret::new("aV3ry-Random_Key.number9".to_owned()));
        flags.env_keys = true;
    });
    let toml = "[[auth.keys]]\nkey_env = \"OWN\"\nservers = [\"files\"]\nlimit_per_minute = 5\n\
                allow = [\"10.0.0.0/8\"]\n[[auth.keys]]\nname = \"filed\"\nkey_file = \"one\"\n";
    let auth = desk.loads(&development(toml)).config.auth;
    let names: Vec<&str> = auth.keys.iter().map(|key| &*key.name).collect();
    let want = ["key-1", "filed", "robot", "key-2", "api-key", "auth-token", "hash-1", "anna", "file-2", "cli"];
    assert_eq!(names, want);
    let own = &auth.keys[0];
    assert_eq!((own.grant.limit, own.grant.servers.as_deref()), (Some(5), Some(&["files".into()][..])));
    assert_eq!(own.grant.lists.allow.len(), 1);
    for number in 1..=9 {
        let tail = if number == 2 { "==" } else { "" };
        let key = format!("aV3ry-Random_Key.number{number}{tail}");
        let digest = palisade_guard::authenticate::Keys::digest(key.as_bytes());
        assert!(auth.keys.iter().any(|key| key.digest == digest), "{key}");
    }
}

/// B2, P-A3: weak and empty keys are refused.
#[test]
fn weak_keys_are_refused() {
    let make = "make one with `palisade keys generate`";
    let word = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8";
    for (name, value, want) in [
        ("AUTH_TOKEN", "", vec!["is set to nothing; unset it or give it a value".to_owned()]),
        ("API_KEY", "changeme", vec![format!("auth.keys: a key is a well-known word; {make}")]),
        ("API_KEY", "Tr0ub4d", vec![format!("auth.keys: a key has 7 bytes, and 8 is the least; {make}")]),
        (
            "API_KEY",
            "a key with blanks",
            vec![format!("auth.keys: a key has characters that are not visible ASCII; {make}")],
        ),
        (
            "MCP_API_KEYS",
            "a=,",
            vec![
                format!("auth.keys: a key has 2 bytes, and 8 is the least; {make}"),
                format!("auth.keys: a key is empty; {make}"),
            ],
        ),
        (
            "MCP_API_KEY_HASH",
            "xyz",
            vec!["auth.keys: is not a SHA-256; write the 64 hexadecimal digits of a key's SHA-256".to_owned()],
        ),
        ("MCP_API_KEY_HASH", word, vec![format!("auth.keys: is the SHA-256 of a well-known word; {make}")]),
    ] {
        let told = Desk::new().var(name, value).faults(&development(""));
        let told: Vec<&str> = told.lines().collect();
        let want: Vec<String> = want.iter().map(|fault| format!("env {name}: {fault}")).collect();
        assert_eq!(told, want);
    }
    let short = desk().var("API_KEY", "kZ8+/q3vT0xkZ9+/q3vT").faults(&production(""));
    assert_eq!(short, format!("env API_KEY: auth.keys: a key has 20 bytes, and 32 is the least; {make}\n"));
}

/// B2: a key stands in one place, under one name, where only its owner reads it.
#[test]
fn doubled_and_misplaced_keys_are_refused() {
    let told = |desk: Desk, toml: &str| desk.faults(&development(toml));
    assert_eq!(
        told(Desk::new().var("API_KEY", KEY).var("AUTH_TOKEN", KEY), ""),
        "env AUTH_TOKEN: auth.keys: auth-token is the same key as api-key; remove one of them: records could not tell \
         who called\n"
    );
    assert_eq!(
        told(Desk::new().var("MCP_API_KEYS", &format!("a={KEY},a={OTHER_KEY}")), ""),
        "env MCP_API_KEYS: auth.keys: two keys are called a; give each a name of its own\n"
    );
    assert_eq!(
        told(Desk::new().file("key", 0o640, KEY), "auth.keys = [{ key_file = \"key\" }]\n"),
        "palisade.toml:3: auth.keys[0].key_file: others may use key (mode 0640); chmod 600 key\n"
    );
    assert_eq!(
        told(Desk::new(), "auth.keys = [{ key_file = \"key\", key_env = \"A\" }, { name = \"x\" }]\n"),
        "palisade.toml:3: auth.keys[0]: says more than once where its key is; keep one of sha256, key_file, key_env and \
         key\npalisade.toml:3: auth.keys[1]: does not say where its key is; add sha256, key_file or key_env\n"
    );
    assert_eq!(
        told(Desk::new().var("A", KEY), "auth.keys = [{ key = \"secret:env:A\" }]\n"),
        "palisade.toml:3: auth.keys[0].key: is a reference, and takes the key itself; use key_env or key_file\n"
    );
    assert_eq!(
        told(Desk::new().flags(|flags| flags.env_keys = true), ""),
        "flag --env-keys: auth.keys: the environment holds no key; set MCP_API_KEYS, API_KEY, AUTH_TOKEN or \
         MCP_API_KEY_HASH\n"
    );
    let far = told(Desk::new(), "listen.address = \"0.0.0.0:1\"\n");
    assert!(far.starts_with("default: auth.keys: there is no key, and the listener is not on loopback; "), "{far}");
    let desk = Desk::new().file("keys", 0o604, KEY);
    let keys = desk.path("keys");
    let open = told(desk.flags(|flags| flags.api_key_file = Some(keys)), "");
    assert_eq!(open, "flag --api-key-file: auth.keys: others may use keys (mode 0604); chmod 600 keys\n");
}

/// A3: a server is a command or a url, with what belongs to it and nothing of ours.
#[test]
fn bad_servers_are_refused() {
    for (server, want) in [
        ("{ command = [\"x\"], url = \"https://x/\" }", ": has both a command and a url; keep one of them"),
        ("{}", ": has neither a command nor a url; add one of them"),
        ("{ command = [] }", ".command: names no program; write [\"program\", \"argument\"]"),
        (
            "{ url = \"https://u:p@x/mcp\" }",
            ".url: has a user or password in it; send them as a header, with a secret: reference",
        ),
        ("{ url = \"https://x/mcp#a\" }", ".url: has a fragment (#…), which no request carries; remove it"),
        (
            "{ url = \"/mcp\" }",
            ".url: has neither scheme http nor https; write one like \"https://search.internal/mcp\"",
        ),
        (
            "{ url = \"https://x/\", working_dir = \".\" }",
            ".working_dir: goes with a command, not with a url; remove it",
        ),
        ("{ command = [\"x\"], ca_file = \"x\" }", ".ca_file: goes with a url, not with a command; remove it"),
        (
            "{ url = \"https://x/\", headers = { X-A = \"1\", x-a = \"2\" } }",
            ".headers.x-a: stands twice: names of headers do not tell capitals from small letters; keep one of them",
        ),
        (
            "{ url = \"https://x/\", headers = { Mcp-Session-Id = \"1\" } }",
            ".headers.Mcp-Session-Id: is written by the gateway itself; remove it",
        ),
        (
            "{ url = \"https://x/\", headers = { x = \"a\\nb\" } }",
            ".headers.x: has a value that cannot stand in a header; write visible ASCII on one line",
        ),
        (
            "{ url = \"https://x/\", headers = { x = \"secret:vault:a\" } }",
            ".headers.x: is not a reference this version knows; write secret:env:NAME or secret:file:PATH",
        ),
        (
            "{ url = \"https://x/\", headers = { x = \"secret:env:NOPE\" } }",
            ".headers.x: the environment variable NOPE holds nothing; set it",
        ),
        (
            "{ command = [\"x\"], inherit_env = [\"MCP_API_KEYS\"] }",
            ".inherit_env[0]: MCP_API_KEYS holds a secret of the gateway; give the server a variable of its own",
        ),
        (
            "{ command = [\"x\"], env = { A = \"secret:env:API_KEY\" } }",
            ".env.A: API_KEY holds a secret of the gateway; give the server a variable of its own",
        ),
        (
            "{ command = [\"x\"], methods = [\"a b\"] }",
            ".methods[0]: \"a b\" is not a method; write one like \"vendor/extra\"",
        ),
        (
            "{ command = [\"x\"], deny = [\"10.0.0.0/33\"] }",
            ".deny[0]: \"10.0.0.0/33\" is not a network; write one like \"10.0.0.0/8\", or an address",
        ),
    ] {
        let told = Desk::new().faults(&format!("environment = \"development\"\nservers.a = {server}\n"));
        assert_eq!(told, format!("palisade.toml:2: servers.a{want}\n"), "{server}");
    }
    let toml = development(
        "servers.a = { command = [\"x\"], inherit_env = [\"KEPT\"] }\nauth.keys = [{ key_env = \"KEPT\" }]\n",
    );
    let kept = Desk::new().var("KEPT", KEY).faults(&toml);
    assert!(kept.contains("KEPT holds a secret of the gateway"), "{kept}");
}

/// A8: a limit out of range is told with the limit and the value.
#[test]
fn limits_out_of_range_name_limit_and_value() {
    for (line, want) in [
        ("limits.body = \"2GiB\"", "limits.body: \"2GiB\" is not from 1KiB to 1024MiB; write a size in this range"),
        ("limits.header = \"1KiB\"", "limits.header: \"1KiB\" is not from 8KiB to 1MiB; write a size in this range"),
        ("limits.arguments = \"11MiB\"", "limits.arguments: 11MiB is more than limits.body (10MiB); lower it"),
        (
            "limits.per_caller_per_minute = 0",
            "limits.per_caller_per_minute: 0 is not a whole number from 1 to 4294967295; write one that is",
        ),
        (
            "limits.per_address_per_minute = 20000",
            "limits.per_address_per_minute: 20000 is more than limits.address_ceiling_per_minute (10000); lower the \
             one or raise the other",
        ),
        ("timeouts.header = \"0s\"", "timeouts.header: \"0s\" leaves no time at all; write at least \"1ms\""),
        ("timeouts.header = \"2m\"", "timeouts.header: \"2m\" is more than 60s; write a shorter one"),
    ] {
        assert_eq!(Desk::new().faults(&development(line)), format!("palisade.toml:3: {want}\n"));
    }
    let told = Desk::new().var("RATE_LIMIT_PER_MINUTE", "lots").faults(&development(""));
    let want = "\"lots\" is not a whole number from 1 to 4294967295; write one that is";
    assert_eq!(told, format!("env RATE_LIMIT_PER_MINUTE: limits.per_address_per_minute: {want}\n"));
}

/// I3, F2: the store is a file beside the journal unless the settings say otherwise; what would share nothing, or forget
/// in production, is refused, and its secret comes by reference alone.
#[test]
fn the_store_is_a_file_in_production() {
    let desk = desk().file("pepper", 0o600, KEY).var("WEAK", "changeme");
    let place = |toml: &str| desk.loads(toml).config.store.place;
    assert_eq!(place(&production("")), StorePlace::File(desk.path("palisade.db")), "beside the journal");
    assert_eq!(place(&development("")), StorePlace::Memory);
    for url in ["sqlite:keys.db", "sqlite://keys.db"] {
        let named =
            desk.loads(&development(&format!("store = {{ url = \"{url}\", pepper = \"secret:file:pepper\" }}")));
        assert_eq!(named.config.store.place, StorePlace::File(desk.path("keys.db")), "from the file's folder on");
        assert_eq!(named.config.store.pepper.unwrap().reveal(), KEY);
    }
    for (line, want) in [
        (
            "url = \"sqlite:\"",
            "store.url: does not name a file; write \"sqlite:FILE\", \"postgres://USER@HOST/DATABASE\", or \"memory\" \
             in development",
        ),
        (
            "url = \"mysql://x\"",
            "store.url: is no store this version knows; write \"sqlite:FILE\", \"postgres://USER@HOST/DATABASE\", or \
             \"memory\" in development",
        ),
        ("url = \"postgres://x\"", "store.url: names no database; write \"postgres://USER@HOST/DATABASE\""),
        (
            "pepper = \"secret:env:WEAK\"",
            "store.pepper: is no secret of at least 32 random bytes; make one with `palisade keys generate`",
        ),
        (
            "pepper = \"mcp_Zk3rT9wQx7LmN2vB8yHcD4fGj6KpS1aE\"",
            "store.pepper: is not a reference to a secret; write \"secret:file:PATH\" or \"secret:env:NAME\"",
        ),
    ] {
        assert_eq!(desk.faults(&development(&format!("store.{line}"))), format!("palisade.toml:3: {want}\n"));
    }
}

/// A13: what this version does not have is checked, noted and shown; what would weaken the gate is refused.
#[test]
fn variables_of_later_features_are_never_ignored_silently() {
    let desk = Desk::new().var("ENCRYPTION_KEY", "k").var("SESSION_MAX_AGE", "5").var("MCP_API_KEY", "x");
    assert_eq!(
        desk.loads(&development("")).config.notes,
        [
            "ENCRYPTION_KEY is set, but this version keeps no secrets at rest",
            "SESSION_MAX_AGE is set, but this version has no sign-in for people",
            "MCP_API_KEY is set, but nothing reads it: did you mean MCP_API_KEYS?",
        ]
    );
    let desk = Desk::new().var("SESSION_MAX_AGE", "none");
    assert_eq!(
        desk.faults(&development("")),
        "env SESSION_MAX_AGE: does not hold a whole number of at least 1; correct it or unset it\n"
    );
    for mode in ["jwt", "oauth"] {
        let told = Desk::new().var("AUTH_MODE", mode).faults(&development(""));
        let want = format!("this version does not have {mode:?}; use one of \"none\", \"bearer\", \"hmac\"");
        assert_eq!(told, format!("env AUTH_MODE: auth.mode: {want}\n"));
    }
    let told = Desk::new().var("MCP_SERVER_MODE", "stdio").faults(&development(""));
    assert_eq!(
        told,
        "env MCP_SERVER_MODE: this command serves over HTTP; use palisade stdio, or set it to http or unset it\n"
    );
}

/// D4, P-K2, P-K5: what is wrong with Redis is said with its cure; without TLS it is this machine, or the setting says so.
#[test]
fn redis_is_named_in_one_way() {
    let desk = Desk::new().file("redis.password", 0o600, "a-password-of-redis");
    let reference = "password = \"secret:file:redis.password\"";
    for (lines, want) in [
        (
            "url = \"redis://cache\"",
            "redis.url: is not encrypted, to another machine; write \"rediss://\", or set redis.danger_plain_redis = true if you own the whole way",
        ),
        (
            "url = \"rediss://u:pw@cache\"",
            "redis.url: holds a password in the clear; write redis.password = \"secret:file:PATH\" or \"secret:env:NAME\"",
        ),
        (
            "url = \"rediss://cache\", password = \"a-password\"",
            "redis.password: is not a reference to a secret; write \"secret:file:PATH\" or \"secret:env:NAME\"",
        ),
        (
            "url = \"rediss://cache\", tls = false",
            "redis.tls: is false, and redis.url asks for TLS; leave it out, or write \"redis://\"",
        ),
        (
            "url = \"rediss://a,b\"",
            "redis.url: names several hosts, and not what they are; write redis.master = \"NAME\" for Sentinels, or redis.cluster = true",
        ),
        (
            "url = \"rediss://a/1\", cluster = true",
            "redis.url: names a database, and a cluster has one alone; write \"/0\", or nothing",
        ),
        (
            "url = \"rediss://a\", cluster = true, master = \"m\"",
            "redis.cluster: is true, and redis.master names one of Sentinels; keep one of them",
        ),
        (
            "url = \"rediss://a\", sentinel_password = \"secret:file:redis.password\"",
            "redis.sentinel_password: is set, and redis.master is not; name the master",
        ),
        (
            "url = \"rediss://a\", prefix = \"a b\"",
            "redis.prefix: \"a b\" cannot stand in front of keys; write 1 to 64 ASCII letters, digits, \".\", \"_\", \":\" or \"-\"",
        ),
        (
            "url = \"rediss://a\", command_timeout = \"6s\"",
            "redis.command_timeout: \"6s\" is more than 5s; write a shorter one",
        ),
        (
            "url = \"rediss://a\", keeps = [\"sessions\"]",
            "redis.keeps[0]: \"sessions\" is not one of \"limits\", \"nonces\", \"claims\"; write one of them",
        ),
        ("url = \"rediss://a\", ca_file = \"none.pem\"", "redis.ca_file: "),
        (
            "url = \"redis://localhost\", ca_file = \"redis.password\"",
            "redis.ca_file: is set, and Redis is spoken to without TLS; write \"rediss://\" in redis.url",
        ),
    ] {
        let told = desk.faults(&development(&format!("redis = {{ {lines} }}")));
        assert!(told.starts_with(&format!("palisade.toml:3: {want}")) && told.lines().count() == 1, "{lines}: {told}");
    }
    let told = desk.faults(&development("redis = { prefix = \"a\" }"));
    assert_eq!(
        told,
        "default: redis.url: is not set, so nothing else of [redis] is used; write \"rediss://USER@HOST:PORT/0\"\n"
    );
    for lines in [
        "url = \"redis://localhost:7\"",
        "url = \"redis://[::1]\"",
        "url = \"redis://a\", tls = true",
        "url = \"redis://a\", danger_plain_redis = true",
    ] {
        let redis = desk.loads(&development(&format!("redis = {{ {lines}, {reference} }}"))).config.redis.unwrap();
        assert_eq!(redis.password.unwrap().reveal(), "a-password-of-redis");
    }
    let desk =
        Desk::new().var("REDIS_URL", "redis://ann@cache:7/2").var("REDIS_PASSWORD", CANARY).var("REDIS_SSL", "true");
    let redis = desk.loads(&development("")).config.redis.unwrap();
    assert_eq!(
        (redis.nodes, redis.user.as_deref(), redis.database, redis.tls),
        (vec![("cache".to_owned(), 7)], Some("ann"), 2, true)
    );
    assert_eq!(redis.password.unwrap().reveal(), CANARY);
    let told = Desk::new().var("REDIS_URL", "redis://u:pw@cache").var("REDIS_SSL", "yes").faults(&development(""));
    assert!(told.contains("env REDIS_SSL: redis.tls: \"yes\" is neither true nor false"), "{told}");
}

/// A13: every name of the requirements is in the table, and `config show` has a line for it.
#[test]
fn every_variable_is_shown() {
    let names = "MCP_SERVER_MODE AUTH_MODE AUTH_TOKEN API_KEY MCP_API_KEYS MCP_API_KEY_HASH API_KEY_HMAC_SECRET \
        DISABLE_AUTH ALLOWED_ORIGINS ALLOWED_HOSTS ENVIRONMENT PORT MCP_LOG_LEVEL MCP_ENABLE_MONITORING \
        ENCRYPTION_KEY ENCRYPTION_SALT DATABASE_URL DB_POOL_SIZE DB_MAX_OVERFLOW SQL_DEBUG REDIS_URL REDIS_PASSWORD \
        REDIS_SSL SECRET_KEY SESSION_SECRET_KEY SESSION_MAX_AGE ACCESS_TOKEN_EXPIRE_MINUTES REFRESH_TOKEN_EXPIRE_DAYS \
        RATE_LIMIT_PER_MINUTE CALLER_RATE_LIMIT_PER_MINUTE API_KEY_PREFIX API_KEY_LENGTH";
    let page = config::show(&Desk::new().loads(&development("")));
    for name in names.split_whitespace() {
        let row =
            env::TABLE.iter().find(|row| row.name == name).unwrap_or_else(|| panic!("{name} is not in the table"));
        let shown = match row.sets {
            env::Sets::Setting(setting) => setting,
            env::Sets::Port => "listen.address",
            env::Sets::DisableAuth => "auth.mode",
            _ => name,
        };
        assert!(page.lines().any(|line| line.starts_with(&format!("{shown} = "))), "{shown} is missing in\n{page}");
    }
}

/// Secrets by every way in.
fn desk_of_secrets() -> Desk {
    let keys = ["MCP_API_KEYS", "API_KEY", "AUTH_TOKEN", "MCP_API_KEY_HASH", "DATABASE_URL", "REDIS_URL"];
    let mut desk = Desk::new()
        .var("MCP_API_KEYS", &format!("a={CANARY}1,{CANARY}2"))
        .var("API_KEY", &format!("{CANARY}3"))
        .var("AUTH_TOKEN", &format!("{CANARY}4"))
        .var("OWN", &format!("{CANARY}5"))
        .var("HEADER", CANARY)
        .var("DATABASE_URL", "memory")
        .var("REDIS_URL", "rediss://cache")
        .file("one", 0o600, &format!("{CANARY}6\n"))
        .file("keys", 0o600, &format!("b {CANARY}7\n"));
    for row in env::TABLE.iter().filter(|row| row.secret && !keys.contains(&row.name)) {
        desk = desk.var(row.name, CANARY);
    }
    let file = desk.path("keys");
    desk.flags(|flags| {
        flags.api_key_file = Some(file);
        flags.api_key = Some(Secret::new(format!("{CANARY}8")));
        let words = vec!["x".to_owned(), format!("--token={CANARY}")];
        flags.servers = vec![("flag".to_owned(), ServerFlag::Command(Command::new(words)))];
        flags.server_env = vec![format!("A={CANARY}")];
    })
}

/// A13, F3: a planted secret is on no page and in no `Debug`, whatever way it came in.
#[test]
fn a_secret_is_never_shown() {
    let desk = desk_of_secrets();
    let toml = development(&format!(
        r#"auth.keys = [{{ key = "{CANARY}9" }}, {{ key_env = "OWN" }}, {{ key_file = "one" }}]
[servers.run]
command = ["x", "--token", "{CANARY}", "--api-key={CANARY}", "TOKEN={CANARY}", "postgres://u:{CANARY}@db/x",
    "-H", "Authorization: Bearer {CANARY}"]
env = {{ A = "{CANARY}", B = "secret:env:HEADER" }}
[servers.web]
url = "https://web/s/{CANARY}/mcp?token={CANARY}"
headers = {{ authorization = "Bearer {CANARY}", x-b = "secret:env:HEADER", x-c = "secret:file:one" }}
"#
    ));
    let loaded = desk.loads(&toml);
    let page = config::show(&loaded);
    for text in [&page, &format!("{loaded:?}"), &format!("{loaded:#?}"), &format!("{:?}", desk.flags)] {
        assert!(!text.contains("CANARY"), "{text}");
    }
    let reference = "servers.web.headers.x-b = \"secret:env:HEADER\"";
    assert!(page.contains("servers.web.url = \"https://web/s/<set>/mcp?<set>\""), "{page}");
    for line in ["MCP_API_KEYS = <set>", "redis.password = <set>", "auth.keys[0].key = <set>", reference] {
        assert!(page.contains(line), "{line} is missing in\n{page}");
    }
    assert_eq!(loaded.config.auth.keys.len(), 9);
    let Upstream::Http { headers, .. } = &loaded.config.servers[3].upstream else { panic!("not a url") };
    assert_eq!(headers[2].1.reveal(), format!("{CANARY}6"), "what is masked is there all the same");
}

/// F3, P-L15: no fault repeats a secret.
#[test]
fn no_fault_repeats_a_secret() {
    let keys = |keys: &str| development(&format!("auth.keys = [{keys}]\n"));
    let bad = [
        keys(&format!(
            "{{ key = \"{CANARY}\", key_env = \"A\" }}, {{ sha256 = \"{CANARY}\" }}, {{ key = [\"{CANARY}\"] }}"
        )),
        keys(&format!("{{ key = \"{CANARY} }}")),
        keys(&format!("{{ key = {CANARY} }}")),
        keys(&format!("{{ key = \"{CANARY}\", key = \"{CANARY}\" }}")),
        development(&format!("servers.a.url = \"https://{CANARY}@x/\"\nservers.b.url = \"ftp://x/?{CANARY}\"\n")),
        development(&format!(
            "servers.a = {{ url = \"https://x/\", headers = {{ a = \"{CANARY}\\n\", b = \"secret:x{CANARY}\" }} }}\n"
        )),
        development(&format!("store = {{ url = \"postgres://u:{CANARY}@db/x\", pepper = \"{CANARY}\" }}\n")),
        production(&format!(
            "auth.keyz = \"{CANARY}\"\nservers.a = {{ command = [\"x\"], env = {{ TOKEN = \"{CANARY}\" }} }}\n"
        )),
    ];
    let mut vars = Vars::new();
    vars.insert("REDIS_URL".to_owned(), OsString::from(CANARY));
    vars.insert("MCP_API_KEY_HASH".to_owned(), OsString::from(CANARY));
    vars.insert("MCP_API_KEYS".to_owned(), OsString::from(format!("{CANARY} with blanks,{CANARY},{CANARY}")));
    for toml in bad {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("palisade.toml");
        fs::write(&path, &toml).unwrap();
        let faults = config::load(&Flags::default(), Some(&path), &vars, Start::File).unwrap_err();
        let told = format!("{}{faults:?}", config::report(&faults));
        assert!(!told.contains("CANARY"), "{told}");
    }
}

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/palisade.toml")
}

/// I2: the example loads, in production, without a note.
#[test]
fn the_example_loads() {
    let loaded = config::load(&Flags::default(), Some(&example()), &Vars::new(), Start::File);
    let loaded = loaded.unwrap_or_else(|faults| panic!("{}", config::report(&faults)));
    assert_eq!(loaded.config.notes, [""; 0]);
    assert_eq!(loaded.config.environment, Environment::Production);
}

/// I3, A13, F2, P-K7, P-K10: PostgreSQL on another machine is certified for its name, or the settings say that this is
/// dangerous; the file of settings holds no password, and nothing that is printed shows one.
#[test]
fn a_server_for_the_store_is_certified() {
    let desk = desk().file("pepper", 0o600, KEY).file("word", 0o600, "p@ss\n").file("ca.pem", 0o600, "");
    let settings = |rest: &str| development(&format!("store = {{ pepper = \"secret:file:pepper\", {rest} }}"));
    let place = |desk: &Desk, rest: &str| match desk.loads(&settings(rest)).config.store.place {
        StorePlace::Postgres(place) => *place,
        other => panic!("{other:?}"),
    };
    let far = place(&desk, "url = \"postgres://ann@db/gate\", password = \"secret:file:word\", ca_file = \"ca.pem\"");
    assert!(far.tls && far.ca_file == Some(desk.path("ca.pem")) && far.password.unwrap().reveal() == "p@ss");
    assert!(!place(&desk, "url = \"postgres://ann@127.0.0.1/gate\"").tls);
    assert!(place(&desk, "url = \"postgres://ann@127.0.0.1/gate?sslmode=verify-full\"").tls);
    let plain = "url = \"postgres://ann@db/gate?sslmode=disable\"";
    assert!(!place(&desk, &format!("{plain}, danger_plain_postgres = true")).tls);
    for (rest, want) in [
        (
            plain,
            "store.url: is not encrypted, to another machine; leave sslmode out, or set store.danger_plain_postgres = \
                 true if you own the whole way",
        ),
        (
            "url = \"postgres://ann@db/gate?sslmode=require\"",
            "store.url: asks for a TLS that does not check who answers; \
                 write sslmode=verify-full, or leave it out",
        ),
        (
            "url = \"postgres://ann:canary@db/gate\"",
            "store.url: holds a password in the clear; write store.password = \
                 \"secret:file:PATH\" or \"secret:env:NAME\"",
        ),
        (
            "url = \"postgres://ann@db/gate\", password = \"canary\"",
            "store.password: is not a reference to a secret; write \
                 \"secret:file:PATH\" or \"secret:env:NAME\"",
        ),
        ("url = \"postgres://ann@db/gate\", ca_file = \"none.pem\"", "store.ca_file: "),
    ] {
        let told = desk.faults(&settings(rest));
        assert!(told.starts_with(&format!("palisade.toml:3: {want}")) && told.lines().count() == 1, "{rest}: {told}");
        assert!(!told.contains("canary"), "{told}");
    }
    let told = desk.faults(&development("store.url = \"postgres://ann@db/gate\""));
    assert!(told.contains("store.pepper: is not set, and beside a server there is no file"), "{told}");

    let desk = desk.var("DATABASE_URL", "postgresql+asyncpg://ann:canary@db/gate").var("DB_POOL_SIZE", "3");
    let desk = desk.var("DB_MAX_OVERFLOW", "4").var("SQL_DEBUG", "true");
    let loaded = desk.loads(&settings(""));
    let StorePlace::Postgres(place) = &loaded.config.store.place else { panic!("{:?}", loaded.config.store) };
    assert_eq!((place.connections, place.overflow, place.log_statements), (3, 4, true));
    assert_eq!(place.password.as_ref().unwrap().reveal(), "canary");
    assert!(!format!("{:?}{}", loaded.config.store, config::show(&loaded)).contains("canary"));
}

/// I2: what the example calls a default is one: a file without its lines has the same values in effect.
#[test]
fn the_example_tells_the_defaults() {
    let values = |toml: &str| -> Vec<(String, String)> {
        let page = config::show(&Desk::new().loads(toml));
        let pairs = page.lines().filter_map(|line| line.split_once(" #")?.0.split_once(" = "));
        pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
    };
    let defaults = values(&development(""));
    let of_the_example = |name: &str| {
        let chosen = ["environment", "listen.hosts", "listen.origins", "listen.trusted_proxies", "listen.deny"];
        let also = [
            "audit.dir",
            "store.url",
            "listen.security_headers.frame_options",
            "listen.max_connections_per_address",
            "timeouts.notice",
        ];
        let tables = ["servers.", "auth.keys", "auth.issuers", "auth.public_url", "auth.offered_scopes", "key:"];
        chosen.contains(&name) || also.contains(&name) || tables.iter().any(|table| name.starts_with(table))
    };
    let mut compared = 0;
    for (name, value) in values(&fs::read_to_string(example()).unwrap()) {
        if !of_the_example(&name) {
            assert!(defaults.contains(&(name.clone(), value.clone())), "{name} = {value} is not the default");
            compared += 1;
        }
    }
    assert!(compared > 30, "only {compared} values were compared");
}

/// I2: the schema for editors knows every line of the example, and says something about every setting.
#[test]
fn the_schema_explains_every_setting() {
    let schema: serde_json::Value = serde_json::from_str(&config::schema()).unwrap();
    let example: toml::Table = fs::read_to_string(example()).unwrap().parse().unwrap();
    known("", &toml::Value::Table(example), &schema);
    explained("", &schema);
}

fn known(path: &str, value: &toml::Value, schema: &serde_json::Value) {
    match value {
        toml::Value::Table(table) => {
            for (name, value) in table {
                let below = schema["properties"].get(name).or_else(|| schema.get("additionalProperties"));
                known(&format!("{path}.{name}"), value, below.unwrap_or_else(|| panic!("{path}.{name} is unknown")));
            }
        }
        toml::Value::Array(items) => items.iter().for_each(|item| known(path, item, &schema["items"])),
        _ => {}
    }
}

fn explained(path: &str, schema: &serde_json::Value) {
    let Some(properties) = schema.get("properties").and_then(|properties| properties.as_object()) else { return };
    assert_eq!(schema["additionalProperties"], serde_json::Value::Bool(false), "{path} lets unknown names in");
    for (name, below) in properties {
        assert!(below.get("description").is_some(), "{path}.{name} is not explained");
        explained(&format!("{path}.{name}"), below);
        explained(&format!("{path}.{name}[]"), &below["items"]);
        explained(&format!("{path}.{name}.*"), &below["additionalProperties"]);
    }
}

proptest::proptest! {
    /// I2: whatever becomes of a file, it is taken or told of in whole lines; nothing panics.
    #[test]
    fn a_damaged_file_is_taken_or_told_of(at in 0_usize..7000, cut in 0_usize..40, put in "[\\[\\]{}\"'=.,a-z0-9\n\u{202e}é-]{0,6}") {
        let mut text: Vec<char> = fs::read_to_string(example()).unwrap().chars().collect();
        let at = at.min(text.len());
        let end = (at + cut).min(text.len());
        text.splice(at..end, put.chars());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("palisade.toml");
        fs::write(&path, text.into_iter().collect::<String>()).unwrap();
        if let Err(faults) = config::load(&Flags::default(), Some(&path), &Vars::new(), Start::File) {
            proptest::prop_assert!(!faults.is_empty());
            proptest::prop_assert_eq!(config::report(&faults).lines().count(), faults.len());
        }
    }
}

/// A13, B4, P-B7: clients that sign come from the file and the environment; weak, short, empty and shared secrets are
/// faults, on a developer's desk too, and no fault repeats one.
#[test]
fn signing_clients_are_weighed() {
    const SECRET: &str = "kQ7vX2mN9pR4tW8yB3dF6hJ1lS5zC0gA";
    const OTHER: &str = "aT4bN7cR1dW9eY3fU6gI8hO2jP5kS0lDz";
    let client = |name: &str, secrets: &[&str]| format!("[[auth.clients]]\nname = \"{name}\"\nsecrets = {secrets:?}\n");
    let loaded = Desk::new().loads(&development(&client("desk", &[SECRET, OTHER])));
    let clients = &loaded.config.auth.clients;
    assert_eq!((clients.len(), &*clients[0].name, &*clients[0].key_id), (1, "desk", "desk"));
    assert!(!format!("{:?} {}", loaded.config, config::show(&loaded)).contains(SECRET));
    let hmac = Desk::new().var("AUTH_MODE", "hmac").var("API_KEY_HMAC_SECRET", SECRET).loads(&development(""));
    assert_eq!(&*hmac.config.auth.clients[0].key_id, "default");
    let told = Desk::new().var("AUTH_MODE", "hmac").faults(&development(""));
    assert!(told.contains("nobody can make one"), "{told}");
    for (toml, want) in [
        (client("desk", &[]), "has not one secret, or two"),
        (client("desk", &[""]), "a secret is empty"),
        (client("desk", &[&SECRET[1..]]), "a secret has 31 bytes"),
        (client("desk", &["passwordpasswordpasswordpassword"]), "a secret is a well-known word"),
        (client("desk", &[SECRET, SECRET]), "stands elsewhere too"),
        (client("a", &[SECRET]) + &client("b", &[SECRET]), "stands elsewhere too"),
        (client("a", &[SECRET]) + &client("a", &[OTHER]), "have the name or the key id of a"),
        (client("A", &[SECRET]), "is not a name for a client"),
        (client("desk", &["secret:vault:x"]), "is not a reference"),
    ] {
        let told = Desk::new().faults(&development(&toml));
        assert!(told.contains(want) && !told.contains(SECRET), "{told} does not say {want}");
    }
    let open = "auth.mode = \"none\"\n[servers.a]\ncommand = [\"x\"]\nsigned = true\n";
    let told = Desk::new().faults(&format!("environment = \"development\"\n{open}"));
    assert!(told.contains("servers.a.signed: is true"), "{told}");
    let told = Desk::new().var("API_KEY_HMAC_SECRET", "short").faults(&development(""));
    assert!(told.contains("default: a secret has 5 bytes") && !told.contains("short"), "{told}");
}

/// I1, B2: reading a file takes as long as the file is, so that one with ten thousand keys starts at once.
#[test]
fn large_files_are_read_in_time() {
    let keys = |count: usize| {
        let key = |number| format!("[[auth.keys]]\nname = \"agent-{number}\"\nkey = \"agent-key-{number:05}\"\n");
        development(&(0..count).map(key).collect::<String>())
    };
    let took = |toml: String| {
        let desk = Desk::new();
        let began = std::time::Instant::now();
        desk.loads(&toml);
        began.elapsed()
    };
    let (small, large) = (took(keys(1_000)), took(keys(10_000)));
    assert!(large < small * 40, "ten times the keys took {large:?} instead of {small:?}");
}
