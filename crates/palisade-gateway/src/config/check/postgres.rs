//! The address of a PostgreSQL server, and how it is used.
//!
//! 1. A server on another machine is certified for its name, or the setting says that this is dangerous.
//! 2. The file of settings holds no password.
//! 3. A word in the URL that we do not follow is a fault: `sslmode=require` would promise what nobody keeps.

use std::path::PathBuf;

use super::{Check, count, store};
use palisade_guard::host;

use crate::config::checked::{Postgres, PostgresHost};
use crate::config::fault::Place;
use crate::config::raw;
use crate::config::secret::Secret;

const AT: &str = "store.url";
const CURE: &str = "write \"postgres://USER@HOST/DATABASE\"";
const DAY: u64 = 86_400_000;

/// Reads the address and all settings that go with it.
pub(super) fn place(raw: &raw::Store, url: &str, check: &mut Check<'_>) -> Option<Postgres> {
    let read = match read(url) {
        Ok(read) => read,
        Err((problem, cure)) => {
            check.fault(AT, problem, cure);
            check.faults.tried(AT.to_owned());
            return None;
        }
    };
    let is_here = match &read.host {
        PostgresHost::Folder(_) => true,
        PostgresHost::Name(name) => host::is_here(name),
    };
    if read.plain && !is_here && !raw.danger_plain_postgres {
        let cure = "leave sslmode out, or set store.danger_plain_postgres = true if you own the whole way";
        check.fault(AT, "is not encrypted, to another machine", cure);
    }
    let ca_file = raw.ca_file.as_ref().map(|path| check.path("store.ca_file", path));
    if let Some(path) = ca_file.as_ref().filter(|path| !path.is_file()) {
        check.fault("store.ca_file", format!("{} is not a file", path.display()), "name a PEM file");
    }
    Some(Postgres {
        tls: read.tls || !is_here && !read.plain,
        password: password(raw, read.password, check),
        host: read.host,
        port: read.port,
        user: read.user,
        database: read.database,
        ca_file,
        connections: count(raw.connections),
        overflow: count(raw.overflow),
        acquire: check.duration("store.acquire_timeout", &raw.acquire_timeout, 60_000),
        connect: check.duration("store.connect_timeout", &raw.connect_timeout, 60_000),
        statement: check.duration("store.statement_timeout", &raw.statement_timeout, 60_000),
        lifetime: check.duration("store.max_lifetime", &raw.max_lifetime, 30 * DAY),
        idle: check.duration("store.idle_timeout", &raw.idle_timeout, 30 * DAY),
        log_statements: raw.log_statements,
    })
}

/// The one password there is.
fn password(raw: &raw::Store, in_url: Option<Secret>, check: &mut Check<'_>) -> Option<Secret> {
    let referred = raw.password.as_ref().map(|password| store::secret("store.password", password, check));
    if in_url.is_some() && matches!(check.layered.place(AT), Place::File { .. }) {
        check.fault(
            AT,
            "holds a password in the clear",
            "write store.password = \"secret:file:PATH\" or \"secret:env:NAME\"",
        );
    }
    if in_url.is_some() && referred.is_some() {
        check.fault("store.password", "is set, and store.url holds a password too", "keep one of them");
    }
    referred.unwrap_or(in_url)
}

/// What a URL says.
struct Read {
    host: PostgresHost,
    port: u16,
    user: String,
    password: Option<Secret>,
    database: String,
    /// TLS is asked for.
    tls: bool,
    /// No TLS is asked for.
    plain: bool,
}

pub(super) type Wrong = (&'static str, &'static str);

/// Nothing of the text is repeated: it may hold a password.
fn read(url: &str) -> Result<Read, Wrong> {
    let (scheme, rest) = url.split_once("://").ok_or(("is no URL", CURE))?;
    // Other programs name their driver behind a plus sign.
    if !matches!(scheme.split('+').next(), Some("postgres" | "postgresql")) {
        return Err(("is no store this version knows", CURE));
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').ok_or(("names no database", CURE))?;
    let (login, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = match login.split_once(':') {
        Some((user, password)) => (user, Some(Secret::new(decoded(password)?))),
        None => (login, None),
    };
    let (user, database) = (decoded(user)?, decoded(database)?);
    if user.is_empty() || database.is_empty() || database.contains('/') {
        return Err(("does not name a user and a database", CURE));
    }
    let (host, port) = host_and_port(host)?;
    let mut read = Read { host: PostgresHost::Name(host), port, user, password, database, tls: false, plain: false };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=').unwrap_or((pair, "")) {
            ("sslmode", "disable") => read.plain = true,
            ("sslmode", "verify-full") => read.tls = true,
            ("sslmode", _) => {
                return Err((
                    "asks for a TLS that does not check who answers",
                    "write sslmode=verify-full, or leave it out",
                ));
            }
            ("host", folder) => {
                let folder = PathBuf::from(decoded(folder)?);
                if !folder.is_absolute() || read.host != PostgresHost::Name(String::new()) {
                    return Err(("names a host twice, or a socket without its whole folder", CURE));
                }
                read.host = PostgresHost::Folder(folder);
            }
            _ => {
                return Err(("says more than is followed: sslmode and host alone are", "remove the rest behind \"?\""));
            }
        }
    }
    match &read.host {
        PostgresHost::Name(name) if name.is_empty() => Err(("names no host", CURE)),
        PostgresHost::Folder(_) if read.tls => Err(("asks for TLS on a socket of this machine", "leave sslmode out")),
        _ => Ok(read),
    }
}

