//! Requests to a server that wants a login. They are sent again with what the login gave: a 401, or a 403 for want of a
//! scope, proves that the call was not run.

use std::pin::Pin;
use std::sync::Arc;

use tokio::time::Instant;

use super::request::Request;
use super::{HttpUpstream, Sent};
use crate::login::{Login, demand};

/// How often one request is sent: with the token that there is, with a refreshed one, after a login, after another for more
/// scopes.
const TRIES: usize = 4;

/// A request on its way.
type Sending<'r> = Pin<Box<dyn Future<Output = Sent> + Send + 'r>>;

impl HttpUpstream {
    /// Sends a call as whoever is logged in; where nobody need be, just so.
    pub(super) async fn sent_known(&self, request: Request) -> Sent {
        match &self.login {
            None => self.sent(&request).await,
            Some(login) => Box::pin(self.sent_by(login, request, Self::sent)).await,
        }
    }

    /// The same for a question of our own.
    pub(super) async fn sent_own(&self, request: Request) -> Sent {
        match &self.login {
            None => self.pool.send(&request, Instant::now()).await,
            Some(login) => Box::pin(self.sent_by(login, request, Self::sent_once)).await,
        }
    }

    fn sent_once<'r>(&'r self, request: &'r Request) -> Sending<'r> {
        Box::pin(self.pool.send(request, Instant::now()))
    }

    async fn sent_by(
        &self,
        login: &Arc<Login>,
        request: Request,
        send: for<'r> fn(&'r Self, &'r Request) -> Sending<'r>,
    ) -> Sent {
        let mut tries = 1;
        loop {
            let bearer = login.bearer().await;
            let known = bearer.value.as_ref().map(|value| request.authorized(value));
            let (head, connection) = send(self, known.as_ref().unwrap_or(&request)).await?;
            match demand(head.status, head.challenge.as_deref()) {
                Some(demand) if tries < TRIES => login.satisfy(&bearer, demand).await?,
                Some(_) => return Ok((head, connection)),
                None => {
                    login.took(&bearer);
                    return Ok((head, connection));
                }
            }
            tries += 1;
        }
    }
}
