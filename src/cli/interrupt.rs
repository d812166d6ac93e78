//! The signals that ask a command to stop: it then says what it leaves behind.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::error::CliError;
use super::lane;

/// Whether one of them has come.
static RECEIVED: AtomicBool = AtomicBool::new(false);

/// Whether this process has been asked to stop.
pub(super) fn was_received() -> bool {
    RECEIVED.load(Ordering::Relaxed)
}

/// Listens from its creation on.
pub(super) struct Interrupt {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Interrupt {
    /// Begins to listen; the signals no longer end the process.
    ///
    /// # Errors
    /// The system refuses.
    pub(super) fn listen() -> Result<Self, CliError> {
        // Whoever is to be obeyed must not find this process writing to a terminal that nobody reads.
        lane::begin();
        let listen = |kind| signal(kind).map_err(CliError::Signals);
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// Waits for one of them.
    pub(super) async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
        RECEIVED.store(true, Ordering::Relaxed);
    }
}
