//! The protective headers on every answer, refusals included.
//!
//! 1. They are put together once; applying them costs only the inserts.
//! 2. A page may set its own `Content-Security-Policy` and `Cache-Control`; whatever else an answer carries under
//!    these names is replaced.
//! 3. `Strict-Transport-Security` is sent over TLS alone, ours or a trusted proxy's: over plain HTTP a browser
//!    ignores it, and anybody on the way could have put it there.
//! 4. `X-XSS-Protection: 0` switches the old filter off: it could be turned against the page it guards.

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS, X_XSS_PROTECTION,
};
use http::{HeaderMap, HeaderValue};

/// One protective header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// `X-Content-Type-Options`
    ContentTypeOptions,
    /// `X-Frame-Options`
    FrameOptions,
    /// `X-XSS-Protection`
    XssProtection,
    /// `Content-Security-Policy`
    ContentSecurityPolicy,
    /// `Referrer-Policy`
    ReferrerPolicy,
    /// `Permissions-Policy`
    PermissionsPolicy,
    /// `Cross-Origin-Opener-Policy`
    OpenerPolicy,
    /// `Cross-Origin-Resource-Policy`
    ResourcePolicy,
    /// `Cache-Control`
    CacheControl,
    /// `Strict-Transport-Security`
    StrictTransportSecurity,
}

impl Protection {
    /// Every protection.
    pub const ALL: [Self; 10] = [
        Self::ContentTypeOptions,
        Self::FrameOptions,
        Self::XssProtection,
        Self::ContentSecurityPolicy,
        Self::ReferrerPolicy,
        Self::PermissionsPolicy,
        Self::OpenerPolicy,
        Self::ResourcePolicy,
        Self::CacheControl,
        Self::StrictTransportSecurity,
    ];

    /// The header, and its value unless configured otherwise.
    pub const fn row(self) -> (HeaderName, &'static str) {
        match self {
            Self::ContentTypeOptions => (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            Self::FrameOptions => (X_FRAME_OPTIONS, "DENY"),
            Self::XssProtection => (X_XSS_PROTECTION, "0"),
            Self::ContentSecurityPolicy => (CONTENT_SECURITY_POLICY, NO_CONTENT),
            Self::ReferrerPolicy => (REFERRER_POLICY, "no-referrer"),
            Self::PermissionsPolicy => (HeaderName::from_static("permissions-policy"), NO_DEVICES),
            Self::OpenerPolicy => (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
            Self::ResourcePolicy => (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
            Self::CacheControl => (CACHE_CONTROL, "no-store"),
            Self::StrictTransportSecurity => (STRICT_TRANSPORT_SECURITY, "max-age=31536000; includeSubDomains"),
        }
    }

    /// Whether a page may say it better than the configuration.
    const fn yields_to_the_page(self) -> bool {
        matches!(self, Self::ContentSecurityPolicy | Self::CacheControl)
    }
}

/// The headers of one gateway, ready to be inserted.
#[derive(Debug, Clone)]
pub struct SecurityHeaders {
    always: Vec<(HeaderName, HeaderValue)>,
    unless_set: Vec<(HeaderName, HeaderValue)>,
    over_tls: Option<HeaderValue>,
}

impl Default for SecurityHeaders {
    fn default() -> Self {
        let mut headers = Self { always: Vec::new(), unless_set: Vec::new(), over_tls: None };
        for protection in Protection::ALL {
            headers.place(protection, Some(HeaderValue::from_static(protection.row().1)));
        }
        headers
    }
}

impl SecurityHeaders {
    /// Replaces a value, or with `None` leaves the header out. The error says what is wrong with the value.
    pub fn set(&mut self, protection: Protection, value: Option<&str>) -> Result<(), String> {
        let value = value.map(HeaderValue::from_str).transpose();
        let value = value.map_err(|_| format!("{} cannot hold this value: write visible ASCII", protection.row().0))?;
        self.place(protection, value);
        Ok(())
    }

    /// Adds the headers to an answer; `secure` says whether the client came over TLS.
    pub fn apply(&self, answer: &mut HeaderMap, secure: bool) {
        answer.reserve(self.always.len() + self.unless_set.len() + 1);
        for (name, value) in &self.always {
            answer.insert(name, value.clone());
        }
        for (name, value) in &self.unless_set {
            answer.entry(name).or_insert_with(|| value.clone());
        }
        if let Some(value) = self.over_tls.as_ref().filter(|_| secure) {
            answer.insert(STRICT_TRANSPORT_SECURITY, value.clone());
        }
    }

    fn place(&mut self, protection: Protection, value: Option<HeaderValue>) {
        if protection == Protection::StrictTransportSecurity {
            self.over_tls = value;
            return;
        }
        let list = if protection.yields_to_the_page() { &mut self.unless_set } else { &mut self.always };
        let name = protection.row().0;
        list.retain(|(present, _)| *present != name);
        list.extend(value.map(|value| (name, value)));
    }
}

/// The policy of a page of ours: no script at all; style sheets of its own or, with hashes, exactly these styles.
///
/// A hash is the base64 form of a style's SHA-256, with or without the `sha256-` in front.
pub fn page_policy(style_hashes: &[&str]) -> Result<HeaderValue, String> {
    let mut styles = String::new();
    for hash in style_hashes {
        let digest = hash.strip_prefix("sha256-").unwrap_or(hash);
        let base64 = digest.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='));
        if digest.len() != 44 || !base64 {
            return Err(format!("{hash:?} is not the base64 form of a SHA-256"));
        }
        styles.push_str(" 'sha256-");
        styles.push_str(digest);
        styles.push('\'');
    }
    if styles.is_empty() {
        styles.push_str(" 'self'");
    }
    let policy = format!("default-src 'none'; style-src{styles}; {NO_FRAME}");
    HeaderValue::from_str(&policy).map_err(|_| "the policy cannot stand in a header".to_owned())
}

/// What an answer that is no page may do in a browser.
const NO_CONTENT: &str = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
const NO_FRAME: &str = "frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
const NO_DEVICES: &str = "accelerometer=(), camera=(), display-capture=(), fullscreen=(), geolocation=(), \
                          gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), usb=(), \
                          xr-spatial-tracking=()";

#[cfg(test)]
mod tests;
