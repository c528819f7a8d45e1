//! The address of Redis, and how it is used.
//!
//! 1. Another machine is spoken to over TLS, or the setting says that this is dangerous.
//! 2. The file of settings holds no password.
//! 3. A word in the URL that we do not follow is a fault.

use std::net::IpAddr;

use super::postgres::{Wrong, decoded};
use super::{Check, store};
use crate::config::checked::{Redis, RedisForm};
use crate::config::fault::Place;
use crate::config::raw;
use crate::config::secret::{Reference, Secret};

const AT: &str = "redis.url";
const CURE: &str = "write \"rediss://USER@HOST:PORT/0\"";
const PORT: u16 = 6379;
/// The longest that anything may take.
const LONGEST: u64 = 5_000;

/// Reads `[redis]`; `None` where there is none.
pub(super) fn redis(raw: &raw::Redis, check: &mut Check<'_>) -> Option<Redis> {
    // Whoever starts us is the only caller.
    if check.flags.stdio {
        return None;
    }
    let Some(url) = &raw.url else {
        let is_named = |(setting, place): (&String, &Place)| {
            setting.starts_with("redis.") && matches!(place, Place::File { .. } | Place::Flag(_))
        };
        if check.layered.places.iter().any(is_named) {
            check.missing(AT, Place::Default, "is not set, so nothing else of [redis] is used", CURE);
        }
        return None;
    };
    let read = match read(url.as_str()) {
        Ok(read) => read,
        Err((problem, cure)) => {
            check.fault(AT, problem, cure);
            check.faults.tried(AT.to_owned());
            return None;
        }
    };
    let tls = read.tls || raw.tls == Some(true);
    encrypted(raw, &read, tls, check);
    let form = form(raw, &read, check);
    let ca_file = raw.ca_file.as_ref().map(|path| check.path("redis.ca_file", path));
    if let Some(path) = ca_file.as_ref().filter(|path| !path.is_file()) {
        check.fault("redis.ca_file", format!("{} is not a file", path.display()), "name a PEM file");
    }
    if !is_prefix(&raw.prefix) {
        let cure = "write 1 to 64 ASCII letters, digits, \".\", \"_\", \":\" or \"-\"";
        check.fault("redis.prefix", format!("{:?} cannot stand in front of keys", raw.prefix), cure);
    }
    Some(Redis {
        form,
        password: password(raw, read.password, check),
        nodes: read.nodes,
        user: read.user,
        database: read.database,
        tls,
        ca_file,
        prefix: raw.prefix.clone(),
        keeps: raw.keeps.clone(),
        replicas: raw.replicas,
        limits_on_failure: raw.limits_on_failure,
        connect: check.duration("redis.connect_timeout", &raw.connect_timeout, LONGEST),
        command: check.duration("redis.command_timeout", &raw.command_timeout, LONGEST),
    })
}

fn encrypted(raw: &raw::Redis, read: &Read, tls: bool, check: &mut Check<'_>) {
    if read.tls && raw.tls == Some(false) {
        check.fault("redis.tls", "is false, and redis.url asks for TLS", "leave it out, or write \"redis://\"");
    }
    let is_here = |(host, _): &(String, u16)| {
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    };
    if !tls && !read.nodes.iter().all(is_here) && !raw.danger_plain_redis {
        let cure = "write \"rediss://\", or set redis.danger_plain_redis = true if you own the whole way";
        check.fault(AT, "is not encrypted, to another machine", cure);
    }
    if !tls && raw.ca_file.is_some() {
        check.fault("redis.ca_file", "is set, and Redis is spoken to without TLS", "write \"rediss://\" in redis.url");
    }
}

fn form(raw: &raw::Redis, read: &Read, check: &mut Check<'_>) -> RedisForm {
    match &raw.master {
        Some(_) if raw.cluster => {
            check.fault("redis.cluster", "is true, and redis.master names one of Sentinels", "keep one of them");
        }
        Some(master) => {
            let password = raw.sentinel_password.as_ref();
            let password = password.and_then(|password| secret("redis.sentinel_password", password, check));
            return RedisForm::Sentinel { master: master.clone(), password };
        }
        None if raw.sentinel_password.is_some() => {
            check.fault("redis.sentinel_password", "is set, and redis.master is not", "name the master");
        }
        None if raw.cluster && read.database != 0 => {
            check.fault(AT, "names a database, and a cluster has one alone", "write \"/0\", or nothing");
        }
        None if raw.cluster => return RedisForm::Cluster,
        None if read.nodes.len() > 1 => {
            let cure = "write redis.master = \"NAME\" for Sentinels, or redis.cluster = true";
            check.fault(AT, "names several hosts, and not what they are", cure);
        }
        None => {}
    }
    RedisForm::Single
}

