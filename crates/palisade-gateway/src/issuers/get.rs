//! Asking an issuer, for its keys or for a token: one request, one bounded answer.
//!
//! No redirects, no proxies of the environment, no cookies; ten seconds, 128 KiB. The address that a name leads to is
//! judged, and then connected to.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, HOST, USER_AGENT};
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use palisade_guard::edge::destination::{self, Named};
use palisade_guard::host::{bare, is_here};
use palisade_guard::token::SET_BYTES;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::config as checked;
use crate::descriptors::Descriptors;
use crate::transport::collect::collect;
use crate::upstream::http::tls;

/// Asks one issuer.
pub(crate) struct Getter {
    tls: Arc<rustls::ClientConfig>,
    descriptors: Arc<Descriptors>,
    /// Hosts that the operator named.
    named: Vec<Box<str>>,
    /// Whether one of them is this machine: then others that it names may be here too.
    here: bool,
}

/// How long an answer may take, from looking up the name to its last byte.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

impl Getter {
    pub(super) fn new(settings: &checked::Issuer, descriptors: Arc<Descriptors>) -> io::Result<Self> {
        let issuer = settings.url.parse::<Uri>().ok();
        let keys = match &settings.keys {
            checked::KeySource::Url(url) => Some(url.clone()),
            _ => None,
        };
        let asked = settings.introspection.as_ref().map(|introspection| introspection.url.clone());
        let hosts = [issuer, keys, asked].into_iter().flatten();
        Self::for_hosts(hosts, settings.ca_file.as_deref(), descriptors)
    }

    /// One for these addresses, which a person named, and for others that their hosts name.
    pub(crate) fn for_hosts(
        named: impl Iterator<Item = Uri>,
        ca_file: Option<&Path>,
        descriptors: Arc<Descriptors>,
    ) -> io::Result<Self> {
        let named: Vec<Box<str>> = named.filter_map(|url| url.host().map(|host| bare(host).into())).collect();
        let here = named.iter().any(|host| is_here(host));
        Ok(Self { tls: tls::config(ca_file, None)?, descriptors, named, here })
    }

    /// The body of the answer to a request, if the answer is 200.
    pub(super) async fn answer(&self, request: Request<Full<Bytes>>) -> io::Result<Bytes> {
        match self.whole(request).await? {
            (StatusCode::OK, body) => Ok(body),
            (status, _) => Err(io::Error::other(format!("it answers {}", status.as_u16()))),
        }
    }

    /// The answer to a request, whatever it is.
    pub(crate) async fn whole(&self, request: Request<Full<Bytes>>) -> io::Result<(StatusCode, Bytes)> {
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no whole answer within ten seconds");
        tokio::time::timeout(PATIENCE, Box::pin(self.exchange(request))).await.unwrap_or_else(|over| Err(late(over)))
    }

    async fn exchange(&self, mut request: Request<Full<Bytes>>) -> io::Result<(StatusCode, Bytes)> {
        let url = request.uri().clone();
        let authority = url.authority().ok_or_else(|| io::Error::other("no host"))?.as_str().to_owned();
        let headers = request.headers_mut();
        headers.insert(HOST, HeaderValue::from_str(&authority).map_err(io::Error::other)?);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static("palisade"));
        *request.uri_mut() =
            url.path_and_query().map_or("/", |path| path.as_str()).parse().map_err(io::Error::other)?;
        let host = bare(url.host().unwrap_or_default()).to_owned();
        let Some(_taken) = self.descriptors.take_for_upstream() else {
            return Err(io::Error::other("no descriptor is left"));
        };
        let secure = url.scheme_str() == Some("https");
        let stream = self.connect(&host, url.port_u16().unwrap_or(if secure { 443 } else { 80 })).await?;
        if !secure {
            return send(TokioIo::new(stream), request).await;
        }
        let name = ServerName::try_from(host).map_err(io::Error::other)?;
        send(TokioIo::new(TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await?), request).await
    }

    /// A connection to the first address of a host that may be reached.
    async fn connect(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        let named = match self.named.iter().any(|named| **named == *host) {
            _ if self.here && is_here(host) => Named::Here,
            true => Named::ByOperator,
            false => Named::ByOthers,
        };
        let addresses = tokio::net::lookup_host((host, port)).await?;
        let may: Vec<SocketAddr> =
            addresses.filter(|address| destination::may_reach(address.ip(), named)).take(ADDRESSES).collect();
        let mut last = io::Error::other("the name leads to no address that may be reached");
        for address in may {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// Addresses of one name that are tried.
const ADDRESSES: usize = 4;

async fn send<T>(io: T, request: Request<Full<Bytes>>) -> io::Result<(StatusCode, Bytes)>
where
    T: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
{
    let handshake = http1::Builder::new().max_headers(64).max_buf_size(64 * 1024).handshake(io).await;
    let (mut sender, connection) = handshake.map_err(io::Error::other)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(io::Error::other)?;
        let status = response.status();
        let body = collect(response.into_body(), SET_BYTES).await;
        body.map(|body| (status, body)).map_err(|broken| io::Error::other(format!("{broken:?}")))
    };
    // Whoever waits drives the connection, and both end together.
    tokio::select! {
        answer = answer => answer,
        ended = connection => Err(io::Error::other(format!("the connection ended: {ended:?}"))),
    }
}
