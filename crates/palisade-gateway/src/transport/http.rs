//! The HTTP listener: accepts, bounds what a connection may take, and hands every request to the pipeline.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use palisade_guard::limit::subject::Subject;
use palisade_guard::message::Body as Messages;
use palisade_guard::refusal::Refusal;
use rustix::net::sockopt::set_tcp_user_timeout;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::body::Body;
use super::heads::HeadClock;
use super::http2;
use super::patient::Patient;
use super::places::{Full, Place, Room};
use super::socket::Socket;
use super::standing;
use super::tls::{self, Secured};
use super::wire::Wire;
use crate::counters::Cut;
use crate::current::Current;
use crate::lasting::Lasting;
use crate::pipeline;
use crate::running::LAST_WORDS;
use crate::snapshot::Snapshot;
use crate::time;

/// A request as it came off the wire, or a line of standard input in its place.
pub(crate) struct Arrival {
    /// Method, target and headers.
    pub(crate) head: http::request::Parts,
    /// What it carries.
    pub(crate) body: Content,
    /// Who is at the other end of the socket; nobody where the client is the process that started us.
    pub(crate) peer: Option<SocketAddr>,
    /// Its connection's place, where there is a connection.
    pub(crate) place: Option<Arc<Place>>,
    /// What TLS found out about the connection, where there is TLS.
    pub(crate) secured: Option<Arc<Secured>>,
}

/// A connection, whatever is spoken on it.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) peer: SocketAddr,
    pub(super) current: Current,
    pub(super) lasting: Arc<Lasting>,
    pub(super) place: Arc<Place>,
    secured: Option<Arc<Secured>>,
}

impl Line {
    /// Answers one request.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let (peer, place) = (Some(self.peer), Some(Arc::clone(&self.place)));
        let arrival = Arrival { head, body: Content::Wire(body), peer, place, secured: self.secured.clone() };
        pipeline::answer(&self.current, arrival).await
    }
}

/// What an arrival carries.
pub(crate) enum Content {
    /// A body that is still on the wire.
    Wire(Incoming),
    /// A body that was read to know who sent it.
    Read(Bytes),
    /// A line of standard input: so many bytes, read where it was found.
    Line(usize, Result<Messages, Refusal>),
    /// Nothing.
    Nothing,
}

