//! HTTP/2, for whoever chose it in the TLS handshake.
//!
//! hyper speaks it; here is what bounds a connection:
//!
//! 1. Memory: 100 streams, headers as in HTTP/1.1, 256 KiB of bodies that nobody has read yet, and of each answer no more
//!    beyond itself than a piece of 16 KiB.
//! 2. Work: [`super::frames`] has the price of what carries nothing; resets are bounded by hyper too.
//! 3. Time: a first request within `timeouts.header`, the next within `timeouts.connection_idle`, and an answer that the
//!    client does not take within `timeouts.write` ends the connection. Pings find out who is gone.
//!
//! Streams without an end of their own stay with hyper: they share the connection with others.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::frames::Metered;
use super::http::{Line, cut_off, ended_early};
use super::patient::Patient;
use super::socket::Socket;
use super::traffic::{Pieces, Traffic};
use crate::config::Timeouts;
use crate::counters::Cut;

/// Requests that are answered at one time on one connection.
const STREAMS: u32 = 100;
/// Bytes of a request's body that may come before they are read, of one stream and of all.
const STREAM_WINDOW: u32 = 64 * 1024;
const WINDOW: u32 = 256 * 1024;
/// Bytes of an answer that wait to be written, besides the last piece.
const SEND_BUFFER: usize = 16 * 1024;
/// Streams that were reset, by the client before we saw them and by us, and are still remembered.
const RESET: usize = 20;
/// For an answer to a ping.
const PONG: Duration = Duration::from_secs(20);

/// Runs hyper's streams, so that the end of the gateway can wait for them.
#[derive(Clone)]
struct Streams(TaskTracker);

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        self.0.spawn(stream);
    }
}

/// Serves a connection to its end.
pub(super) async fn serve(socket: Socket, line: Line, stop: CancellationToken, tasks: TaskTracker) {
    let (timeouts, header_bytes) = {
        let gate = line.current.snapshot();
        (gate.timeouts, gate.header_bytes)
    };
    let (flooded, traffic) = (Arc::<AtomicBool>::default(), Traffic::new());
    let socket = Patient::new(socket, timeouts.write, Arc::default(), http::HeaderMap::new);
    let io = TokioIo::new(Metered::new(socket, Arc::clone(&flooded)));
    let (answering, begun) = (line.clone(), Arc::clone(&traffic));
    let service = service_fn(move |request: Request<Incoming>| {
        let (line, exchange) = (answering.clone(), begun.begin());
        async move { Ok::<_, Infallible>(line.answer(request).await.map(|body| Pieces::new(body, exchange))) }
    });
    let mut builder = http2::Builder::new(Streams(tasks));
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(header_bytes.try_into().unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(RESET)
        .max_local_error_reset_streams(RESET)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(timeouts.keep_alive)
        .keep_alive_timeout(PONG);
    let mut connection = pin!(builder.serve_connection(io, service));
    let mut watch = Watch { timeouts, closing: None };
    let mut cut_off = pin!(cut_off(&line.lasting));
    let mut leaving = false;
    loop {
        tokio::select! {
            ended = &mut connection => {
                if let Err(error) = ended {
                    let why = if flooded.load(Ordering::Relaxed) { Some(Cut::Flooded) } else { cut(&error) };
                    ended_early(&line.lasting, line.peer, why, &error);
                }
                return;
            }
            () = line.place.leave().cancelled(), if !leaving => {
                if !stop.is_cancelled() {
                    line.lasting.counters.cut(Cut::GaveWay);
                    return;
                }
                leaving = true;
                connection.as_mut().graceful_shutdown();
            }
            () = &mut cut_off, if leaving => return,
            () = tokio::time::sleep(watch.pause()) => match watch.look(&traffic) {
                Sight::Well => {}
                Sight::Idle => connection.as_mut().graceful_shutdown(),
                Sight::Over(why) => {
                    why.inspect(|why| line.lasting.counters.cut(*why));
                    tracing::debug!(peer = %line.peer, ?why, "a connection ended early");
                    return;
                }
            },
        }
    }
}

/// The clocks of one connection.
struct Watch {
    timeouts: Timeouts,
    /// Since when it is being closed for being idle.
    closing: Option<Instant>,
}

/// What the clocks say.
#[derive(Debug, PartialEq, Eq)]
enum Sight {
    Well,
    /// It should close.
    Idle,
    /// It must end.
    Over(Option<Cut>),
}

impl Watch {
    /// Until the next look.
    fn pause(&self) -> Duration {
        let Timeouts { header, connection_idle, write, .. } = self.timeouts;
        (header.min(connection_idle).min(write) / 2).max(Duration::from_millis(20))
    }

    fn look(&mut self, traffic: &Traffic) -> Sight {
        let Timeouts { header, connection_idle, write, .. } = self.timeouts;
        if traffic.stalled().is_some_and(|stalled| stalled > write) {
            return Sight::Over(Some(Cut::Stalled));
        }
        match (self.closing, traffic.idle()) {
            (_, None) => {
                self.closing = None;
                Sight::Well
            }
            (Some(since), Some(_)) if since.elapsed() > write => Sight::Over(None),
            (None, Some(idle)) if !traffic.has_begun() && idle > header => Sight::Over(Some(Cut::SlowHead)),
            (None, Some(idle)) if idle > connection_idle => {
                self.closing = Some(Instant::now());
                Sight::Idle
            }
            _ => Sight::Well,
        }
    }
}

/// Why a connection was cut, where it was not the client that left.
fn cut(error: &hyper::Error) -> Option<Cut> {
    let cause = std::error::Error::source(error)?;
    match cause.downcast_ref::<io::Error>() {
        Some(error) => (error.kind() == io::ErrorKind::TimedOut).then_some(Cut::Stalled),
        None if error.is_timeout() => Some(Cut::Stalled),
        None => Some(Cut::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::{Sight, Watch};
    use crate::config::Timeouts;
    use crate::counters::Cut;
    use crate::transport::traffic::Traffic;
    use std::time::Duration;
    use tokio::time::advance;

    fn watch() -> Watch {
        let second = Duration::from_secs(1);
        let timeouts = Timeouts {
            header: 10 * second,
            connection_idle: 120 * second,
            body: second,
            connect: second,
            keep_alive: second,
            write: 30 * second,
            stream: second,
            stream_idle: second,
            session: second,
            shutdown: second,
            notice: None,
        };
        Watch { timeouts, closing: None }
    }

    /// A8, R3: who asks nothing at first is slow, who asks nothing more is idle and has a while to close.
    #[tokio::test(start_paused = true)]
    async fn silence_ends_a_connection() {
        let (mut watch, traffic) = (watch(), Traffic::new());
        advance(Duration::from_secs(9)).await;
        assert_eq!(watch.look(&traffic), Sight::Well);
        advance(Duration::from_secs(2)).await;
        assert_eq!(watch.look(&traffic), Sight::Over(Some(Cut::SlowHead)));
        let exchange = traffic.begin();
        advance(Duration::from_secs(1000)).await;
        assert_eq!(watch.look(&traffic), Sight::Well, "a call may take its time");
        drop(exchange);
        advance(Duration::from_secs(121)).await;
        assert_eq!(watch.look(&traffic), Sight::Idle);
        assert_eq!(watch.look(&traffic), Sight::Well);
        advance(Duration::from_secs(31)).await;
        assert_eq!(watch.look(&traffic), Sight::Over(None));
    }
}
