//! How many frames of HTTP/2 a client may send that ask for work and carry nothing.
//!
//! Pings, settings, resets, priorities, window updates and empty frames cost a client nothing and us a little each, as
//! often as it likes (CVE-2019-9511 to 9518, CVE-2023-44487). hyper bounds the memory of each; here is bounded how
//! many there can be. Each has a price, paid out of a purse that fills with time, and with what we write: who is sent much
//! has much to acknowledge.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// What a purse holds at most.
const PURSE: u64 = 2_000;
/// What comes into it in a second.
const INCOME: u64 = 200;
/// Bytes written for each coin.
const BYTES: u64 = 1024;
/// How a client's side of a connection begins (RFC 9113 section 3.4).
const PREFACE: usize = 24;
const HEAD: usize = 9;
/// A frame of data with less than this in it, which is not the last, is a trick.
const CRUMB: usize = 64;
const END_STREAM: u8 = 1;

/// Reads along where frames begin, and pays for them.
struct Frames {
    /// Bytes until the next frame begins.
    skip: usize,
    head: [u8; HEAD],
    filled: usize,
    coins: u64,
    /// Parts of a coin that were earned by writing.
    written: u64,
    /// Up to when income was paid.
    paid: Instant,
}

impl Frames {
    fn new(now: Instant) -> Self {
        Self { skip: PREFACE, head: [0; HEAD], filled: 0, coins: PURSE, written: 0, paid: now }
    }

    fn wrote(&mut self, bytes: usize) {
        self.written += u64::try_from(bytes).unwrap_or(0);
        self.coins = PURSE.min(self.coins + self.written / BYTES);
        self.written %= BYTES;
    }

    /// Whether what came could be paid for.
    fn read(&mut self, mut bytes: &[u8], now: Instant) -> bool {
        let millis = u64::try_from((now - self.paid).as_millis()).unwrap_or(u64::MAX);
        let income = millis.saturating_mul(INCOME) / 1000;
        if income > 0 {
            self.coins = PURSE.min(self.coins.saturating_add(income));
            self.paid = now;
        }
        while !bytes.is_empty() {
            let passed = self.skip.min(bytes.len());
            self.skip -= passed;
            bytes = bytes.get(passed..).unwrap_or_default();
            for byte in bytes.iter().take(HEAD - self.filled) {
                if let Some(place) = self.head.get_mut(self.filled) {
                    *place = *byte;
                }
                self.filled += 1;
                bytes = bytes.get(1..).unwrap_or_default();
            }
            if self.filled == HEAD {
                self.filled = 0;
                let [high, middle, low, kind, flags, ..] = self.head;
                self.skip = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
                let Some(left) = self.coins.checked_sub(price(kind, flags, self.skip)) else { return false };
                self.coins = left;
            }
        }
        true
    }
}

/// What a frame costs. Requests have limits of their own, and data has windows.
const fn price(kind: u8, flags: u8, length: usize) -> u64 {
    match kind {
        // DATA
        0 if length >= CRUMB || flags & END_STREAM != 0 => 0,
        // HEADERS
        1 => 0,
        // RST_STREAM, SETTINGS
        3 | 4 => 10,
        _ => 1,
    }
}

/// A connection of HTTP/2 whose frames are paid for.
pub(super) struct Metered<S> {
    stream: S,
    frames: Frames,
    flooded: Arc<AtomicBool>,
}

impl<S> Metered<S> {
    /// A connection; `flooded` is set when its purse was empty.
    pub(super) fn new(stream: S, flooded: Arc<AtomicBool>) -> Self {
        Self { stream, frames: Frames::new(Instant::now()), flooded }
    }

    fn wrote(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = written {
            self.frames.wrote(bytes);
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
        let came = buffer.filled().get(before..).unwrap_or_default();
        if this.frames.read(came, Instant::now()) {
            return Poll::Ready(Ok(()));
        }
        this.flooded.store(true, Ordering::Relaxed);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "too many frames that carry nothing")))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::{Frames, PREFACE, PURSE};
    use std::time::Duration;
    use tokio::time::{Instant, advance};

    fn frame(kind: u8, flags: u8, length: u8) -> Vec<u8> {
        let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, 1];
        frame.resize(9 + usize::from(length), 0);
        frame
    }

    /// R3: the price is the same however the bytes are cut, and a purse fills again.
    #[tokio::test(start_paused = true)]
    async fn frames_are_paid_for() {
        for piece in [1, 7, 4096] {
            let mut frames = Frames::new(Instant::now());
            assert!(frames.read(&[0xff; PREFACE], Instant::now()));
            let many: Vec<u8> = (0..PURSE).flat_map(|_| frame(6, 0, 8)).collect();
            assert!(many.chunks(piece).all(|piece| frames.read(piece, Instant::now())));
            advance(Duration::from_secs(1)).await;
            assert!((0..20).all(|_| frames.read(&frame(3, 0, 4), Instant::now())));
            assert!(!frames.read(&frame(3, 0, 4), Instant::now()));
        }
    }

    /// R3: requests and their data are free; who is sent much may acknowledge much.
    #[tokio::test(start_paused = true)]
    async fn work_is_free() {
        let mut frames = Frames::new(Instant::now());
        frames.read(&[0; PREFACE], Instant::now());
        for _ in 0..3 * PURSE {
            let call = [frame(1, 4, 30), frame(0, 0, 200), frame(0, 1, 5)].concat();
            assert!(frames.read(&call, Instant::now()));
            frames.wrote(2048);
            assert!(frames.read(&[frame(8, 0, 4), frame(8, 0, 4)].concat(), Instant::now()));
        }
        assert!((0..=PURSE).any(|_| !frames.read(&frame(0, 0, 0), Instant::now())), "empty data is not");
    }
}
