//! Client certificates: which of them is whom.
//!
//! 1. Only a certificate whose chain was verified by TLS comes here, as facts. What a header says of one is never read.
//! 2. Rules are asked in the order in which they stand; the first that fits says who it is. A rule that names several
//!    things wants all of them.
//! 3. A certificate that fits no rule is no credential.
//! 4. Who is known by a certificate brings nothing else: a key beside it is a second identity.

use std::sync::Arc;

use super::{Principal, Proof};
use crate::certificate::Certificate;
use crate::grant::Grant;

/// Who holds certificates of some kind.
#[derive(Debug)]
pub struct CertificateRule {
    /// The principal.
    pub id: Arc<str>,
    /// What must be in the certificate; never empty.
    pub wants: Vec<Wanted>,
    /// What its holder may do.
    pub grant: Arc<Grant>,
}

/// What a certificate must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// This host name.
    Dns(Box<str>),
    /// Any name one label below this one, which begins with its dot.
    DnsBelow(Box<str>),
    /// This URI.
    Uri(Box<str>),
    /// Any URI below this one, which ends in a slash.
    UriBelow(Box<str>),
    /// This address of mail.
    Email(Box<str>),
    /// Any address at this domain, which begins with its `@`.
    EmailAt(Box<str>),
    /// This subject, as RFC 4514 writes it.
    Subject(Box<str>),
}

impl Wanted {
    /// Reads a host name, or `*.` and a host name.
    pub fn dns(text: &str) -> Option<Self> {
        let below = text.strip_prefix('*');
        let name = below.map_or(Some(text), |below| below.strip_prefix('.'))?;
        let labels = name.split('.');
        let is_name = labels.clone().count() > usize::from(below.is_some()) && labels.clone().all(is_label);
        let kept = below.unwrap_or(text).to_ascii_lowercase().into();
        is_name.then(|| if below.is_some() { Self::DnsBelow(kept) } else { Self::Dns(kept) })
    }

    /// Reads a URI, which may end in `/*`.
    pub fn uri(text: &str) -> Option<Self> {
        let (above, is_below) = text.strip_suffix('*').map_or((text, false), |above| (above, true));
        let (scheme, rest) = above.split_once("://")?;
        let is_uri = !scheme.is_empty() && !rest.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        // One that begins where a name ends would take the names of others that begin alike.
        let ends_well = !is_below || rest.ends_with('/') && rest.len() > 1;
        let kept = above.into();
        (is_uri && ends_well && !above.contains('*')).then_some(if is_below {
            Self::UriBelow(kept)
        } else {
            Self::Uri(kept)
        })
    }

    /// Reads an address of mail, or `*@` and a domain.
    pub fn email(text: &str) -> Option<Self> {
        let (local, domain) = text.split_once('@')?;
        let is_domain = domain.split('.').all(is_label);
        let is_local = !local.is_empty() && local.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'*');
        match local {
            "*" if is_domain => Some(Self::EmailAt(format!("@{domain}").into())),
            _ if is_domain && is_local => Some(Self::Email(text.into())),
            _ => None,
        }
    }

    fn is_in(&self, certificate: &Certificate) -> bool {
        match self {
            Self::Dns(name) => certificate.dns.iter().any(|one| one.eq_ignore_ascii_case(name)),
            Self::DnsBelow(end) => certificate.dns.iter().any(|one| {
                let cut = one.len().saturating_sub(end.len());
                let ends = one.split_at_checked(cut).filter(|(_, rest)| rest.eq_ignore_ascii_case(end));
                ends.is_some_and(|(label, _)| is_label(label))
            }),
            Self::Uri(uri) => certificate.uris.contains(uri),
            Self::UriBelow(above) => certificate.uris.iter().any(|one| {
                let below = one.strip_prefix(&**above);
                below.is_some_and(|below| below.split('/').all(is_segment))
            }),
            Self::Email(address) => certificate.emails.iter().any(|one| same_address(one, address)),
            Self::EmailAt(domain) => certificate.emails.iter().any(|one| {
                one.find('@').and_then(|at| one.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case(domain))
            }),
            Self::Subject(subject) => certificate.subject.as_ref() == Some(subject),
        }
    }
}

