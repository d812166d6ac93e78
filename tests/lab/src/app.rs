//! The application server behind HAProxy.
//!
//! It runs in a thread of its own, so that it serves at full speed whatever the test's runtime does. It ends when
//! dropped. It counts the requests that it serves and those that it cut off when it was replaced, and tests compare
//! teeter's "drained" with these counts. Its thread is in `running`, its answers are in `http1` and `http2`. It speaks
//! HTTP/1 and HTTP/2 without TLS. It echoes a connection that begins with `TCP`.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use crate::ports::free_addr;
use crate::running::{Order, gone, order, run};

/// The settings of an application server.
#[derive(Debug, Clone)]
pub struct AppSpec {
    /// Its name, sent as `x-server`.
    pub name: String,
    /// Its version, sent as `x-version`.
    pub version: String,
    /// The address that it listens on.
    pub listen: SocketAddr,
    /// The time that it takes for `/` is in this range. An empty range is no time.
    pub work: Range<Duration>,
}

/// One replacement of the running version; see [`App::log_of_replacements`].
#[derive(Debug, Clone)]
pub struct Replacement {
    /// When the old version was stopped.
    pub at: Instant,
    /// The number of requests in flight at that moment. All of them were cut off.
    pub in_flight: usize,
    /// The new version.
    pub version: String,
}

/// A running application server.
#[derive(Debug)]
pub struct App {
    shared: Arc<Shared>,
    orders: mpsc::UnboundedSender<Order>,
    thread: Option<JoinHandle<()>>,
    admin: SocketAddr,
}

/// The slow first answers of a version to `/`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ColdStart {
    /// The number of slow answers.
    pub(crate) answers: usize,
    /// The time of each.
    pub(crate) takes: Duration,
}

/// The state that the server's thread and its owner share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) name: String,
    pub(crate) addr: SocketAddr,
    pub(crate) work: Range<Duration>,
    pub(crate) healthy: AtomicBool,
    pub(crate) in_flight: AtomicUsize,
    pub(crate) served: AtomicU64,
    pub(crate) broken: AtomicU64,
    pub(crate) abandoned: AtomicU64,
    /// Requests other than to `/_status` that have begun, until just before the last byte of the answer is sent.
    pub(crate) begun: AtomicU64,
    pub(crate) busy: AtomicUsize,
    /// When the last of these ended, in nanoseconds since 1970; 0 before the first.
    pub(crate) last_end: AtomicU64,
    /// When the last answer other than to `/_status` was written, in nanoseconds since 1970; 0 before the first.
    pub(crate) last_answer: AtomicU64,
    /// Slow answers that clients other than teeter got.
    pub(crate) cold_visitors: AtomicUsize,
    version: Mutex<String>,
    /// The slow first answers of the next version.
    cold_start: Mutex<ColdStart>,
    log: Mutex<Vec<Replacement>>,
}

impl App {
    /// Starts a server on a free port of 127.0.0.1.
    pub async fn start(name: &str, version: &str) -> io::Result<Self> {
        Self::start_on(free_addr()?, name, version).await
    }

    /// Starts a server on this address.
    pub async fn start_on(listen: SocketAddr, name: &str, version: &str) -> io::Result<Self> {
        Self::start_spec(AppSpec {
            name: name.to_owned(),
            version: version.to_owned(),
            listen,
            work: Duration::ZERO..Duration::ZERO,
        })
        .await
    }

    /// Starts a server with these settings.
    pub async fn start_spec(spec: AppSpec) -> io::Result<Self> {
        let admin = free_addr()?;
        let shared = Arc::new(Shared {
            name: spec.name.clone(),
            addr: spec.listen,
            work: spec.work,
            healthy: AtomicBool::new(true),
            in_flight: AtomicUsize::new(0),
            served: AtomicU64::new(0),
            broken: AtomicU64::new(0),
            abandoned: AtomicU64::new(0),
            begun: AtomicU64::new(0),
            busy: AtomicUsize::new(0),
            last_end: AtomicU64::new(0),
            last_answer: AtomicU64::new(0),
            cold_visitors: AtomicUsize::new(0),
            version: Mutex::new(spec.version),
            cold_start: Mutex::default(),
            log: Mutex::new(Vec::new()),
        });
        let (orders, inbox) = mpsc::unbounded_channel();
        let (ready, started) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = {
            let shared = Arc::clone(&shared);
            let orders = orders.clone();
            std::thread::Builder::new()
                .name(format!("app-{}", spec.name))
                .spawn(move || runtime.block_on(run(shared, admin, orders, inbox, ready)))?
        };
        let app = Self { shared, orders, thread: Some(thread), admin };
        started.await.map_err(|_| gone())??;
        Ok(app)
    }

