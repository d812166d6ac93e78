//! One version of an application server: what it answers, and how it begins and ends.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;

use crate::asked::plain;

/// One version's time of service.
pub(crate) struct Generation {
    stopped: AtomicBool,
    broken: AtomicUsize,
    /// The fields that tell who answered, ready to be sent.
    pub(crate) marks: String,
    pub(crate) hello: String,
    /// A version that is called bad breaks down where visitors meet it, while its `/_status` is well.
    pub(crate) status: &'static str,
    /// The whole answer to `/`: it is the one that must be fast.
    pub(crate) root: Vec<u8>,
    /// The same facts as JSON, with the time of the build.
    pub(crate) about: String,
    /// That time as in HTTP.
    pub(crate) built: String,
    /// How many more answers to `/` are slow, and how slow.
    cold: AtomicUsize,
    cold_takes: Duration,
}

impl Generation {
    /// A version that begins with so many slow answers.
    pub(crate) fn new(name: &str, version: &str, (cold, cold_takes): (usize, Duration)) -> Self {
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
            cold: AtomicUsize::new(cold),
            cold_takes,
        }
    }

    /// How long a cold answer takes, as long as there are any to come.
    pub(crate) fn cold(&self) -> Option<Duration> {
        let less = |cold: usize| cold.checked_sub(1);
        self.cold.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).ok().map(|_| self.cold_takes)
    }

    /// From here on, a request that ends unfinished was broken by the server.
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
