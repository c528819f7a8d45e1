//! One connection to an HTTP upstream (HTTP/1.1, RFC 9112), driven by whoever holds it.
//!
//! 1. A connection has no task and no queue of its own: the call that holds it writes its request and reads the answer,
//!    so that nothing crosses from task to task. decisions/016 says why this is our own code.
//! 2. An answer may begin before the request has left: both directions go on at once, to the end of both, so that neither
//!    side waits for the other for ever.
//! 3. Nobody reads an idle connection. That the upstream closed it, or says something nobody asked for, shows when it is
//!    taken, before a byte of the next request left ([`Connection::is_open`]). One that waits longer than its upstream keeps
//!    it is not used at all.
//! 4. A body that outlives its call takes the connection with it ([`Standing`](super::standing)). Once it has brought the
//!    answer, the connection is used again, if what may still come is the end of that body and nothing else.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use palisade_guard::framing::answer::{Broken, Framing};
use palisade_guard::refusal::Refusal;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::time::Instant;
use tokio_util::io::{poll_read_buf, poll_write_buf};

use super::super::{invalid, unavailable};
use super::head::{Head, KEPT_FOR};
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
    /// What is left of a request whose answer has begun.
    unsent: Option<Bytes>,
    /// When the last request was sent.
    asked: Instant,
    /// How long the upstream keeps it without a request, and when that is over.
    kept_for: Duration,
    kept_until: Instant,
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
        let now = Instant::now();
        Self {
            socket,
            behind: BytesMut::new(),
            _descriptor: descriptor,
            unsent: None,
            asked: now,
            kept_for: KEPT_FOR,
            kept_until: now + KEPT_FOR,
            tail: None,
        }
    }

    /// Sends a request at about `now` and waits for the head of its answer.
    pub(super) async fn send(&mut self, request: &Request, now: Instant) -> io::Result<Head> {
        self.asked = now;
        let (mut left, mut heads, mut sent) = (request.bytes(), Heads::default(), None);
        std::future::poll_fn(|context| {
            if sent.is_none() {
                sent = match self.poll_write(&mut left, context) {
                    Poll::Ready(sent) => Some(sent),
                    Poll::Pending => None,
                };
            }
            let head = ready!(self.poll_head(&mut heads, context));
            // An upstream that refuses a request may answer, and close, before it has read all of it.
            Poll::Ready(match (head, sent.take()) {
                (Ok(head), None) => {
                    self.unsent = Some(left.copy_to_bytes(left.remaining()));
                    Ok(head)
                }
                (Ok(head), Some(sent)) => {
                    self.unsent = sent.err().map(|_| Bytes::new());
                    Ok(head)
                }
                (Err(_), Some(Err(unsent))) => Err(unsent),
                (Err(unread), _) => Err(unread),
            })
        })
        .await
        .inspect(|head| self.kept_for = head.kept_for)
    }

    /// Goes on writing a request whose answer has begun. Whoever does not want the rest of it says so in the answer.
    fn poll_rest(&mut self, context: &mut Context<'_>) {
        if let Some(mut left) = self.unsent.take() {
            let has_left = matches!(self.poll_write(&mut left, context), Poll::Ready(Ok(())));
            self.unsent = Some(left).filter(|_| !has_left);
        }
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
                if !self.more().await? {
                    return Err(unavailable(closed()));
                }
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
            if !self.more().await? {
                return if framing.may_end() { Ok(body.freeze()) } else { Err(unavailable(closed())) };
            }
        }
    }

    /// Reads more; false at the connection's end.
    async fn more(&mut self) -> Result<bool, Refusal> {
        self.behind.reserve(READ);
        let read = std::future::poll_fn(|context| {
            self.poll_rest(context);
            poll_read_buf(Pin::new(&mut self.socket), context, &mut self.behind)
        });
        read.await.map(|read| read > 0).map_err(unavailable)
    }

    /// When the last request was sent.
    pub(super) const fn asked(&self) -> Instant {
        self.asked
    }

    /// Whether another request can be sent: the upstream has neither closed it, nor said anything unasked, nor is about to
    /// close it.
    pub(super) fn is_open(&mut self, now: Instant) -> bool {
        if now >= self.kept_until {
            return false;
        }
        if let Some(tail) = self.tail.take()
            && !self.has_ended(tail)
        {
            return false;
        }
        self.read_now(&mut [0]).is_none()
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
        let look = std::future::poll_fn(|context| self.poll_read(&mut read, context));
        // Outside the budget of a task: where that is spent, every socket seems to have nothing to say, a closed one too.
        let came = pin!(tokio::task::unconstrained(look)).poll(&mut Context::from_waker(Waker::noop()));
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
        self.poll_rest(context);
        Pin::new(&mut self.socket).poll_read(context, read)
    }

    /// Readies the connection for its next request; false if the last one and its answer are not over, since something of the
    /// one is unsent, or came behind the other.
    pub(super) fn rests(&mut self) -> bool {
        if !self.behind.is_empty() || self.unsent.is_some() {
            return false;
        }
        // A large answer needed a large one.
        self.behind = BytesMut::new();
        self.kept_until = Instant::now() + self.kept_for;
        true
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