    /// The address that it serves.
    pub fn addr(&self) -> SocketAddr {
        self.shared.addr
    }

    /// The address of its administration port: `POST /replace?version=v2`, `/healthy`, `/unhealthy`, `/stop`, `/start`,
    /// and `GET /state`.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The version it runs, or ran last.
    pub fn version(&self) -> String {
        self.shared.version()
    }

    /// Requests whose head was read and whose answer is not completely written. An open `/ws` counts as one.
    pub fn in_flight(&self) -> usize {
        self.shared.in_flight.load(Ordering::SeqCst)
    }

    /// Requests answered to the last byte.
    pub fn served(&self) -> u64 {
        self.shared.served.load(Ordering::SeqCst)
    }

    /// Requests in flight that were cut off by [`App::replace`] or [`App::stop`].
    pub fn broken(&self) -> u64 {
        self.shared.broken.load(Ordering::SeqCst)
    }

    /// Requests whose client had disconnected before the answer was written.
    pub fn abandoned(&self) -> u64 {
        self.shared.abandoned.load(Ordering::SeqCst)
    }

    /// Requests other than `/_status` that it has begun and not finished. A request counts as finished just before its
    /// last byte is sent, so that a client with the whole answer never finds it still counted. A connection without
    /// HTTP counts from its first bytes to its end.
    pub fn busy(&self) -> usize {
        self.shared.busy.load(Ordering::SeqCst)
    }

    /// Requests other than `/_status` that it has ever received.
    pub fn begun(&self) -> u64 {
        self.shared.begun.load(Ordering::SeqCst)
    }

    /// When the last of these ended, in nanoseconds since 1970; 0 before the first.
    pub fn last_end(&self) -> u64 {
        self.shared.last_end.load(Ordering::SeqCst)
    }

    /// From now on, the first answers of each new version to `/` are slow: this many, each with this time.
    pub fn set_cold(&self, answers: usize, takes: Duration) {
        *lock(&self.shared.cold_start) = ColdStart { answers, takes };
    }

    /// The number of slow answers that clients other than teeter got.
    pub fn cold_visitors(&self) -> usize {
        self.shared.cold_visitors.load(Ordering::SeqCst)
    }

    /// Makes `/_status` answer 200 or 503.
    pub fn set_healthy(&self, healthy: bool) {
        self.shared.healthy.store(healthy, Ordering::SeqCst);
    }

    /// Replaces the version, as a deploy does: it stops listening, drops every connection at once, and serves the new
    /// version on the same port.
    pub async fn replace(&self, version: &str) -> io::Result<()> {
        let version = version.to_owned();
        order(&self.orders, |done| Order::Replace(version, done)).await
    }

    /// Stops listening and drops every connection at once.
    pub async fn stop(&self) -> io::Result<()> {
        order(&self.orders, Order::Stop).await
    }

    /// Serves again after [`App::stop`].
    pub async fn start_again(&self) -> io::Result<()> {
        order(&self.orders, Order::Start).await
    }

    /// Every replacement so far, oldest first.
    pub fn log_of_replacements(&self) -> Vec<Replacement> {
        lock(&self.shared.log).clone()
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.orders.send(Order::Quit);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    pub(crate) fn version(&self) -> String {
        lock(&self.version).clone()
    }

    pub(crate) fn cold_start(&self) -> ColdStart {
        *lock(&self.cold_start)
    }

    /// Records a replacement.
    pub(crate) fn replaced(&self, replacement: Replacement) {
        lock(&self.version).clone_from(&replacement.version);
        lock(&self.log).push(replacement);
    }
}

/// These values stay correct after a panic elsewhere.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
