//! Notifications to systemd.

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

/// The daemon is stopping.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// The daemon makes progress, for the watchdog.
pub(super) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// The interval of the watchdog, if there is one.
pub(super) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

fn tell(state: &[NotifyState<'_>]) {
    // Without systemd there is nothing to notify.
    let _ = sd_notify::notify(state);
}
