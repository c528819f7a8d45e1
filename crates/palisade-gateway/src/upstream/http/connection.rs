//! One connection to an HTTP upstream (HTTP/1.1, RFC 9112), driven by whoever holds it.
//!
//! 1. A connection has no task and no queue of its own: the call that holds it writes its request and reads the answer,
//!    so that nothing crosses from task to task. decisions/016 says why this is our own code.
//! 2. An answer may begin before the request has left: both directions go on at once, so that neither side waits for the
//!    other for ever.
//! 3. Nobody reads an idle connection. That the upstream closed it, or says something nobody asked for, shows when it is
//!    taken, before a byte of the next request left ([`Connection::is_open`]).
//! 4. A body that outlives its call takes the connection with it ([`Standing`](super::standing)). Once it has brought the
//!    answer, the connection is used again, if what may still come is the end of that body and nothing else.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes, BytesMut};
use palisade_guard::framing::answer::{Broken, Framing};
use palisade_guard::refusal::Refusal;
use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWrite as _, ReadBuf};
use tokio::time::Instant;
use tokio_util::io::{poll_read_buf, poll_write_buf};

use super::super::{invalid, unavailable};
use super::head::Head;
use super::request::Request;
use crate::descriptors::Taken;
use crate::transport::socket::Socket;

/// A connection that is open, or was when it was last looked at.
pub(crate) struct Connection {
    socket: Socket,
    /// What was read and nobody has taken.
    behind: BytesMut,
    /// Counted while it lives.
    _descriptor: Taken,
    /// When the last request was sent.
    asked: Instant,
    /// The body of a stream that has brought its answer: servers often write its end a moment later.
    tail: Option<Framing>,
}

/// Bytes asked of the socket at once, at least.
const READ: usize = 4096;
/// The largest head.
const HEAD: usize = 256 * 1024;
/// The most before the end of an answer's head, informational heads (1xx) among it: a series of them without an end would
/// be work without an end.
const PRELUDE: usize = 1024 * 1024;
/// Enough for the last chunk of a body.
const TAIL: usize = 64;

impl Connection {
    /// Speaks HTTP/1.1 on `socket`.
    pub(super) fn new(socket: Socket, descriptor: Taken) -> Self {
        Self { socket, behind: BytesMut::new(), _descriptor: descriptor, asked: Instant::now(), tail: None }
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(&mut self, request: &Request) -> io::Result<Head> {
        self.asked = Instant::now();
        let (mut left, mut heads, mut sent) = (request.bytes(), Heads::default(), None);
        std::future::poll_fn(|context| {
            if sent.is_none() {
                sent = match self.poll_write(&mut left, context) {
                    Poll::Ready(sent) => Some(sent),
                    Poll::Pending => None,
                };
            }
            let head = ready!(self.poll_head(&mut heads, context));
            Poll::Ready(match (head, sent.take()) {
                // An upstream that refuses a request may answer, and close, before it has read all of it.
                (Ok(head), Some(Ok(()))) => Ok(head),
                (Ok(mut head), _) => {
                    head.reusable = false;
                    Ok(head)
                }
                (Err(_), Some(Err(unsent))) => Err(unsent),
                (Err(unread), _) => Err(unread),
            })
        })
        .await
    }

    fn poll_write(&mut self, left: &mut impl Buf, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while left.has_remaining() {
            if ready!(poll_write_buf(Pin::new(&mut self.socket), context, left))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
        }
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_head(&mut self, heads: &mut Heads, context: &mut Context<'_>) -> Poll<io::Result<Head>> {
        loop {
            if let Some(head) = heads.take(&mut self.behind).map_err(io::Error::other)? {
                return Poll::Ready(Ok(head));
            }
            self.behind.reserve(READ);
            if ready!(poll_read_buf(Pin::new(&mut self.socket), context, &mut self.behind))? == 0 {
                return Poll::Ready(Err(closed()));
            }
        }
    }

    /// Reads a body of at most `limit` bytes to its end.
    pub(super) async fn body(&mut self, framing: &mut Framing, limit: usize) -> Result<Bytes, Refusal> {
        let too_large = || invalid("the answer is beyond limits.answer");
        if let Framing::Length(length) = framing {
            let length = usize::try_from(*length).ok().filter(|length| *length <= limit).ok_or_else(too_large)?;
            while self.behind.len() < length {
                self.more().await?;
            }
            *framing = Framing::Length(0);
            return Ok(self.behind.split_to(length).freeze());
        }
        let mut body = BytesMut::new();
        loop {
            let mut bytes = &self.behind[..];
            while let Some(data) = framing.next(&mut bytes).map_err(|Broken(why)| unavailable(why))? {
                body.extend_from_slice(data);
                if body.len() > limit {
                    return Err(too_large());
                }
            }
            let read = self.behind.len() - bytes.len();
            self.behind.advance(read);
            if framing.is_done() {
                return Ok(body.freeze());
            }
            match self.more().await {
                Err(_) if framing.may_end() => return Ok(body.freeze()),
                more => more?,
            }
        }
    }

    async fn more(&mut self) -> Result<(), Refusal> {
        self.behind.reserve(READ);
        match self.socket.read_buf(&mut self.behind).await {
            Ok(0) => Err(unavailable(closed())),
            Ok(_) => Ok(()),
            Err(error) => Err(unavailable(error)),
        }
    }

    /// When the last request was sent.
    pub(super) const fn asked(&self) -> Instant {
        self.asked
    }

    /// Whether another request can be sent: the upstream has neither closed it nor said anything unasked.
    pub(super) fn is_open(&mut self) -> bool {
        if let Some(tail) = self.tail.take()
            && !self.has_ended(tail)
        {
            return false;
        }
        self.behind.is_empty() && self.read_now(&mut [0]).is_none()
    }

    /// Whether nothing but the end of a body has come.
    fn has_ended(&mut self, mut tail: Framing) -> bool {
        let mut space = [0; TAIL];
        let Some(mut bytes) = self.read_now(&mut space) else { return false };
        tail.next(&mut bytes) == Ok(None) && tail.is_done() && bytes.is_empty()
    }

    /// What has come by now; nothing where the upstream has closed.
    fn read_now<'s>(&mut self, space: &'s mut [u8]) -> Option<&'s [u8]> {
        let mut read = ReadBuf::new(space);
        let came = self.poll_read(&mut read, &mut Context::from_waker(Waker::noop()));
        let length = read.filled().len();
        space.get(..length).filter(|_| came.is_ready())
    }

