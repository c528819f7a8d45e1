//! TLS on the listener: files read, keys held against certificates, lists against authorities, before anybody connects.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use palisade_guard::certificate::Certificate;
use rustls::RootCertStore;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::CertifiedKey;

use super::{Check, keys};
use crate::config::checked::Tls;
use crate::config::raw::{self, ClientAuth};
use crate::config::seen::Seen;
use crate::time;
use crate::transport::tls::Clients;

/// What the listener does with TLS; `None` without `[listen.tls]`, and with a fault.
pub(super) fn read(raw: &raw::Listen, notes: &mut Vec<String>, check: &mut Check<'_>) -> Option<Tls> {
    // There is no listener at standard input.
    let raw = raw.tls.as_ref().filter(|_| !check.flags.stdio)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let own = own(raw, &provider, notes, check);
    let clients = clients(raw, &provider, check);
    let (own, clients) = (own?, clients.ok()?);
    match Tls::new(own, clients, provider) {
        Ok(tls) => Some(tls),
        Err(error) => {
            check.fault("listen.tls", format!("cannot be used ({error})"), "check the certificate");
            None
        }
    }
}

/// Our own certificate and its key.
fn own(
    raw: &raw::Tls,
    provider: &CryptoProvider,
    notes: &mut Vec<String>,
    check: &mut Check<'_>,
) -> Option<CertifiedKey> {
    let chain = chain(raw, notes, check);
    let key = key(raw, check);
    let (chain, key) = (chain?, key?);
    match CertifiedKey::from_der(chain, key, provider) {
        Ok(own) => Some(own),
        Err(rustls::Error::InconsistentKeys(_)) => {
            check.fault("listen.tls.key", "does not fit the certificate", "name the key that the certificate is for");
            None
        }
        Err(error) => {
            check.fault("listen.tls.key", format!("cannot be used ({error})"), "make an ECDSA P-256 or RSA 2048 key");
            None
        }
    }
}

fn chain(raw: &raw::Tls, notes: &mut Vec<String>, check: &mut Check<'_>) -> Option<Vec<CertificateDer<'static>>> {
    const AT: &str = "listen.tls.cert";
    let chain: Vec<CertificateDer<'_>> = listed(AT, raw.cert.as_deref(), "certificate", check)?;
    let Some(own) = chain.first().and_then(|own| Certificate::read(own)) else {
        check.fault(AT, "holds a certificate that cannot be read", "have it issued anew");
        return None;
    };
    let now = time::now().unix_ms / 1000;
    if own.not_after < now {
        let (problem, cure) = ("has expired", "have it renewed");
        if check.strict {
            check.fault(AT, problem, cure);
            return None;
        }
        notes.push(format!("{AT} {problem}: clients will not believe it; {cure}"));
    } else if own.not_before > now {
        notes.push(format!("{AT} is not good yet: clients will not believe it"));
    }
    Some(chain)
}

fn key(raw: &raw::Tls, check: &mut Check<'_>) -> Option<PrivateKeyDer<'static>> {
    const AT: &str = "listen.tls.key";
    let path = given(AT, raw.key.as_deref(), check)?;
    let text = keys::from_file(AT, &check.path(AT, path), check)?;
    let key = PrivateKeyDer::from_pem_slice(text.reveal().as_bytes()).ok();
    if key.is_none() {
        check.fault(AT, "holds no private key in PEM", "name the file that begins with -----BEGIN PRIVATE KEY-----");
    }
    key
}

/// The fault was said.
struct Faulty;

/// How clients are verified, where they are.
fn clients(raw: &raw::Tls, provider: &Arc<CryptoProvider>, check: &mut Check<'_>) -> Result<Option<Clients>, Faulty> {
    const AT: &str = "listen.tls.client_ca";
    if raw.client_auth == ClientAuth::Off {
        for (name, value) in [("client_ca", &raw.client_ca), ("crl", &raw.crl)] {
            if value.is_some() {
                let problem = "is there, and client_auth is \"off\"";
                check.fault(&format!("listen.tls.{name}"), problem, "set client_auth to \"optional\" or \"required\"");
            }
        }
        return Ok(None);
    }
    let authorities: Option<Vec<CertificateDer<'_>>> = listed(AT, raw.client_ca.as_deref(), "certificate", check);
    let lists = match raw.crl.as_deref() {
        Some(path) => lists(path, check),
        None => Some(Vec::new()),
    };
    let (authorities, lists) = (authorities.ok_or(Faulty)?, lists.ok_or(Faulty)?);
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        if let Err(error) = roots.add(authority) {
            check.fault(AT, format!("holds a certificate that cannot be used ({error})"), "remove it");
            return Err(Faulty);
        }
    }
    let mut verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    if !lists.is_empty() {
        verifier = verifier.with_crls(lists).enforce_revocation_expiration();
    }
    let required = raw.client_auth == ClientAuth::Required;
    if !required {
        verifier = verifier.allow_unauthenticated();
    }
    match verifier.build() {
        Ok(verifier) => Ok(Some(Clients { verifier, required })),
        Err(error) => {
            check.fault("listen.tls.crl", format!("cannot be used ({error})"), "name a file of version 2 lists in PEM");
            Err(Faulty)
        }
    }
}

fn lists(path: &str, check: &mut Check<'_>) -> Option<Vec<CertificateRevocationListDer<'static>>> {
    listed("listen.tls.crl", Some(path), "list of revocations", check)
}

/// The setting's value, which must be there.
fn given<'r>(setting: &str, value: Option<&'r str>, check: &mut Check<'_>) -> Option<&'r str> {
    if value.is_none() {
        let place = check.layered.place("listen.tls");
        check.missing(setting, place, "is missing", "name a file in PEM");
    }
    value
}

/// Everything of one kind in a file: at least one.
fn listed<T: PemObject>(setting: &str, path: Option<&str>, kind: &str, check: &mut Check<'_>) -> Option<Vec<T>> {
    let path = given(setting, path, check)?;
    let path = check.path(setting, path);
    let shown = path.display();
    let faulty = |problem: String, check: &mut Check<'_>| {
        check.fault(setting, problem, "name a file in PEM that can be read");
        None
    };
    let bytes = match bounded(&path, check) {
        Ok(bytes) => bytes,
        Err(error) => return faulty(format!("{shown} cannot be read ({error})"), check),
    };
    match T::pem_slice_iter(&bytes).collect::<Result<Vec<T>, _>>() {
        Ok(all) if all.is_empty() => faulty(format!("{shown} holds no {kind}"), check),
        Ok(all) => Some(all),
        Err(error) => faulty(format!("{shown} is not PEM ({})", plain(&error)), check),
    }
}

fn plain(error: &impl Display) -> String {
    error.to_string()
}

fn bounded(path: &Path, check: &mut Check<'_>) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    check.files.push(Seen::now(path));
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if u64::try_from(read).is_ok_and(|read| read > LARGEST) {
        return Err(std::io::Error::other("it is larger than 16 MiB"));
    }
    Ok(bytes)
}

/// Bytes of a file: a list of revocations can be long.
const LARGEST: u64 = 16 << 20;