/// The one password there is.
fn password(raw: &raw::Redis, in_url: Option<Secret>, check: &mut Check<'_>) -> Option<Secret> {
    let referred = raw.password.as_ref().map(|password| secret("redis.password", password, check));
    if in_url.is_some() && matches!(check.layered.place(AT), Place::File { .. }) {
        let cure = "write redis.password = \"secret:file:PATH\" or \"secret:env:NAME\"";
        check.fault(AT, "holds a password in the clear", cure);
    }
    if in_url.is_some() && referred.is_some() {
        check.fault("redis.password", "is set, and redis.url holds a password too", "keep one of them");
    }
    referred.unwrap_or(in_url)
}

/// What is referred to; in the environment the secret itself may stand.
fn secret(at: &str, given: &Secret, check: &mut Check<'_>) -> Option<Secret> {
    let is_reference = matches!(given.reference(), Some(Reference::Env(_) | Reference::File(_)));
    if !is_reference && matches!(check.layered.place(at), Place::Env(_)) {
        return Some(given.clone());
    }
    store::secret(at, given, check)
}

fn is_prefix(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'-');
    (1..=64).contains(&text.len()) && text.bytes().all(plain)
}

/// What a URL says.
struct Read {
    tls: bool,
    nodes: Vec<(String, u16)>,
    user: Option<String>,
    password: Option<Secret>,
    database: u16,
}

/// Nothing of the text is repeated: it may hold a password.
fn read(url: &str) -> Result<Read, Wrong> {
    let (scheme, rest) = url.split_once("://").ok_or(("is no URL", CURE))?;
    let tls = match scheme {
        "redis" | "valkey" => false,
        "rediss" | "valkeys" => true,
        _ => return Err(("is no address of Redis", CURE)),
    };
    if rest.contains(['?', '#']) {
        return Err(("says more than is followed", "remove what is behind \"?\" and \"#\""));
    }
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = match login.split_once(':') {
        Some((user, password)) => (user, Some(Secret::new(decoded(password)?))),
        None => (login, None),
    };
    let user = Some(decoded(user)?).filter(|user| !user.is_empty());
    let database = match database {
        "" => 0,
        number => number.parse().map_err(|_| ("names a database that is no number", CURE))?,
    };
    let nodes = hosts.split(',').map(node).collect::<Result<Vec<_>, _>>()?;
    Ok(Read { tls, nodes, user, password: password.filter(|password| !password.reveal().is_empty()), database })
}

fn node(text: &str) -> Result<(String, u16), Wrong> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    if host.is_empty() || host.contains(['%', ' ', '@']) {
        return Err(("names no host, or none that can be read", CURE));
    }
    let port = port.map_or(Ok(PORT), |port| port.parse().map_err(|_| ("has a port that is none", CURE)))?;
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::read;

    fn shown(url: &str) -> String {
        match read(url) {
            Err((problem, _)) => problem.to_owned(),
            Ok(read) => {
                let nodes: Vec<_> = read.nodes.iter().map(|(host, port)| format!("{host} {port}")).collect();
                let password = read.password.as_ref().map_or("-", |password| password.reveal());
                let user = read.user.as_deref().unwrap_or("-");
                format!("{} {user} {password} {} {}", nodes.join("+"), read.database, read.tls)
            }
        }
    }

    /// D4, P-K2: a URL has one reading; what it says and we would not follow is refused.
    #[test]
    fn a_url_has_one_reading() {
        let host = "names no host, or none that can be read";
        for (url, want) in [
            ("redis://cache", "cache 6379 - - 0 false"),
            ("rediss://ann@cache:7000/3", "cache 7000 ann - 3 true"),
            ("valkey://:p%40ss@cache", "cache 6379 - p@ss 0 false"),
            ("valkeys://ann:pw@[::1]:6", "::1 6 ann pw 0 true"),
            ("rediss://ann:@cache", "cache 6379 ann - 0 true"),
            ("rediss://a:1,b,[::2]:3/0", "a 1+b 6379+::2 3 - - 0 true"),
            ("redis://a,,b", host),
            ("redis://", host),
            ("redis:///0", host),
            ("redis://cache:port", "has a port that is none"),
            ("redis://cache/one", "names a database that is no number"),
            ("redis://cache/70000", "names a database that is no number"),
            ("rediss://cache/0?ssl_cert_reqs=none", "says more than is followed"),
            ("rediss://cache/0#insecure", "says more than is followed"),
            ("redis://a%n@cache", "holds a percent sign with no two hexadecimal digits behind it"),
            ("redis+unix:///run/redis", "is no address of Redis"),
            ("cache:6379", "is no URL"),
        ] {
            assert_eq!(shown(url), want, "{url}");
        }
    }
}
