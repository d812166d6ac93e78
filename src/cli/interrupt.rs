//! The signals that ask a command to stop: it then prints what it leaves behind.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::error::CliError;
use super::lane;

/// Whether a signal has arrived.
static RECEIVED: AtomicBool = AtomicBool::new(false);

/// Whether this process was asked to stop.
pub(super) fn was_received() -> bool {
    RECEIVED.load(Ordering::Relaxed)
}

/// Listens for the signals while it exists.
pub(super) struct Interrupt {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Interrupt {
    /// Starts to listen; the signals no longer end the process.
    ///
    /// # Errors
    /// The system refuses.
    pub(super) fn listen() -> Result<Self, CliError> {
        // A process that must obey signals must not block on a stopped terminal.
        lane::begin();
        let listen = |kind| signal(kind).map_err(CliError::Signals);
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// Waits for a signal.
    pub(super) async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
        RECEIVED.store(true, Ordering::Relaxed);
    }
}
