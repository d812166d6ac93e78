//! TERM and INT end the daemon, HUP reads the configuration again.

use std::io;

use futures_util::StreamExt;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook_tokio::SignalsInfo;

/// Listens for the signals from its creation on.
pub(super) struct Signals(SignalsInfo);

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        SignalsInfo::new([SIGTERM, SIGINT, SIGHUP]).map(Self)
    }

    /// Calls `reload` at every HUP; returns when the daemon must stop.
    pub(super) async fn handle(mut self, reload: impl AsyncFn()) {
        while let Some(signal) = self.0.next().await {
            if signal != SIGHUP {
                return;
            }
            reload().await;
        }
    }
}
