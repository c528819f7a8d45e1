//! The HTTP listener: accepts, bounds what a connection may take, and hands every request to the pipeline.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::current::Current;
use crate::pipeline;

/// A request as it came off the wire.
pub(crate) struct Arrival {
    /// Method, target and headers.
    pub(crate) head: http::request::Parts,
    /// The body, unread.
    pub(crate) body: Incoming,
    /// Who is at the other end of the socket.
    pub(crate) peer: SocketAddr,
}

/// Accepts connections until told to stop.
pub(crate) async fn serve(listener: TcpListener, current: Current, stop: CancellationToken, tasks: TaskTracker) {
    let places = Arc::new(Semaphore::new(current.snapshot().max_connections));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (current, stop) = (current.clone(), stop.clone());
                tasks.spawn(async move {
                    connection(stream, peer, current, stop).await;
                    drop(place);
                });
            }
            // Out of descriptors, most likely: accepting again at once would spin.
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, current: Current, stop: CancellationToken) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection ended before it began");
        return;
    }
    let gate = current.snapshot();
    let mut builder = http1::Builder::new();
    builder
        // Without a timer the header timeout is never armed, and slow headers hold connections for ever.
        .timer(TokioTimer::new())
        .header_read_timeout(gate.timeouts.header)
        .max_buf_size(gate.header_bytes.max(8192))
        .max_headers(100)
        .half_close(false);
    drop(gate);
    let service = service_fn(move |request: Request<Incoming>| {
        let current = current.clone();
        async move {
            let (head, body) = request.into_parts();
            Ok::<_, Infallible>(pipeline::answer(&current, Arrival { head, body, peer }).await)
        }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
