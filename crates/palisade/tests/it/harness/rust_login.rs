//! The login of the official Rust SDK, whose person at the browser is the authorization server's own page for tests.

use palisade_guard::login::encoded;
use rmcp::ServiceError;
use rmcp::transport::auth::{
    AuthClient, AuthError, AuthorizationCallback, AuthorizationManager, AuthorizationRequest, OAuthState,
};
use rmcp::transport::streamable_http_client::InsufficientScopeError;

use crate::gate::get;

const REDIRECT: &str = "http://127.0.0.1:9/callback";

/// A login that was made.
pub(super) struct Login {
    pub(super) client: AuthClient<reqwest::Client>,
    browser: String,
}

impl Login {
    /// Logs in as a server's challenge says.
    pub(super) async fn begin(url: &str, browser: &str, challenge: &str) -> Result<Self, AuthError> {
        let mut state = OAuthState::new(url, None).await?;
        let request = AuthorizationRequest::new(REDIRECT).with_application_type("native").with_challenge(challenge);
        state.start_authorization(request).await?;
        let last = browse(browser, &state.get_authorization_url().await?);
        state.handle_callback_url(&last).await?;
        let manager: AuthorizationManager = state.into_authorization_manager().unwrap();
        let client = AuthClient::new(reqwest::Client::new(), manager);
        Ok(Self { client, browser: browser.to_owned() })
    }

    /// Logs in once more for the scopes that an error names; false if it names none.
    pub(super) async fn upgraded(&self, error: &ServiceError) -> bool {
        let ServiceError::TransportSend(error) = error else { return false };
        let error: &(dyn std::error::Error + 'static) = error.error.as_ref();
        let mut causes = std::iter::successors(Some(error), |error| error.source());
        let missing = causes.find_map(|cause| cause.downcast_ref::<InsufficientScopeError>());
        let Some(scope) = missing.and_then(InsufficientScopeError::get_required_scope) else { return false };
        let manager = self.client.auth_manager.lock().await;
        let url = manager.request_scope_upgrade(scope).await.unwrap();
        let answer = AuthorizationCallback::from_redirect_url(&browse(&self.browser, &url)).unwrap();
        let AuthorizationCallback { code, csrf_token, issuer, .. } = answer;
        manager.exchange_code_for_token_with_issuer(&code, &csrf_token, issuer.as_deref()).await.unwrap();
        true
    }
}

/// Goes to an address as a browser does: where the last redirect leads.
fn browse(browser: &str, url: &str) -> String {
    get(&format!("{browser}?url={}", encoded(url.as_bytes())))
}
