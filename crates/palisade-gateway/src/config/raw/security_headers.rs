//! The mirror of `[listen.security_headers]`.

use palisade_guard::edge::security_headers::Protection;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The protective headers on every answer: a value of your own, or `"off"`. Each has a safe value without you.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct SecurityHeaders {
    /// `X-Content-Type-Options`
    pub(in crate::config) content_type_options: String,
    /// `X-Frame-Options`
    pub(in crate::config) frame_options: String,
    /// `X-XSS-Protection`: the filter it would switch on is unsafe itself.
    pub(in crate::config) xss_protection: String,
    /// `Content-Security-Policy`
    pub(in crate::config) content_security_policy: String,
    /// `Referrer-Policy`
    pub(in crate::config) referrer_policy: String,
    /// `Permissions-Policy`
    pub(in crate::config) permissions_policy: String,
    /// `Cross-Origin-Opener-Policy`
    pub(in crate::config) opener_policy: String,
    /// `Cross-Origin-Resource-Policy`
    pub(in crate::config) resource_policy: String,
    /// `Cache-Control`
    pub(in crate::config) cache_control: String,
    /// `Strict-Transport-Security`, sent over TLS only.
    pub(in crate::config) strict_transport_security: String,
}

impl Default for SecurityHeaders {
    fn default() -> Self {
        let value = |protection: Protection| protection.row().1.to_owned();
        Self {
            content_type_options: value(Protection::ContentTypeOptions),
            frame_options: value(Protection::FrameOptions),
            xss_protection: value(Protection::XssProtection),
            content_security_policy: value(Protection::ContentSecurityPolicy),
            referrer_policy: value(Protection::ReferrerPolicy),
            permissions_policy: value(Protection::PermissionsPolicy),
            opener_policy: value(Protection::OpenerPolicy),
            resource_policy: value(Protection::ResourcePolicy),
            cache_control: value(Protection::CacheControl),
            strict_transport_security: value(Protection::StrictTransportSecurity),
        }
    }
}
