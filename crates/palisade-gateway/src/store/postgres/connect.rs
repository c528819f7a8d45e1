//! How a connection is opened: TCP or a socket's file, TLS, the password, and what the server must be.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::AbortHandle;
use tokio_postgres::{Client, NoTls, config::SslMode};
use tokio_rustls::TlsConnector;

use super::error::down;
use super::{Error, SCHEMA};
use crate::config::{Postgres, PostgresHost};
use crate::upstream;

/// How long what was sent may stay without any answer of the other machine.
const LOST: Duration = Duration::from_secs(5);
/// "Can we speak TLS?", as PostgreSQL is asked (SSLRequest).
const ASK_TLS: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
const UNREACHABLE: &str = "is it running, and does the network let it through?";
const UNSURE: &str = "check store.url, store.ca_file and the server's certificate";

/// Either kind of way to the server.
pub(super) trait Way: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Way for T {}

/// The connection's own half: whoever drives it hears what the server says unasked.
pub(super) type Driver = tokio_postgres::Connection<Box<dyn Way>, tokio_postgres::tls::NoTlsStream>;

/// A server, and how to come to it.
pub(super) struct Target {
    /// What is configured.
    pub(super) place: Postgres,
    login: tokio_postgres::Config,
    tls: Option<Arc<rustls::ClientConfig>>,
}

/// A connection, which ends with this.
pub(super) struct Link {
    /// What is asked through it.
    pub(super) client: Client,
    driver: AbortHandle,
}

impl Drop for Link {
    fn drop(&mut self) {
        // A server that does not answer would never let it end by itself.
        self.driver.abort();
    }
}

impl Target {
    /// Reads what is needed to connect; the certificates of `store.ca_file` too.
    pub(super) fn new(place: &Postgres) -> Result<Self, Error> {
        let tls = if place.tls {
            let config = upstream::http::tls::config(place.ca_file.as_deref(), None);
            Some(
                config
                    .map_err(|error| down(format!("has no certificates to trust ({error})"), "check store.ca_file"))?,
            )
        } else {
            None
        };
        let mut login = tokio_postgres::Config::new();
        // TLS is ours: in it stands what is one connection for the protocol.
        login.ssl_mode(SslMode::Disable).user(&place.user).dbname(&place.database).application_name("palisade");
        if let Some(password) = &place.password {
            login.password(password.reveal());
        }
        // A gateway that stops in the middle of something must not hold up the others.
        let most = place.statement.as_millis().max(1);
        login.options(format!(
            "-c search_path={SCHEMA} -c statement_timeout={most} -c lock_timeout={most} \
             -c idle_in_transaction_session_timeout={} -c default_transaction_isolation=read\\ committed",
            2 * most
        ));
        Ok(Self { place: place.clone(), login, tls })
    }

    /// A connection that can be used, with somebody who drives it.
    pub(super) async fn link(&self) -> Result<Link, Error> {
        let (client, driver) = self.connect().await?;
        let driving = tokio::spawn(async move { drop(driver.await) });
        let link = Link { client, driver: driving.abort_handle() };
        let asked = tokio::time::timeout(self.place.statement, link.client.simple_query("SELECT pg_is_in_recovery()"));
        let said = asked.await.map_err(|_| down("did not answer in time", UNREACHABLE))??;
        let repeats = said.iter().any(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0) != Some("f"),
            _ => false,
        });
        if repeats {
            return Err(down("is a standby, which may not know yet what was revoked", "name the primary in store.url"));
        }
        Ok(link)
    }

    /// A connection whose driver is still to be run.
    pub(super) async fn connect(&self) -> Result<(Client, Driver), Error> {
        let opened = async {
            let way = self.way().await?;
            Ok(self.login.connect_raw(way, NoTls).await?)
        };
        let opened = tokio::time::timeout(self.place.connect, opened).await;
        opened.map_err(|_| down("cannot be reached in time", UNREACHABLE))?
    }

    async fn way(&self) -> Result<Box<dyn Way>, Error> {
        let unreachable = |error: io::Error| down(format!("cannot be reached ({error})"), UNREACHABLE);
        match &self.place.host {
            PostgresHost::Folder(folder) => {
                let path = folder.join(format!(".s.PGSQL.{}", self.place.port));
                Ok(Box::new(UnixStream::connect(path).await.map_err(unreachable)?))
            }
            PostgresHost::Name(host) => {
                let stream = TcpStream::connect((host.as_str(), self.place.port)).await.map_err(unreachable)?;
                stream.set_nodelay(true).map_err(unreachable)?;
                watch(&stream).map_err(unreachable)?;
                match &self.tls {
                    None => Ok(Box::new(stream)),
                    Some(tls) => Ok(Box::new(secure(stream, host, Arc::clone(tls)).await?)),
                }
            }
        }
    }
}

/// The system gives a connection up whose other end is gone without a word.
fn watch(stream: &TcpStream) -> io::Result<()> {
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, LOST)?;
    sockopt::set_tcp_keepintvl(stream, Duration::from_secs(1))?;
    sockopt::set_tcp_user_timeout(stream, u32::try_from(LOST.as_millis()).unwrap_or(u32::MAX))?;
    Ok(())
}

/// TLS with a server that is certified for this name, or nothing.
async fn secure(
    mut stream: TcpStream,
    host: &str,
    tls: Arc<rustls::ClientConfig>,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, Error> {
    let failed = |error: io::Error| down(format!("cannot be spoken to over TLS ({error})"), UNSURE);
    let name = ServerName::try_from(host.to_owned()).map_err(|_| down("has no name that TLS can check", UNSURE))?;
    stream.write_all(&ASK_TLS).await.map_err(failed)?;
    // One byte and no more: what somebody put behind it in the clear must not count as said inside.
    if stream.read_u8().await.map_err(failed)? != b'S' {
        return Err(down("does not speak TLS", "switch it on there (ssl = on)"));
    }
    TlsConnector::from(tls).connect(name, stream).await.map_err(failed)
}
