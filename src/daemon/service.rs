//! Notifications to systemd.

use std::time::Duration;

use sd_notify::NotifyState;

/// Reports that the daemon serves.
pub(super) fn ready() {
    notify(&[NotifyState::Ready]);
}

/// Reports that the configuration is being read again.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(_) => notify(&[NotifyState::Reloading]),
    }
}

/// Reports that the daemon is stopping.
pub(super) fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Notifies the watchdog.
pub(super) fn alive() {
    notify(&[NotifyState::Watchdog]);
}

/// The interval of the watchdog; `None` if the unit has none.
pub(super) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

fn notify(state: &[NotifyState<'_>]) {
    // Without systemd there is nothing to notify.
    let _ = sd_notify::notify(state);
}
