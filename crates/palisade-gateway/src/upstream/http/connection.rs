//! One connection to an HTTP upstream, driven by whoever holds it.
//!
//! 1. A connection has no task of its own: the call that holds it polls it, so that a request and its answer do not
//!    cross from task to task. A stream outlives its call: it gets a task, and goes on without hyper where it
//!    is a standing one ([`Connection::outlive`]).
//! 2. Nobody polls an idle connection. That the upstream closed it shows when the next request is sent, before a byte of
//!    it left; [`Connection::is_open`] looks without sending.
//! 3. What waits on the connection goes on when the connection does, so both are polled in turn as long as one wakes the
//!    other, and not at all where the task was woken for something else ([`Bell`]).

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body::{Body, Frame};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, Parts, SendRequest};
use hyper_util::rt::TokioIo;
use palisade_guard::message::headers::METHOD;
use tokio::time::Instant;

use super::bell::Bell;
use super::prelude::{Metered, Prelude};
use super::standing::{Standing, framing};
use crate::descriptors::Taken;
use crate::transport::socket::Socket;

/// The part of hyper that reads and writes.
type Driver = Box<http1::Connection<TokioIo<Metered<Socket>>, Full<Bytes>>>;

/// A connection that is open, or was when it was last looked at.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// `None` once the connection has ended.
    driver: Option<Driver>,
    /// Rings when there is something to do on it.
    bell: Arc<Bell>,
    /// Counted while it lives.
    descriptor: Taken,
    /// When the last request was sent.
    asked: Instant,
    /// What may still come before the head of an answer.
    prelude: Arc<Prelude>,
}

/// The method whose answer is a standing stream.
const LISTEN: &str = "subscriptions/listen";

impl Connection {
    /// Speaks HTTP/1.1 on `socket`.
    pub(super) async fn begin(socket: Socket, descriptor: Taken) -> hyper::Result<Self> {
        let prelude = Arc::<Prelude>::default();
        let io = TokioIo::new(Metered::new(socket, Arc::clone(&prelude)));
        let (sender, driver) = http1::Builder::new().max_headers(64).max_buf_size(256 * 1024).handshake(io).await?;
        let (bell, asked) = (Bell::new(), Instant::now());
        Ok(Self { sender, driver: Some(Box::new(driver)), bell, descriptor, asked, prelude })
    }

    /// Sends a request and waits for the head of its answer.
    pub(crate) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Full<Bytes>>>> {
        self.asked = Instant::now();
        let wants_stream =
            request.method() == Method::GET || request.headers().get(&METHOD).is_some_and(|method| method == LISTEN);
        self.prelude.begin(wants_stream);
        let answer = self.sender.try_send_request(request);
        let answer = drive(&mut self.driver, &self.bell, answer).await;
        self.prelude.end();
        answer
    }

    /// When the last request was sent.
    pub(crate) const fn asked(&self) -> Instant {
        self.asked
    }

    /// Reads with `reading`, which takes the body of an answer that came on this connection.
    pub(crate) async fn read<T>(&mut self, reading: impl Future<Output = T>) -> T {
        self.prelude.release();
        drive(&mut self.driver, &self.bell, reading).await
    }

    /// Whether it seems that another request can be sent.
    pub(crate) fn is_ready(&self) -> bool {
        self.driver.is_some() && self.sender.is_ready()
    }

    /// Whether another request can be sent: whether the upstream has closed it is looked up.
    pub(crate) fn is_open(&mut self) -> bool {
        step(&mut self.driver, &mut Context::from_waker(Waker::noop()));
        self.is_ready()
    }

    /// The body of an answer, which is read for longer than its call lives. The connection ends with it, or with the
    /// interest in it.
    pub(super) fn outlive(mut self, head: &HeaderMap, body: Incoming) -> Outliving {
        if let Some(framing) = framing(head).filter(|_| self.prelude.keeps())
            && let Some(driver) = self.driver.take()
        {
            let Parts { io, read_buf, .. } = driver.into_parts();
            let (socket, kept) = io.into_inner().into_parts();
            let behind = [read_buf, kept.freeze()].concat();
            return Outliving::Alone(Box::new(Standing::new(socket, behind.into(), &framing, self.descriptor)));
        }
        self.detach();
        Outliving::Hypers(body)
    }

    /// Lets the connection go on by itself.
    fn detach(self) {
        self.prelude.release();
        let Self { driver: Some(driver), descriptor, .. } = self else { return };
        tokio::spawn(async move {
            // How a connection ends is seen by whoever reads the body.
            drop(driver.await);
            drop(descriptor);
        });
    }
}

/// A body that outlives its call.
pub(super) enum Outliving {
    /// hyper reads it.
    Hypers(Incoming),
    /// It is read alone.
    Alone(Box<Standing>),
}

impl Body for Outliving {
    type Data = Bytes;
    type Error = String;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, String>>> {
        match &mut *self {
            Self::Hypers(body) => Pin::new(body)
                .poll_frame(context)
                .map(|frame| frame.map(|frame| frame.map_err(|error| error.to_string()))),
            Self::Alone(body) => Pin::new(body).poll_frame(context),
        }
    }
}

/// Polls `work` and the connection in turn, as long as one wakes the other.
async fn drive<T>(driver: &mut Option<Driver>, bell: &Arc<Bell>, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    bell.ring();
    std::future::poll_fn(move |context| {
        bell.answer(context, |context| {
            let done = work.as_mut().poll(context);
            if done.is_pending() {
                step(driver, context);
            }
            done
        })
    })
    .await
}

fn step(driver: &mut Option<Driver>, context: &mut Context<'_>) {
    if driver.as_mut().is_some_and(|driver| Pin::new(driver).poll(context).is_ready()) {
        // Dropped at once: it holds the other ends of what is waited for.
        *driver = None;
    }
}
