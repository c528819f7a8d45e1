//! Streamable HTTP for a demo server: an accept loop around rmcp's own service.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::sleep,
};

use crate::server::Server;

type Mcp = StreamableHttpService<Server, LocalSessionManager>;

/// Accepts connections until dropped; its connections end with it.
pub(crate) async fn serve(server: Server, listener: TcpListener) -> io::Result<()> {
    let mcp = mcp_service(server, listener.local_addr()?);
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return Err(io::Error::other("the connection counter was closed"));
        };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most often: trying again at once would only burn the processor.
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // Forget the ones that have ended, so that the set holds open connections only.
        while connections.try_join_next().is_some() {}
        let mcp = mcp.clone();
        connections.spawn(async move {
            serve_connection(mcp, stream).await;
            drop(place);
        });
    }
}

fn mcp_service(server: Server, address: SocketAddr) -> Mcp {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned(), address.ip().to_string()];
    let config = StreamableHttpServerConfig::default().with_allowed_hosts(names).enforce_origin_validation();
    StreamableHttpService::new(move || Ok(server.clone()), Arc::new(LocalSessionManager::default()), config)
}

async fn serve_connection(mcp: Mcp, stream: TcpStream) {
    // Answers are small and whole; waiting to fill a packet would only delay them.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let mcp = mcp.clone();
        async move { Ok::<_, Infallible>(answer(&mcp, request).await) }
    });
    // Hyper's limit on the time to send a header needs a timer, or there is none.
    let connection = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    // A client that breaks off is its own concern.
    let _ = connection.await;
}

async fn answer(mcp: &Mcp, request: Request<Incoming>) -> Response<BoxBody<Bytes, Infallible>> {
    if request.uri().path() == "/mcp" {
        return mcp.handle(request).await;
    }
    let mut response = Response::new(Full::new(Bytes::from_static(b"the endpoint is /mcp\n")).boxed());
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

const MOST_CONNECTIONS: usize = 1_024;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
