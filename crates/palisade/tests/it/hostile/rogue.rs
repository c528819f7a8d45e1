//! An HTTP upstream that misbehaves: it reads a request as it should, and then does its misdeed with the bare socket.

use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::upstream::{Request, read};

/// A gibibyte.
pub(crate) const GIB: usize = 1 << 30;

/// What is done once a request was read. The connection goes on to the next request if it returns true.
pub(crate) type Misdeed = dyn Fn(&Request, &mut TcpStream) -> bool + Send + Sync;

/// A running rogue.
pub(crate) struct Rogue {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
}

impl Rogue {
    /// One that does this with every request.
    pub(crate) fn doing(misdeed: impl Fn(&Request, &mut TcpStream) -> bool + Send + Sync + 'static) -> Self {
        Self::start(Arc::new(misdeed))
    }

    fn start(misdeed: Arc<Misdeed>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (counted, misdeed) = (Arc::clone(&counted), Arc::clone(&misdeed));
                thread::spawn(move || {
                    stream.set_nodelay(true).unwrap();
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    let mut writer = stream;
                    while let Some(request) = read(&mut reader) {
                        counted.fetch_add(1, Ordering::SeqCst);
                        if !misdeed(&request, &mut writer) {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, requests }
    }

    /// Where its MCP endpoint would be.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// Requests so far.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// Writes bytes, then closes.
pub(crate) fn says(bytes: impl Into<Vec<u8>>) -> Box<Misdeed> {
    let bytes = bytes.into();
    Box::new(move |_, stream| {
        drop(stream.write_all(&bytes));
        false
    })
}

/// Writes bytes, then nothing more, until the gateway leaves.
pub(crate) fn hangs(after: impl Into<Vec<u8>>) -> Box<Misdeed> {
    let bytes = after.into();
    Box::new(move |_, stream| {
        drop(stream.write_all(&bytes));
        until_left(stream);
        false
    })
}

/// Writes the beginning at once and the rest byte by byte, ten in a second.
pub(crate) fn drips(beginning: &'static str, rest: &'static str) -> Box<Misdeed> {
    Box::new(move |_, stream| {
        drop(stream.write_all(beginning.as_bytes()));
        for byte in rest.bytes() {
            if stream.write_all(&[byte]).is_err() {
                break;
            }
            thread::sleep(Duration::from_millis(100));
        }
        false
    })
}

/// Writes the beginning and then the same over and over, until the gateway leaves or `most` bytes were written.
pub(crate) fn floods(beginning: impl Into<Vec<u8>>, again: &str, most: usize) -> Box<Misdeed> {
    let (beginning, again) = (beginning.into(), again.repeat(65_536 / again.len()));
    Box::new(move |_, stream| {
        drop(stream.write_all(&beginning));
        let mut written = 0;
        while written < most && stream.write_all(again.as_bytes()).is_ok() {
            written += again.len();
        }
        false
    })
}

/// Writes bytes, then tears the connection down with a reset.
pub(crate) fn resets(after: impl Into<Vec<u8>>) -> Box<Misdeed> {
    let bytes = after.into();
    Box::new(move |_, stream| {
        drop(stream.write_all(&bytes));
        // The reset must not overtake what was written: the gateway is given time to read it.
        thread::sleep(Duration::from_millis(50));
        rustix::net::sockopt::set_socket_linger(&*stream, Some(Duration::ZERO)).unwrap();
        false
    })
}

/// Waits until the other side closes.
pub(crate) fn until_left(stream: &mut TcpStream) {
    let mut rest = [0; 1024];
    while matches!(std::io::Read::read(stream, &mut rest), Ok(1..)) {}
}
