//! What systemd is told.

use std::time::Duration;

use sd_notify::NotifyState;

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

/// The daemon goes on.
pub(super) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// How often the watchdog wants to be told that, where there is one.
pub(super) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

fn tell(state: &[NotifyState<'_>]) {
    // Nobody listens where systemd did not start the daemon.
    sd_notify::notify(state).unwrap_or_default();
}