    #[cfg(test)]
    pub(super) async fn readable(&self) {
        if let Socket::Plain(stream) = &self.socket {
            stream.readable().await.unwrap();
        }
    }

    /// What came behind the head.
    pub(super) fn take_behind(&mut self) -> BytesMut {
        std::mem::take(&mut self.behind)
    }

    /// Reads what comes next.
    pub(super) fn poll_read(&mut self, read: &mut ReadBuf<'_>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, read)
    }

    /// Lets go of what a large answer needed, before the connection waits for its next request.
    pub(super) fn rest(&mut self) {
        if self.behind.is_empty() {
            self.behind = BytesMut::new();
        }
    }

    /// The answer has come, and this is what is left of its body.
    pub(super) fn ends_with(&mut self, tail: Framing) {
        self.tail = Some(tail).filter(|tail| !tail.is_done());
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the upstream closed the connection inside its answer")
}

/// What came of heads since a request went out.
#[derive(Default)]
struct Heads {
    /// Bytes of informational ones.
    passed: usize,
    /// Bytes of this one.
    came: usize,
}

impl Heads {
    /// Takes the answer's own head off what was read, and informational ones before it. One that drips in is not read
    /// again at each drip, but when an empty line came.
    fn take(&mut self, read: &mut BytesMut) -> Result<Option<Head>, &'static str> {
        loop {
            let fresh = read.get(self.came.saturating_sub(EMPTY_LINE - 1)..).unwrap_or_default();
            let may_end = !read.is_empty() && (self.came == 0 || has_empty_line(fresh));
            self.came = read.len();
            let head = if may_end { Head::read(read).map_err(|Broken(why)| why)? } else { None };
            let Some((head, length)) = head else {
                let is_too_much = self.came > HEAD || self.passed + self.came > PRELUDE;
                return if is_too_much { Err("too much before the answer") } else { Ok(None) };
            };
            read.advance(length);
            if !head.status.is_informational() {
                return Ok(Some(head));
            }
            *self = Self { passed: self.passed + length, came: 0 };
        }
    }
}

/// Bytes that end a line and make an empty one, at most.
const EMPTY_LINE: usize = 3;

fn has_empty_line(bytes: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', bytes).any(|end| matches!(bytes.get(end + 1..), Some([b'\n', ..] | [b'\r', b'\n', ..])))
}

#[cfg(test)]
pub(super) mod tests;
