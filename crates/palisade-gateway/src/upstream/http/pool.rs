//! Connections to one HTTP upstream, kept open between calls.
//!
//! One host, no redirects, no proxies from the environment: a connection goes to the host the operator named and
//! nowhere else. Names are looked up when a connection is opened, never per call.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use http_body_util::Full;
use hyper::body::Incoming;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use palisade_guard::refusal::Refusal;

use super::super::unavailable;
use super::connection::Connection;
use crate::descriptors::Descriptors;
use crate::transport::socket::Socket;

/// Connections to one host.
pub(crate) struct Pool {
    host: Box<str>,
    port: u16,
    tls: Option<Arc<rustls::ClientConfig>>,
    idle: Mutex<Vec<Connection>>,
    connect_timeout: Duration,
    descriptors: Arc<Descriptors>,
}

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
        let host = url.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let port = url.port_u16().unwrap_or(if tls.is_some() { 443 } else { 80 });
        Self { host: host.into(), port, tls, idle: Mutex::default(), connect_timeout, descriptors }
    }

    /// Sends one request. It is sent again on a fresh connection only if not one byte of it had left: a call must never
    /// run twice.
    pub(crate) async fn send(
        &self,
        mut request: http::Request<Full<Bytes>>,
    ) -> Result<(http::Response<Incoming>, Connection), Refusal> {
        while let Some(mut connection) = self.take() {
            match connection.send(request).await {
                Ok(response) => return Ok((response, connection)),
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(unavailable(failed.into_error())),
                },
            }
        }
        let mut connection = Box::pin(self.connect()).await.map_err(Refusal::undone)?;
        match connection.send(request).await {
            Ok(response) => Ok((response, connection)),
            Err(failed) => Err(unavailable(failed.into_error())),
        }
    }

    /// Takes a connection back whose answer was read to the end.
    pub(crate) fn give_back(&self, connection: Connection) {
        let mut idle = self.lock();
        if idle.len() < KEPT {
            idle.push(connection);
        }
    }

    /// Lets go of connections that the upstream closed while they were idle.
    pub(crate) fn sweep(&self) {
        let closed: Vec<Connection> = self.lock().extract_if(.., |connection| !connection.is_open()).collect();
        drop(closed);
    }

    fn take(&self) -> Option<Connection> {
        let mut idle = self.lock();
        while let Some(connection) = idle.pop() {
            if connection.is_ready() {
                return Some(connection);
            }
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self) -> Result<Connection, Refusal> {
        match tokio::time::timeout(self.connect_timeout, self.open()).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(unavailable(format_args!("connecting to {}:{}: {error}", self.host, self.port))),
            Err(_) => Err(unavailable(format_args!("connecting to {}:{} took too long", self.host, self.port))),
        }
    }

    async fn open(&self) -> io::Result<Connection> {
        let Some(taken) = self.descriptors.take_for_upstream() else {
            return Err(io::Error::other("no descriptor is left"));
        };
        let stream = TcpStream::connect((self.host.as_ref(), self.port)).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else {
            return Connection::begin(Socket::Plain(stream), taken).await.map_err(io::Error::other);
        };
        let name = ServerName::try_from(self.host.to_string()).map_err(io::Error::other)?;
        let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?;
        Connection::begin(Socket::Tls(Box::new(stream.into())), taken).await.map_err(io::Error::other)
    }
}
