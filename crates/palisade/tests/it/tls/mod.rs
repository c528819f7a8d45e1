//! TLS on the listener: an authority of the tests, a gateway with a certificate of it, and clients with theirs.

mod abuse;
mod certificates;
mod closed;
mod frames;
mod http2;
mod listener;
mod official;

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::gate::{Answer, Gate, KEY, palisade, write_private};
use crate::reload::settings;

pub(crate) type Tls = StreamOwned<ClientConnection, TcpStream>;

/// Who issues certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

/// A certificate and its key.
pub(crate) struct Issued {
    pub(crate) pem: String,
    pub(crate) key: String,
    serial: u64,
}

/// What a certificate is for.
#[derive(Default)]
pub(crate) struct Of<'a> {
    pub(crate) serial: u64,
    pub(crate) dns: &'a [&'a str],
    pub(crate) uri: Option<&'a str>,
    pub(crate) name: Option<&'a str>,
    /// Seconds from now; a long time without it.
    pub(crate) lasts: Option<i64>,
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    since.as_secs().try_into().unwrap()
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    pub(crate) fn issue(&self, of: &Of<'_>) -> Issued {
        let names: Vec<String> = of.dns.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.serial_number = Some(SerialNumber::from(of.serial));
        if let Some(uri) = of.uri {
            params.subject_alt_names.push(SanType::URI(Ia5String::try_from(uri).unwrap()));
        }
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Example");
        params.distinguished_name.push(DnType::CommonName, of.name.unwrap_or("agent"));
        if let Some(lasts) = of.lasts {
            let end = u64::try_from(now() + lasts).unwrap();
            params.not_after = date_time_ymd(1970, 1, 1) + Duration::from_secs(end);
        }
        let key = KeyPair::generate().unwrap();
        let pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        Issued { pem, key: key.serialize_pem(), serial: of.serial }
    }

    /// A certificate for the gateways of the tests.
    pub(crate) fn server(&self) -> Issued {
        self.issue(&Of { serial: 1, dns: &["localhost", "127.0.0.1"], ..Of::default() })
    }

    /// The list of certificates that are revoked.
    pub(crate) fn revokes(&self, revoked: &[&Issued]) -> String {
        let revoked = revoked.iter().map(|issued| RevokedCertParams {
            serial_number: SerialNumber::from(issued.serial),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(2100, 1, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

/// Files of a gateway that speaks TLS.
pub(crate) struct Site<'a> {
    pub(crate) server: &'a Issued,
    /// Beside them: name and text.
    pub(crate) files: &'a [(&'a str, &'a str)],
    /// Lines of `[listen.tls]` beside certificate and key.
    pub(crate) tls: &'a str,
    /// Whole tables.
    pub(crate) more: &'a str,
    /// The server `one`.
    pub(crate) upstream: &'a str,
    /// Lines of `[limits]` and what follows.
    pub(crate) limits: &'a str,
}

impl Site<'_> {
    pub(crate) fn text(&self) -> String {
        let Self { tls, more, upstream, limits, .. } = self;
        let mut text = settings(&[("test", KEY)], &[("one", upstream)], limits);
        write!(text, "\n[listen.tls]\ncert = \"server.pem\"\nkey = \"server.key\"\n{tls}\n{more}\n").unwrap();
        text
    }

    pub(crate) fn start(&self) -> Gate {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "server.pem", &self.server.pem);
        put(dir.path(), "server.key", &self.server.key);
        for (name, text) in self.files {
            put(dir.path(), name, text);
        }
        let file = dir.path().join("palisade.toml");
        write_private(&file, &self.text().replace("DIR", &dir.path().display().to_string()));
        let mut line = palisade();
        line.arg("run").arg("--config").arg(file);
        Gate::start(line, dir)
    }
}

/// Puts a file in the place of another, as whoever renews certificates does.
pub(crate) fn put(dir: &Path, name: &str, text: &str) {
    let next = dir.join(format!("{name}.next"));
    write_private(&next, text);
    std::fs::rename(next, dir.join(name)).unwrap();
}

/// A client's settings: whom it believes, what it shows, what it speaks.
pub(crate) fn client(authority: &Authority, own: Option<&Issued>, alpn: &[&[u8]]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let chain = vec![CertificateDer::from_pem_slice(own.pem.as_bytes()).unwrap()];
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap()).unwrap()
        }
    };
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

impl Gate {
    /// A TLS connection; what the client's side of the handshake found wrong.
    pub(crate) fn secure(&self, config: &Arc<ClientConfig>) -> io::Result<Tls> {
        let name = ServerName::try_from("localhost").unwrap();
        let session = ClientConnection::new(Arc::clone(config), name).unwrap();
        let mut stream = StreamOwned::new(session, self.connect());
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(stream)
    }

    /// One request on a new TLS connection; `None` where the gateway ends it without an answer.
    pub(crate) fn ask(&self, config: &Arc<ClientConfig>, request: &[u8]) -> Option<Answer> {
        let mut stream = self.secure(config).ok()?;
        // A certificate that is refused is heard of after the handshake.
        ask_on(&mut stream, request)
    }

    /// A command that runs curl against this gateway, with this file of authorities in its folder.
    pub(crate) fn curl(&self, words: &[&str]) -> Command {
        let mut curl = Command::new("curl");
        curl.current_dir(self.dir.path()).args(["-sS", "--max-time", "30", "--cacert", "ca.pem"]).args(words);
        curl
    }

    pub(crate) fn https(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }
}

/// One request on a connection that is kept.
pub(crate) fn ask_on(stream: &mut Tls, request: &[u8]) -> Option<Answer> {
    stream.write_all(request).ok()?;
    stream.flush().ok()?;
    let mut bytes = Vec::new();
    let mut chunk = [0; 8192];
    loop {
        if let Some(answer) = Answer::parse(&bytes, false) {
            return Some(answer);
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return Answer::parse(&bytes, true),
            Ok(read) => bytes.extend_from_slice(&chunk[..read]),
        }
    }
}

/// Without any credential in the headers.
pub(crate) const NO_KEY: &[(&str, &str)] = &[("Authorization", "")];
