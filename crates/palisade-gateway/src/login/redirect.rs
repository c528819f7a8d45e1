//! Our own address for the answer of an authorization server, while somebody logs in: 127.0.0.1, and nobody else's machine.
//!
//! Every program here, and every page in a browser, can call it. Whoever does not bear the login's own `state` is turned
//! away, and the login goes on.

use std::convert::Infallible;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, REFERRER_POLICY};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use palisade_guard::login::{Answer, Expected, answer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use zeroize::Zeroizing;

/// How long a person may take.
const PATIENCE: Duration = Duration::from_mins(5);
/// How long a call of our address may take, and how many there are at one time.
const VISIT: Duration = Duration::from_secs(5);
const VISITS: usize = 16;
/// The largest head of a call.
const HEAD: usize = 32 * 1024;
const PATH: &str = "/callback";

/// The address, open.
pub(super) struct Door {
    listener: TcpListener,
    port: u16,
    address: String,
}

/// What calls are judged by.
struct Wanted {
    state: String,
    issuer: String,
    says_who: bool,
    authority: String,
    tell: mpsc::Sender<Answer>,
}

impl Door {
    /// Opens it: where it was before, if it can, else at any port that is free.
    pub(super) async fn open(before: Option<u16>) -> io::Result<Self> {
        let bind = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        let listener = match bind(before.unwrap_or(0)).await {
            Err(_) if before.is_some() => bind(0).await?,
            bound => bound?,
        };
        let port = listener.local_addr()?.port();
        Ok(Self { listener, port, address: format!("http://127.0.0.1:{port}{PATH}") })
    }

    /// As the authorization server is told.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Its port.
    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    /// Waits for the code of the login that is expected.
    pub(super) async fn answer(self, expected: Expected<'_>) -> io::Result<Zeroizing<String>> {
        let (tell, mut heard) = mpsc::channel(1);
        let wanted = Arc::new(Wanted {
            state: expected.state.to_owned(),
            issuer: expected.issuer.to_owned(),
            says_who: expected.says_who,
            authority: format!("127.0.0.1:{}", self.port),
            tell,
        });
        let mut visits = JoinSet::new();
        let late = tokio::time::sleep(PATIENCE);
        tokio::pin!(late);
        let answer = loop {
            tokio::select! {
                Some(answer) = heard.recv() => break answer,
                accepted = self.listener.accept(), if visits.len() < VISITS => {
                    let (stream, _) = accepted?;
                    visits.spawn(visit(stream, Arc::clone(&wanted)));
                }
                Some(_) = visits.join_next(), if !visits.is_empty() => {}
                () = &mut late => return Err(io::Error::other("nobody logged in within five minutes")),
            }
        };
        drop(self.listener);
        // The page is on its way to whoever logged in.
        drop(tokio::time::timeout(VISIT, async { while visits.join_next().await.is_some() {} }).await);
        match answer {
            Answer::Code(code) => Ok(code),
            Answer::Refused(code) => Err(io::Error::other(format!("the authorization server refused: {code}"))),
            Answer::Mixed | Answer::Stranger => {
                Err(io::Error::other("another authorization server answered than the one that was asked"))
            }
        }
    }
}

/// One connection, one call.
async fn visit(stream: TcpStream, wanted: Arc<Wanted>) {
    let served = service_fn(move |request: Request<Incoming>| {
        let reply = page(&request, &wanted);
        async move { Ok::<_, Infallible>(reply) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(VISIT).keep_alive(false).max_buf_size(HEAD);
    // Whether they hear us is theirs to see.
    drop(tokio::time::timeout(VISIT, http.serve_connection(TokioIo::new(stream), served)).await);
}

/// Judges a call and tells of it.
fn page<B>(request: &Request<B>, wanted: &Wanted) -> Response<Full<Bytes>> {
    let is_ours = request.headers().get(HOST).is_some_and(|host| host.as_bytes() == wanted.authority.as_bytes());
    if request.method() != Method::GET || request.uri().path() != PATH || !is_ours {
        return html(StatusCode::NOT_FOUND, "There is nothing here.");
    }
    let expected = Expected { state: &wanted.state, issuer: &wanted.issuer, says_who: wanted.says_who };
    let answer = answer(request.uri().query().unwrap_or_default(), expected);
    let (status, text) = match &answer {
        Answer::Code(_) => (StatusCode::OK, "You are logged in. You can close this page."),
        Answer::Stranger => return html(StatusCode::BAD_REQUEST, "This is not the login that was begun here."),
        Answer::Refused(_) | Answer::Mixed => (StatusCode::BAD_REQUEST, "The login did not succeed."),
    };
    // The first answer counts; there is room for one.
    drop(wanted.tell.try_send(answer));
    html(status, text)
}

fn html(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let page = format!("<!doctype html><title>Palisade</title><p>{text}");
    let mut response = Response::new(Full::new(Bytes::from(page)));
    *response.status_mut() = status;
    for (name, value) in [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        // The code stands in the address.
        (REFERRER_POLICY, "no-referrer"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
