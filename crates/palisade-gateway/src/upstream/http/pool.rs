//! Connections to one HTTP upstream, kept open between calls.
//!
//! One host, no redirects, no proxies from the environment: a connection goes to the host the operator named and
//! nowhere else. Names are looked up when a connection is opened, never per call.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Uri;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use palisade_guard::host;
use palisade_guard::refusal::Refusal;

use super::super::unavailable;
use super::connection::Connection;
use super::head::Head;
use super::request::Request;
use crate::descriptors::Descriptors;
use crate::transport::socket::Socket;

/// Connections to one host.
pub(crate) struct Pool {
    host: Box<str>,
    port: u16,
    tls: Option<Arc<rustls::ClientConfig>>,
    idle: Arc<Idle>,
    connect_timeout: Duration,
    descriptors: Arc<Descriptors>,
}

/// Connections that wait for a request.
#[derive(Default)]
pub(super) struct Idle(Mutex<Waiting>);

/// Boxed: each call takes one, hands it down and up, and gives it back.
type Waiting = Vec<Box<Connection>>;

/// Idle connections beyond this are closed.
const KEPT: usize = 256;

impl Pool {
    /// A pool for the host of `url`; `tls` is given where the scheme is https.
    pub(crate) fn new(
        url: &Uri,
        tls: Option<Arc<rustls::ClientConfig>>,
        connect_timeout: Duration,
        descriptors: Arc<Descriptors>,
    ) -> Self {
        let host = host::bare(url.host().unwrap_or_default());
        let port = url.port_u16().unwrap_or(if tls.is_some() { 443 } else { 80 });
        Self { host: host.into(), port, tls, idle: Arc::default(), connect_timeout, descriptors }
    }

    /// Sends one request at about `now`, once: it goes out on a connection that was seen to be open, or on a fresh one, and a call must
    /// never run twice.
    pub(super) async fn send(&self, request: &Request, now: Instant) -> Result<(Head, Box<Connection>), Refusal> {
        let mut connection = match self.idle.take(now) {
            Some(open) => open,
            None => Box::pin(self.connect()).await.map_err(Refusal::undone)?,
        };
        let head = connection.send(request, now).await.map_err(unavailable)?;
        Ok((head, connection))
    }

    /// Where a connection goes whose answer was read.
    pub(super) const fn idle(&self) -> &Arc<Idle> {
        &self.idle
    }

    /// Lets go of connections that the upstream closed while they were idle.
    pub(crate) fn sweep(&self) {
        let now = Instant::now();
        let closed: Waiting = self.idle.lock().extract_if(.., |connection| !connection.is_open(now)).collect();
        drop(closed);
    }

    async fn connect(&self) -> Result<Box<Connection>, Refusal> {
        match tokio::time::timeout(self.connect_timeout, self.open()).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(unavailable(format_args!("connecting to {}:{}: {error}", self.host, self.port))),
            Err(_) => Err(unavailable(format_args!("connecting to {}:{} took too long", self.host, self.port))),
        }
    }

    async fn open(&self) -> io::Result<Box<Connection>> {
        let Some(taken) = self.descriptors.take_for_upstream() else {
            return Err(io::Error::other("no descriptor is left"));
        };
        let stream = TcpStream::connect((self.host.as_ref(), self.port)).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else {
            return Ok(Box::new(Connection::new(Socket::Plain(stream), taken)));
        };
        let name = ServerName::try_from(self.host.to_string()).map_err(io::Error::other)?;
        let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?;
        Ok(Box::new(Connection::new(Socket::Tls(Box::new(stream.into())), taken)))
    }
}

impl Idle {
    /// Takes a connection back whose answer was read.
    pub(super) fn give_back(&self, mut connection: Box<Connection>) {
        if !connection.rests() {
            return;
        }
        let mut idle = self.lock();
        if idle.len() < KEPT {
            idle.push(connection);
        }
    }

    /// One that can carry a request now.
    pub(super) fn take(&self, now: Instant) -> Option<Box<Connection>> {
        loop {
            let mut connection = self.lock().pop()?;
            if connection.is_open(now) {
                return Some(connection);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