fn host_and_port(text: &str) -> Result<(String, u16), Wrong> {
    const PORT: u16 = 5432;
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    if host.contains([',', '%', ' ']) {
        return Err(("names more than one host, or none that can be read", "name the one that takes writes"));
    }
    let port = port.map_or(Ok(PORT), |port| port.parse().map_err(|_| ("has a port that is none", CURE)))?;
    Ok((host.to_owned(), port))
}

/// Without percent signs that stand for something else.
pub(super) fn decoded(text: &str) -> Result<String, Wrong> {
    const WRONG: Wrong = ("holds a percent sign with no two hexadecimal digits behind it", "write %25 for one");
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).ok_or(WRONG)?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| WRONG)?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).map_err(|_| WRONG)
}

#[cfg(test)]
mod tests {
    use super::read;
    use crate::config::checked::PostgresHost;

    fn shown(url: &str) -> String {
        match read(url) {
            Err((problem, _)) => problem.to_owned(),
            Ok(read) => {
                let host = match &read.host {
                    PostgresHost::Name(name) => name.clone(),
                    PostgresHost::Folder(folder) => folder.display().to_string(),
                };
                let password = read.password.as_ref().map_or("-", |password| password.reveal());
                format!("{host} {} {} {password} {} {} {}", read.port, read.user, read.database, read.tls, read.plain)
            }
        }
    }

    /// I3, P-K10: a URL has one reading; what it says and we would not follow is refused.
    #[test]
    fn a_url_has_one_reading() {
        let many = "says more than is followed: sslmode and host alone are";
        let unchecked = "asks for a TLS that does not check who answers";
        let nobody = "does not name a user and a database";
        let unsure = "names a host twice, or a socket without its whole folder";
        for (url, want) in [
            ("postgres://ann@db/gate", "db 5432 ann - gate false false"),
            ("postgresql+asyncpg://ann:p%40ss%25@db:6432/gate", "db 6432 ann p@ss% gate false false"),
            ("postgres://ann@[::1]:6/gate?sslmode=verify-full", "::1 6 ann - gate true false"),
            ("postgres://ann@db/gate?sslmode=disable", "db 5432 ann - gate false true"),
            ("postgres://ann@:7/gate?host=/run/pg", "/run/pg 7 ann - gate false false"),
            ("postgres://ann@/gate?host=%2Frun%2Fpg", "/run/pg 5432 ann - gate false false"),
            ("postgres://ann@db/gate?host=/run/pg", unsure),
            ("postgres://ann@/gate?host=run", unsure),
            ("postgres://ann@/gate", "names no host"),
            ("postgres://ann@/gate?host=/run/pg&sslmode=verify-full", "asks for TLS on a socket of this machine"),
            ("postgres://ann@db/gate?sslmode=require", unchecked),
            ("postgres://ann@db/gate?sslmode=verify-ca", unchecked),
            ("postgres://ann@db/gate?options=-crole%3Droot", many),
            ("postgres://ann@db/gate?SSLMODE=disable", many),
            ("postgres://db/gate", nobody),
            ("postgres://ann@db/", nobody),
            ("postgres://ann@db/gate/more", nobody),
            ("postgres://ann@db", "names no database"),
            ("postgres://ann@a,b/gate", "names more than one host, or none that can be read"),
            ("postgres://ann@db:port/gate", "has a port that is none"),
            ("postgres://a%n@db/gate", "holds a percent sign with no two hexadecimal digits behind it"),
            ("postgresx://ann@db/gate", "is no store this version knows"),
        ] {
            assert_eq!(shown(url), want, "{url}");
        }
    }
}
