//! Standard input and output as they are: pipes, sockets, files or a terminal, whatever the client made.
//!
//! Both are read and written by a thread of their own, in the plain blocking way. The runtime's own reader of standard
//! input could keep the process from ending, for it waits for a line that never comes.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

use bytes::{Buf, Bytes};
use rustix::event::{PollFd, PollFlags, poll};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::mpsc;

/// Bytes read at once, and how many such pieces wait.
const PIECE: usize = 16 * 1024;
const PIECES: usize = 4;
/// Lines that wait for the client to read them.
const LINES: usize = 64;

/// What comes in by standard input.
pub(crate) struct Input {
    pieces: mpsc::Receiver<Bytes>,
    piece: Bytes,
}

/// Begins to read standard input.
pub(crate) fn input() -> io::Result<Input> {
    let mut file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let (sender, pieces) = mpsc::channel(PIECES);
    thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        let mut buffer = vec![0; PIECE];
        loop {
            match file.read(&mut buffer) {
                Ok(read @ 1..) => {
                    let piece = Bytes::copy_from_slice(buffer.get(..read).unwrap_or_default());
                    if sender.blocking_send(piece).is_err() {
                        return;
                    }
                }
                Err(error) if waits(&error, &file, PollFlags::IN) => {}
                Ok(0) | Err(_) => return,
            }
        }
    })?;
    Ok(Input { pieces, piece: Bytes::new() })
}

/// Lines on their way to standard output, and what ends when the last of them is written, or nobody reads any more.
pub(crate) fn output() -> io::Result<(mpsc::Sender<Bytes>, mpsc::Receiver<()>)> {
    let mut file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let (sender, mut lines) = mpsc::channel::<Bytes>(LINES);
    let (ended, end) = mpsc::channel::<()>(1);
    thread::Builder::new().name("stdout".to_owned()).spawn(move || {
        while let Some(line) = lines.blocking_recv() {
            let line = [line.as_ref(), b"\n"].concat();
            if let Err(error) = write(&mut file, &line) {
                tracing::info!(%error, "the client reads no more");
                break;
            }
        }
        drop(ended);
    })?;
    Ok((sender, end))
}

fn write(file: &mut File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if waits(&error, file, PollFlags::OUT) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether to go on after an error: whoever shares our file may have set it not to block.
fn waits(error: &io::Error, file: &File, wanted: PollFlags) -> bool {
    match error.kind() {
        io::ErrorKind::Interrupted => true,
        io::ErrorKind::WouldBlock => poll(&mut [PollFd::new(file, wanted)], None).is_ok(),
        _ => false,
    }
}

impl AsyncRead for Input {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.piece.is_empty() {
            match self.pieces.poll_recv(context) {
                Poll::Ready(Some(piece)) => self.piece = piece,
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending => return Poll::Pending,
            }
        }
        let read = self.piece.len().min(buffer.remaining());
        buffer.put_slice(self.piece.get(..read).unwrap_or_default());
        self.piece.advance(read);
        Poll::Ready(Ok(()))
    }
}
