//! What systemd is told.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;

use crate::engine::Engine;

/// The daemon serves.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The configuration is being read again.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// The daemon ends.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Tells the watchdog, where there is one, that the engine still answers. An engine that does not is restarted.
pub(super) fn keep_watchdog(engine: Arc<Engine>) {
    let Some(every) = sd_notify::watchdog_enabled() else { return };
    tokio::spawn(async move {
        loop {
            if tokio::time::timeout(every / 2, engine.hold_views()).await.is_ok() {
                tell(&[NotifyState::Watchdog]);
            }
            tokio::time::sleep((every / 3).max(Duration::from_millis(100))).await;
        }
    });
}

fn tell(state: &[NotifyState<'_>]) {
    // Nobody listens where systemd did not start the daemon.
    sd_notify::notify(state).unwrap_or_default();
}