/// Accepts connections until told to stop.
///
/// Nobody waits in the system's queue for a place: an honest caller could not be told from a flood there. Each is
/// accepted, and has a place or is closed.
pub(crate) async fn serve(listener: TcpListener, current: Current, stop: CancellationToken, tasks: TaskTracker) {
    let lasting = Arc::clone(&current.snapshot().lasting);
    loop {
        let accepted = tokio::select! {
            accepted = async {
                lasting.places.settled().await;
                listener.accept().await
            } => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer)) => match enter(peer, &current.snapshot(), &stop) {
                Ok(place) => {
                    let (current, kept) = (current.clone(), Arc::clone(&lasting));
                    let line = Line { peer, current, lasting: kept, place, secured: None };
                    // Boxed, and out here: what hyper needed is given back when a stream goes on without it, and the
                    // task has no room for it.
                    let served = Box::pin(connection(stream, line, stop.clone(), tasks.clone()));
                    let descriptor = lasting.descriptors.take();
                    tasks.spawn(async move {
                        if let Some(standing) = served.await {
                            standing.speak().await;
                        }
                        drop(descriptor);
                    });
                }
                Err(full) => {
                    lasting.counters.cut(Cut::TurnedAway);
                    tracing::debug!(%peer, ?full, "a connection was turned away");
                }
            },
            // Out of descriptors, most likely: accepting again at once would spin.
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// A place for a connection that was accepted.
fn enter(peer: SocketAddr, gate: &Snapshot, stop: &CancellationToken) -> Result<Arc<Place>, Full> {
    let room = Room {
        all: gate.connections.all,
        one: gate.connections.one(peer.ip(), &gate.identify),
        is_short: gate.lasting.descriptors.is_short(),
    };
    gate.lasting.places.enter(peer.ip(), room, stop)
}

/// A stream that goes on without hyper.
struct Standing {
    io: Patient<Socket>,
    body: Body,
    peer: SocketAddr,
    lasting: Arc<Lasting>,
    /// Held while it lasts.
    _place: Arc<Place>,
}

impl Standing {
    async fn speak(self) {
        let ended = tokio::select! {
            ended = standing::stream(self.io, self.body) => ended,
            () = cut_off(&self.lasting) => return,
        };
        if let Err(error) = ended {
            ended_early(&self.lasting, self.peer, cause(&error), &error);
        }
    }
}

/// Serves a connection, to its end or to a stream that goes on without hyper.
async fn connection(
    stream: TcpStream,
    mut line: Line,
    stop: CancellationToken,
    tasks: TaskTracker,
) -> Option<Standing> {
    let gate = line.current.snapshot();
    if let Err(error) = prepare(&stream, gate.timeouts.write) {
        tracing::debug!(%error, "a connection ended before it began");
        return None;
    }
    let Some(tls) = gate.tls.as_ref().map(Arc::clone) else {
        drop(gate);
        return http1(Socket::Plain(stream), line, stop).await;
    };
    let patience = gate.timeouts.header;
    // Shaking hands is more work than most calls.
    if !gate.identify.trusts(line.peer.ip())
        && gate.limits.handshake(&Subject::address(line.peer.ip()), time::now().monotonic_ms).is_err()
    {
        line.lasting.counters.cut(Cut::TurnedAway);
        return None;
    }
    drop(gate);
    let shaken = tokio::select! {
        shaken = tls.accept(stream, patience) => shaken,
        () = line.place.leave().cancelled() => return None,
    };
    drop(tls);
    let (stream, secured) = match shaken {
        Ok(shaken) => shaken,
        Err(error) => {
            ended_early(&line.lasting, line.peer, Some(Cut::Handshake), &error);
            return None;
        }
    };
    line.secured = Some(Arc::new(secured));
    let is_http2 = tls::is_http2(&stream);
    let socket = Socket::Tls(Box::new(stream.into()));
    if is_http2 {
        http2::serve(socket, line, stop, tasks).await;
        return None;
    }
    http1(socket, line, stop).await
}

/// Serves a connection of HTTP/1.1.
async fn http1(socket: Socket, line: Line, stop: CancellationToken) -> Option<Standing> {
    let gate = line.current.snapshot();
    let wire = Arc::<Wire>::default();
    let mut builder = http1::Builder::new();
    builder
        // Without a timer the header timeout is never armed, and slow headers hold connections for ever.
        .timer(HeadClock::new(gate.timeouts.header, gate.timeouts.connection_idle, Arc::clone(&wire)))
        .header_read_timeout(gate.timeouts.header)
        .max_buf_size(gate.header_bytes.max(8192))
        .max_headers(100)
        .half_close(false);
    let everywhere = {
        let (current, is_secure) = (line.current.clone(), line.secured.is_some());
        move || current.snapshot().headers(is_secure)
    };
    let stream = TokioIo::new(Patient::new(socket, gate.timeouts.write, Arc::clone(&wire), everywhere));
    drop(gate);
    let (answering, leaving) = (line.clone(), Arc::clone(&wire));
    let service = service_fn(move |request: Request<Incoming>| {
        let (line, wire) = (answering.clone(), Arc::clone(&leaving));
        wire.owes_answer();
        async move {
            let version = request.version();
            let response = line.answer(request).await;
            Ok::<_, Infallible>(standing::part(&wire, version, response))
        }
    });
    let mut connection = builder.serve_connection(stream, service);
    let Line { peer, lasting, place, .. } = line;
    let ended = tokio::select! {
        ended = spoken(&mut connection, &wire) => ended,
        () = place.leave().cancelled() => {
            if !stop.is_cancelled() {
                lasting.counters.cut(Cut::GaveWay);
                tracing::debug!(%peer, "a connection gave way");
                return None;
            }
            Pin::new(&mut connection).graceful_shutdown();
            tokio::select! {
                ended = spoken(&mut connection, &wire) => ended,
                () = cut_off(&lasting) => return None,
            }
        }
    };
    match ended {
        Ok(Some(body)) => {
            let io = connection.into_parts().io.into_inner();
            return Some(Standing { io, body, peer, lasting, _place: place });
        }
        Ok(None) => {}
        Err(error) => ended_early(&lasting, peer, cut(&error, &wire), &error),
    }
    None
}

/// Lets hyper speak to the end of the connection, or until a stream can go on without it.
async fn spoken<C>(connection: &mut C, wire: &Wire) -> hyper::Result<Option<Body>>
where
    C: Future<Output = hyper::Result<()>> + Unpin,
{
    std::future::poll_fn(|context| match Pin::new(&mut *connection).poll(context) {
        Poll::Ready(ended) => Poll::Ready(ended.map(|()| None)),
        Poll::Pending => wire.left().map_or(Poll::Pending, |body| Poll::Ready(Ok(Some(body)))),
    })
    .await
}

/// Done when what is under way has had its time to end, and to say so.
pub(super) async fn cut_off(lasting: &Lasting) {
    lasting.cut.cancelled().await;
    tokio::time::sleep(LAST_WORDS).await;
}

pub(super) fn ended_early(lasting: &Lasting, peer: SocketAddr, why: Option<Cut>, error: &dyn std::error::Error) {
    if let Some(why) = why {
        lasting.counters.cut(why);
    }
    tracing::debug!(%peer, %error, ?why, "a connection ended early");
}

/// What a socket is told before it is used.
fn prepare(stream: &TcpStream, patience: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // A client that vanished without a word acknowledges nothing any more; without this it is waited for a quarter of
    // an hour.
    let patience = patience.as_millis().try_into().unwrap_or(u32::MAX);
    Ok(set_tcp_user_timeout(stream, patience)?)
}

/// Why a connection was cut, where it was not the client that left. What hyper refuses by itself never becomes a request,
/// so it has no record: it is counted.
fn cut(error: &hyper::Error, wire: &Wire) -> Option<Cut> {
    match std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<io::Error>()) {
        _ if error.is_timeout() && wire.is_silent() => None,
        _ if error.is_timeout() => Some(Cut::SlowHead),
        _ if error.is_parse() => Some(Cut::Malformed),
        Some(error) => cause(error),
        None => None,
    }
}

fn cause(error: &io::Error) -> Option<Cut> {
    (error.kind() == io::ErrorKind::TimedOut).then_some(Cut::Stalled)
}
