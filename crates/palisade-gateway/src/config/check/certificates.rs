//! `[[auth.certificates]]`: whose certificates are whose.

use std::collections::BTreeSet;
use std::sync::Arc;

use palisade_guard::authenticate::{CertificateRule, Wanted};

use super::{Check, grant, keys};
use crate::config::raw::{self, ClientAuth};

/// Every rule, in order.
pub(super) fn all(raw: &raw::File, servers: &[Arc<str>], check: &mut Check<'_>) -> Vec<CertificateRule> {
    let asked = raw.listen.tls.as_ref().is_some_and(|tls| tls.client_auth != ClientAuth::Off);
    if !asked && !raw.auth.certificates.is_empty() {
        let problem = "is there, and no client is asked for a certificate";
        check.fault("auth.certificates[0]", problem, "add [listen.tls] with client_auth and client_ca");
    }
    let mut names = BTreeSet::new();
    let rules = raw.auth.certificates.iter().enumerate().map(|(index, raw)| {
        let at = format!("auth.certificates[{index}]");
        if !keys::is_name(&raw.name) {
            let problem = format!("{:?} is not a name for a holder", raw.name);
            check.fault(&format!("{at}.name"), problem, keys::NAME_CURE);
        } else if !names.insert(raw.name.as_str()) {
            check.fault(&format!("{at}.name"), format!("two rules are called {}", raw.name), "give each its own name");
        }
        CertificateRule {
            id: Arc::from(format!("certificate:{}", raw.name)),
            wants: wanted(&at, raw, check),
            grant: Arc::new(grant::read(&at, &grant::Rights::from(raw), servers, check)),
        }
    });
    rules.collect()
}

/// How a text becomes what is wanted.
type Read = fn(&str) -> Option<Wanted>;

fn wanted(at: &str, raw: &raw::Certificate, check: &mut Check<'_>) -> Vec<Wanted> {
    const DNS: &str = "write a name like \"agent.example.com\" or \"*.example.com\"";
    const URI: &str = "write one like \"spiffe://example.com/agent\" or \"spiffe://example.com/agents/*\"";
    const EMAIL: &str = "write one like \"agent@example.com\" or \"*@example.com\"";
    const SUBJECT: &str = "write what `openssl x509 -noout -subject -nameopt RFC2253` prints";
    let subject: Read = |text| text.contains('=').then(|| Wanted::Subject(text.into()));
    let given: [(&str, &Option<String>, Read, &str); 4] = [
        ("san_dns", &raw.san_dns, Wanted::dns, DNS),
        ("san_uri", &raw.san_uri, Wanted::uri, URI),
        ("san_email", &raw.san_email, Wanted::email, EMAIL),
        ("subject", &raw.subject, subject, SUBJECT),
    ];
    let mut wants = Vec::new();
    for (name, text, read, cure) in given {
        let Some(text) = text else { continue };
        match read(text) {
            Some(wanted) => wants.push(wanted),
            None => check.fault(&format!("{at}.{name}"), format!("{text:?} cannot be matched"), cure),
        }
    }
    if raw.san_dns.is_none() && raw.san_uri.is_none() && raw.san_email.is_none() && raw.subject.is_none() {
        check.fault(at, "fits no certificate", "add san_dns, san_uri, san_email or subject");
    }
    wants
}
