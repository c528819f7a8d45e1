//! TLS on the listener: who we are, and which clients' certificates are believed.
//!
//! 1. A connection is made under the configuration in force when it came; so a renewed certificate counts for new ones.
//! 2. A client's certificate outlives neither its own end nor the list that revokes it: a connection that was made under
//!    an older configuration is verified again under the one in force before anything of it is done.
//! 3. Sessions that TLS resumes are kept for each configuration apart, so none is resumed that would not be made now.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use palisade_guard::certificate::Certificate;
use palisade_guard::clock::Moment;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How the listener speaks TLS.
pub struct Tls {
    number: u64,
    server: Arc<ServerConfig>,
    clients: Option<Clients>,
}

/// How clients' certificates are verified.
pub(crate) struct Clients {
    /// By whom.
    pub(crate) verifier: Arc<dyn ClientCertVerifier>,
    /// Whether each must have one.
    pub(crate) required: bool,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("number", &self.number).finish_non_exhaustive()
    }
}

/// What TLS found out about a connection.
pub(crate) struct Secured {
    shown: Option<Shown>,
}

/// A client's certificate, verified.
struct Shown {
    chain: Vec<CertificateDer<'static>>,
    certificate: Arc<Certificate>,
    /// The newest configuration under which it was verified.
    verified_by: AtomicU64,
}

/// Which is which, among the configurations of one process.
static NEXT: AtomicU64 = AtomicU64::new(1);
/// What TLS keeps of one connection's bytes on their way out. Small: the clock for slow readers sees none of it go.
const BUFFER: usize = 16 * 1024;
const HTTP_2: &[u8] = b"h2";
/// How every connection that speaks TLS begins.
const HANDSHAKE: u8 = 0x16;

impl Tls {
    /// TLS with this certificate; with `clients`, theirs are verified.
    pub(crate) fn new(
        own: CertifiedKey,
        clients: Option<Clients>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, rustls::Error> {
        let verifier = match &clients {
            Some(clients) => Arc::clone(&clients.verifier),
            None => WebPkiClientVerifier::no_client_auth(),
        };
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(own)));
        server.alpn_protocols = vec![HTTP_2.to_vec(), b"http/1.1".to_vec()];
        Ok(Self { number: NEXT.fetch_add(1, Ordering::Relaxed), server: Arc::new(server), clients })
    }

    /// Shakes hands, within the `patience`.
    pub(super) async fn accept(
        &self,
        stream: TcpStream,
        patience: Duration,
    ) -> io::Result<(TlsStream<TcpStream>, Secured)> {
        let shaken = tokio::time::timeout(patience, self.shake(stream)).await;
        let stream = shaken.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no handshake in time"))??;
        let chain = stream.get_ref().1.peer_certificates().map(<[_]>::to_vec).unwrap_or_default();
        let shown = match chain.first() {
            None => None,
            Some(own) => {
                let certificate =
                    Certificate::read(own).ok_or_else(|| io::Error::other("an unreadable certificate"))?;
                let verified_by = AtomicU64::new(self.number);
                Some(Shown { chain, certificate: Arc::new(certificate), verified_by })
            }
        };
        Ok((stream, Secured { shown }))
    }

    async fn shake(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let mut first = [0];
        // Whoever speaks HTTP here would not understand an alert.
        if stream.peek(&mut first).await? == 0 || first != [HANDSHAKE] {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "no TLS"));
        }
        let bounded = |server: &mut rustls::ServerConnection| server.set_buffer_limit(Some(BUFFER));
        TlsAcceptor::from(Arc::clone(&self.server)).accept_with(stream, bounded).await
    }

    /// Whether a connection would be made under this configuration too.
    pub(crate) fn admits(&self, secured: Option<&Secured>, now: Moment) -> bool {
        let Some(clients) = &self.clients else { return true };
        let Some(shown) = secured.and_then(|secured| secured.shown.as_ref()) else { return !clients.required };
        if !shown.certificate.is_valid_at(now.unix_ms) {
            return false;
        }
        if shown.verified_by.load(Ordering::Relaxed) == self.number {
            return true;
        }
        let Some((own, above)) = shown.chain.split_first() else { return false };
        let now = UnixTime::since_unix_epoch(Duration::from_millis(now.unix_ms));
        let is_good = clients.verifier.verify_client_cert(own, above, now).is_ok();
        if is_good {
            shown.verified_by.store(self.number, Ordering::Relaxed);
        }
        is_good
    }
}

impl Secured {
    /// The client's certificate, if it showed one.
    pub(crate) fn certificate(&self) -> Option<&Arc<Certificate>> {
        self.shown.as_ref().map(|shown| &shown.certificate)
    }
}

/// Whether the client chose HTTP/2.
pub(super) fn is_http2(stream: &TlsStream<TcpStream>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(HTTP_2)
}
