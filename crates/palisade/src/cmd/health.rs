//! `palisade health [URL]`: one question, one exit code, nothing else in a container needed for it.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use crate::cli::Health;
use crate::say;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks.
pub(crate) fn health(arguments: &Health) -> ExitCode {
    match ask(arguments) {
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

fn ask(arguments: &Health) -> std::io::Result<bool> {
    let bad = || std::io::Error::other("write the address as http://HOST:PORT or https://HOST:PORT");
    let (scheme, rest) = arguments.url.split_once("://").ok_or_else(bad)?;
    let port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return Err(bad()),
    };
    let authority = rest.split('/').next().filter(|authority| !authority.is_empty()).ok_or_else(bad)?;
    let has_port = authority.rsplit(']').next().is_some_and(|end| end.contains(':'));
    let with_port = if has_port { authority.to_owned() } else { format!("{authority}:{port}") };
    let address = with_port.to_socket_addrs()?.next().ok_or_else(bad)?;
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    if scheme == "http" {
        return is_ready(stream, authority);
    }
    let host = with_port.rsplit_once(':').map_or(authority, |(host, _)| host).trim_matches(['[', ']']);
    let name = arguments.name.as_deref().unwrap_or(host).to_owned();
    let own = arguments.cert.as_deref().zip(arguments.key.as_deref());
    let config = palisade_gateway::tls_client(arguments.ca_file.as_deref(), own)?;
    let name = ServerName::try_from(name).map_err(std::io::Error::other)?;
    let session = ClientConnection::new(config, name).map_err(std::io::Error::other)?;
    is_ready(StreamOwned::new(session, stream), authority)
}

fn is_ready(mut stream: impl Read + Write, authority: &str) -> std::io::Result<bool> {
    write!(stream, "GET /health/ready HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n")?;
    stream.flush()?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    Ok(answer.ends_with(b" 200"))
}
