//! `palisade health [URL]`: one question, one exit code, nothing else in a container needed for it.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Duration;

use crate::cli::Health;
use crate::say;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks.
pub(crate) fn health(arguments: &Health) -> ExitCode {
    match ask(&arguments.url) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            say::err(format_args!("{} is not ready", arguments.url));
            ExitCode::FAILURE
        }
        Err(error) => {
            say::err(format_args!("{} does not answer: {error}", arguments.url));
            ExitCode::FAILURE
        }
    }
}

fn ask(url: &str) -> std::io::Result<bool> {
    let bad = || std::io::Error::other("write the address as http://HOST:PORT");
    let rest = url.strip_prefix("http://").ok_or_else(bad)?;
    let authority = rest.split('/').next().filter(|authority| !authority.is_empty()).ok_or_else(bad)?;
    let with_port = if authority.rsplit(']').next().is_some_and(|end| end.contains(':')) {
        authority.to_owned()
    } else {
        format!("{authority}:80")
    };
    let address = with_port.to_socket_addrs()?.next().ok_or_else(bad)?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET /health/ready HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n")?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    Ok(answer.ends_with(b" 200"))
}