fn is_label(label: &str) -> bool {
    !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// No way up, and nothing that must be decoded first.
fn is_segment(segment: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !matches!(segment, "" | "." | "..") && segment.bytes().all(plain)
}

/// The part before the `@` is its host's to judge; the host's name has no case.
fn same_address(one: &str, other: &str) -> bool {
    match (one.split_once('@'), other.split_once('@')) {
        (Some((one, at)), Some((other, there))) => one == other && at.eq_ignore_ascii_case(there),
        _ => false,
    }
}

/// Who holds this certificate, if a rule says so and it is good now.
pub(super) fn holder(rules: &[CertificateRule], certificate: &Arc<Certificate>, unix_ms: u64) -> Option<Principal> {
    let fits = |rule: &&CertificateRule| rule.wants.iter().all(|wanted| wanted.is_in(certificate));
    let rule = rules.iter().find(fits).filter(|_| certificate.is_valid_at(unix_ms))?;
    let proof = Proof::Certificate(Arc::clone(certificate));
    Some(Principal { id: Arc::clone(&rule.id), grant: Arc::clone(&rule.grant), proof })
}

#[cfg(test)]
mod tests {
    use super::{CertificateRule, Wanted, holder};
    use crate::certificate::Certificate;
    use std::sync::Arc;

    fn certificate(dns: &[&str], uris: &[&str], emails: &[&str]) -> Arc<Certificate> {
        let list = |names: &[&str]| names.iter().map(|&name| name.into()).collect();
        Arc::new(Certificate {
            fingerprint: [7; 32],
            not_before: 10,
            not_after: 20,
            subject: Some("CN=agent".into()),
            dns: list(dns),
            uris: list(uris),
            emails: list(emails),
        })
    }

    fn fits(wanted: Option<Wanted>, certificate: &Arc<Certificate>) -> bool {
        let rule =
            CertificateRule { id: Arc::from("certificate:a"), wants: vec![wanted.unwrap()], grant: Arc::default() };
        holder(&[rule], certificate, 15_000).is_some()
    }

    /// B9: a wildcard stands for one label, for what is below a path, for who is at a domain, and for nothing else.
    #[test]
    fn wildcards_take_what_they_say() {
        let dns = |rule: &str, name: &str| fits(Wanted::dns(rule), &certificate(&[name], &[], &[]));
        assert!(dns("a.example.com", "A.Example.com") && dns("*.example.com", "a.example.com"));
        for name in
            ["example.com", ".example.com", "a.b.example.com", "aexample.com", "*.example.com", "a.example.com.x"]
        {
            assert!(!dns("*.example.com", name), "{name}");
        }
        let uri = |rule: &str, name: &str| fits(Wanted::uri(rule), &certificate(&[], &[name], &[]));
        assert!(uri("spiffe://x.org/a", "spiffe://x.org/a") && uri("spiffe://x.org/a/*", "spiffe://x.org/a/b/c"));
        for name in [
            "spiffe://x.org/a",
            "spiffe://x.org/a/",
            "spiffe://x.org/ab",
            "spiffe://x.org/a/../b",
            "spiffe://x.org/a/%2e",
        ] {
            assert!(!uri("spiffe://x.org/a/*", name), "{name}");
        }
        let email = |rule: &str, name: &str| fits(Wanted::email(rule), &certificate(&[], &[], &[name]));
        assert!(email("a@x.org", "a@X.org") && email("*@x.org", "b@x.org"));
        assert!(!email("a@x.org", "A@x.org") && !email("*@x.org", "b@y.x.org") && !email("*@x.org", "b@evil@x.org"));
        assert!(fits(Some(Wanted::Subject("CN=agent".into())), &certificate(&[], &[], &[])));
        assert!(!fits(Some(Wanted::Subject("CN=agen".into())), &certificate(&[], &[], &[])));
    }

    /// B9: a rule that could mean more than it says is no rule.
    #[test]
    fn rules_are_read_strictly() {
        for text in ["*", "*.", "*com", "a..b", "", "a.*.com", "a b.com", "ex\u{e4}mple.com"] {
            assert_eq!(Wanted::dns(text), None, "{text}");
        }
        for text in ["*", "spiffe://*", "spiffe:///*", "spiffe://x.org/a*", "spiffe://x.org/*/b", "x.org/a", "://x"] {
            assert_eq!(Wanted::uri(text), None, "{text}");
        }
        for text in ["*", "@x.org", "a@", "a@*", "a*@x.org", "*@*.org", "a@b@c"] {
            assert_eq!(Wanted::email(text), None, "{text}");
        }
    }

    /// B9: the first rule that fits in full says who it is, while the certificate is good.
    #[test]
    fn the_first_rule_that_fits_in_full() {
        let rule =
            |name: &str, wants: Vec<Wanted>| CertificateRule { id: Arc::from(name), wants, grant: Arc::default() };
        let (dns, uri) = (Wanted::dns("*.example.com").unwrap(), Wanted::uri("spiffe://x.org/a").unwrap());
        let rules = [rule("both", vec![dns.clone(), uri.clone()]), rule("one", vec![uri])];
        let whose = |certificate, at| holder(&rules, &certificate, at).map(|principal| principal.id().to_string());
        let both = || certificate(&["a.example.com"], &["spiffe://x.org/a"], &[]);
        assert_eq!(whose(both(), 15_000).as_deref(), Some("both"));
        assert_eq!(whose(certificate(&[], &["spiffe://x.org/a"], &[]), 15_000).as_deref(), Some("one"));
        assert_eq!(whose(certificate(&["a.example.com"], &[], &[]), 15_000), None);
        assert_eq!((whose(both(), 9_999), whose(both(), 21_000)), (None, None));
    }
}
