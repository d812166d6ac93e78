//! The signals that ask a command to stop: it then prints what it leaves behind.

use std::sync::atomic::{AtomicU8, Ordering};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::error::CliError;
use super::lane;
use crate::api::Exit;

/// The exit code that the first signal asks for; zero while none has arrived.
static RECEIVED: AtomicU8 = AtomicU8::new(0);

/// Whether this process was asked to stop.
pub(super) fn was_received() -> bool {
    RECEIVED.load(Ordering::Relaxed) != 0
}

/// The exit code of a command that a signal has stopped: Ctrl-C is the decision of the user, and other signals make the
/// command fail.
pub(super) fn exit() -> Exit {
    if RECEIVED.load(Ordering::Relaxed) == Exit::Interrupted as u8 { Exit::Interrupted } else { Exit::Failed }
}

/// The exit code of a command whose run has ended with `exit`, perhaps because Ctrl-C has ended its hook.
pub(super) fn exit_unless_interrupted(exit: Exit) -> Exit {
    if exit == Exit::Failed { self::exit() } else { exit }
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
        let exit = tokio::select! {
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.terminate.recv() => Exit::Failed,
            _ = self.hangup.recv() => Exit::Failed,
        };
        // The first signal decides.
        let _ = RECEIVED.compare_exchange(0, exit as u8, Ordering::Relaxed, Ordering::Relaxed);
    }
}
