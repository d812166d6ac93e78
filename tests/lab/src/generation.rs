//! One version of an application server: its answers, its start and its end.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;

use crate::app::ColdStart;
use crate::request::plain;

/// One version's time of service.
pub(crate) struct Generation {
    stopped: AtomicBool,
    broken: AtomicUsize,
    /// The fields with the server's name and version, ready to be sent.
    pub(crate) marks: String,
    pub(crate) hello: String,
    /// Whether the version is named `bad`: then it answers clients with errors, while its `/_status` is healthy.
    pub(crate) status: &'static str,
    /// The complete answer to `/`, which must be fast.
    pub(crate) root: Vec<u8>,
    /// The server, its version and its build time, as JSON.
    pub(crate) about: String,
    /// The build time as in HTTP.
    pub(crate) built: String,
    /// The number of slow answers to `/` that are left, and their time.
    cold: AtomicUsize,
    cold_takes: Duration,
}

impl Generation {
    pub(crate) fn new(name: &str, version: &str, cold_start: ColdStart) -> Self {
        let built = Timestamp::now();
        let marks = format!("x-version: {version}\r\nx-server: {name}\r\n");
        let hello = format!("{name} {version}\n");
        let status = if version.contains("bad") { "500 Internal Server Error" } else { "200 OK" };
        let root = plain(status, &marks, &hello, false, true);
        let about = serde_json::json!({"app": {"name": name, "version": version}, "built": built.to_string()});
        Self {
            stopped: AtomicBool::new(false),
            broken: AtomicUsize::new(0),
            marks,
            hello,
            status,
            root,
            about: format!("{about}\n"),
            built: built.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string(),
            cold: AtomicUsize::new(cold_start.answers),
            cold_takes: cold_start.takes,
        }
    }

    /// The time of a slow answer, while there are any left.
    pub(crate) fn cold(&self) -> Option<Duration> {
        let less = |cold: usize| cold.checked_sub(1);
        self.cold.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).ok().map(|_| self.cold_takes)
    }

    /// From here on, a request that ends unfinished was cut off by the server.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// A request ended unfinished.
    pub(crate) fn broke(&self) {
        self.broken.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn broken(&self) -> usize {
        self.broken.load(Ordering::SeqCst)
    }
}
