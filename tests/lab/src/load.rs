//! The load generator: clients that keep a connection and send the next request as soon as they have an answer.
//!
//! It runs in one thread of its own without locks between clients, so that time stamps are in the true order and a busy
//! test runtime does not look like a slow server. Every request is recorded.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{sleep, timeout};

use crate::load_client::{Book, Client, Counts};
use crate::report::LoadReport;

/// The time for requests in flight to finish after the end.
const LAST_CALL: Duration = Duration::from_secs(10);

/// The settings of a load.
#[derive(Debug, Clone)]
pub struct LoadSpec {
    /// The address of HAProxy's frontend.
    pub target: SocketAddr,
    /// The number of clients.
    pub connections: usize,
    /// The number of clients that open a connection for each request.
    pub fresh: usize,
    /// The pause of a client between an answer and its next request.
    pub pause: Duration,
    /// The path that they request.
    pub path: String,
    /// Another path, and after how many requests a client requests it.
    pub slow_every: Option<(u32, String)>,
    /// Whether clients keep cookies.
    pub cookies: bool,
    /// The time after which the load ends by itself.
    pub max: Duration,
}

impl LoadSpec {
    /// Eight clients that request `/` without a pause, for at most a minute.
    pub fn new(target: SocketAddr) -> Self {
        Self {
            target,
            connections: 8,
            fresh: 0,
            pause: Duration::ZERO,
            path: "/".to_owned(),
            slow_every: None,
            cookies: false,
            max: Duration::from_secs(60),
        }
    }
}

/// A running load. Dropping it ends it at once.
#[derive(Debug)]
pub struct Load {
    stop: watch::Sender<bool>,
    counts: Arc<Counts>,
    cuts: mpsc::UnboundedSender<Cut>,
    report: oneshot::Receiver<LoadReport>,
    thread: JoinHandle<()>,
}

/// The channel for a part of the report.
type Cut = oneshot::Sender<LoadReport>;

impl Load {
    /// Starts the load. Requests are being sent when this returns.
    pub fn start(spec: LoadSpec) -> io::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let (done, report) = oneshot::channel();
        let (cuts, inbox) = mpsc::unbounded_channel();
        let counts = Arc::new(Counts::default());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = {
            let counts = Arc::clone(&counts);
            std::thread::Builder::new().name("load".to_owned()).spawn(move || {
                let report = LocalSet::new().block_on(&runtime, run(spec, counts, stopped, inbox));
                let _ = done.send(report);
            })?
        };
        Ok(Self { stop, counts, cuts, report, thread })
    }

    /// Requests ended so far.
    pub fn count(&self) -> u64 {
        self.counts.all.load(Ordering::Relaxed)
    }

    /// Failures so far.
    pub fn failures(&self) -> u64 {
        self.counts.failed.load(Ordering::Relaxed)
    }

    /// Waits until this many more requests have ended. `false`: it takes longer than ten seconds.
    pub async fn more(&self, requests: u64) -> bool {
        let goal = self.count() + requests;
        let reached = async {
            while self.count() < goal {
                sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(Duration::from_secs(10), reached).await.is_ok()
    }

    /// Takes the requests that have ended since the last cut out of the report, while the load goes on. So a long load
    /// can be examined in parts and need not stay in memory. Requests under way belong to a later part.
    pub async fn cut(&self) -> io::Result<LoadReport> {
        let (cut, part) = oneshot::channel();
        self.cuts.send(cut).map_err(|_| io::Error::other("the load has ended"))?;
        part.await.map_err(io::Error::other)
    }

    /// Lets the requests in flight finish, for ten seconds at most, and returns the report.
    pub async fn stop(self) -> io::Result<LoadReport> {
        let _ = self.stop.send(true);
        self.finished().await
    }

    /// Waits until the load ends by itself.
    pub async fn finished(self) -> io::Result<LoadReport> {
        let Self { stop, report, thread, .. } = self;
        let report = report.await.map_err(io::Error::other)?;
        drop(stop);
        let _ = thread.join();
        Ok(report)
    }
}

async fn run(
    spec: LoadSpec,
    counts: Arc<Counts>,
    mut stop: watch::Receiver<bool>,
    mut cuts: mpsc::UnboundedReceiver<Cut>,
) -> LoadReport {
    let book = Rc::new(RefCell::new(Book::new(spec.connections, counts)));
    let (end, ended) = watch::channel(false);
    let mut clients = JoinSet::new();
    for conn in 0..spec.connections {
        let client = Client::new(conn, spec.clone(), Rc::clone(&book), ended.clone());
        clients.spawn_local(client.run());
    }
    let until_stopped = async {
        loop {
            tokio::select! {
                stopped = stop.wait_for(|stop| *stop) => return stopped.is_ok(),
                Some(cut) = cuts.recv() => {
                    let _ = cut.send(book.borrow_mut().part());
                }
            }
        }
    };
    // If it was not stopped, its owner has dropped it and does not wait for the last requests.
    let dropped = timeout(spec.max, until_stopped).await.is_ok_and(|stopped| !stopped);
    let _ = end.send(true);
    if !dropped {
        let all = async { while clients.join_next().await.is_some() {} };
        let _ = timeout(LAST_CALL, all).await;
    }
    clients.shutdown().await;
    book.borrow_mut().report()
}
