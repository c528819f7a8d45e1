//! What the system asks of a gateway that runs: to stop, or to read its configuration again.

use std::io;

use palisade_gateway::Asker;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that are handled.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// Only where there is a file to read again. Without one the terminal that goes away ends the process, as ever.
    hangup: Option<Signal>,
}

impl Signals {
    /// From now on no signal is lost.
    pub(crate) fn new(reloads: bool) -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: reloads.then(|| signal(SignalKind::hangup())).transpose()?,
        })
    }

    /// Waits for SIGTERM or SIGINT.
    pub(crate) async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Waits for the same; SIGHUP asks for a reload meanwhile.
    pub(crate) async fn until_stop(&mut self, asker: &Asker) {
        loop {
            let Some(hangup) = &mut self.hangup else { return self.stop().await };
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = hangup.recv() => asker.ask(),
            }
        }
    }
}
