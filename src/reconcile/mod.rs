//! One HAProxy: an `Order` comes in, an `InstanceReport` goes out. This module uses the model, the wire and the
//! platform, but not the store.
//!
//! The `observer` is the task of one HAProxy: it looks, compares with the order, sends the difference and reads back.

mod drift;
mod look;
mod map_file;
mod map_files;
mod map_version;
mod observer;
mod old_workers;
mod order;
mod pace;
mod reader_looks;
mod report;
mod scope;
mod send;
mod session_list;
mod shared;
mod stick_tables;
mod unread;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};

pub(crate) use self::drift::Drift;
pub(crate) use self::look::{Look, look_at_all};
pub use self::map_file::MapWriters;
use self::observer::Observer;
pub(crate) use self::order::{Draining, Order};
use self::reader_looks::{Looker, Looks, Observed};
pub(crate) use self::report::InstanceReport;
use crate::farm::InstanceName;
use crate::haproxy::{BackendName, Client, Master};

/// One HAProxy, for the rest of the engine.
#[derive(Debug)]
pub(crate) struct Instance {
    /// The connection for orders, and for reads that an order depends on.
    pub(crate) client: Arc<Client>,
    /// Looks for readers, on a connection of their own.
    pub(crate) looks: Looks,
    pub(crate) orders: watch::Sender<Order>,
    pub(crate) reports: watch::Receiver<InstanceReport>,
    refresh: mpsc::Sender<Refresh>,
    master: Option<Arc<Master>>,
    rounds: Arc<AtomicU64>,
}

/// What the observers of all HAProxy instances share.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    /// The machine, and the writers of map files.
    pub(crate) maps: MapWriters,
    /// Whether another teeterd may have sent commands whose replies it has not read.
    pub(crate) resumes: bool,
    /// Notified with every report.
    pub(crate) nudge: Arc<Notify>,
}

/// A look that a change needs at once.
#[derive(Debug)]
pub(crate) struct Refresh {
    /// The backends to look at; `None`: all.
    backends: Option<BTreeSet<BackendName>>,
    /// Gets a message when the look has been reported.
    done: oneshot::Sender<()>,
}

impl Instance {
    /// Starts to observe.
    pub(crate) fn start(name: InstanceName, client: Client, master: Option<Master>, setup: &Setup) -> Self {
        let platform = &setup.maps.platform;
        let (client, master) = (Arc::new(client), master.map(Arc::new));
        let reloaded = Arc::new(Notify::new());
        if let Some(master) = &master {
            platform.spawn(old_workers::watch(Arc::clone(master), Arc::downgrade(&reloaded)));
        }
        let (orders, order_rx) = watch::channel(Order::default());
        let first = InstanceReport::first(platform.clock.now(), client.address().to_string().into());
        let (report_tx, reports) = watch::channel(first.clone());
        let (refresh, refresh_rx) = mpsc::channel(32);
        let rounds = Arc::<AtomicU64>::default();
        let observed = Observed { orders: orders.subscribe(), reports: reports.clone(), refresh: refresh.clone() };
        let looks = Looker::start(&client, master.as_deref(), observed, platform);
        let ends = observer::Ends {
            client: Arc::clone(&client),
            master: master.clone(),
            orders: order_rx,
            reports: report_tx,
            refresh: refresh_rx,
            reloaded,
            rounds: Arc::clone(&rounds),
        };
        let observer = Observer::new(name, ends, first, setup);
        platform.spawn(observer.run());
        Self { client, looks, orders, reports, refresh, master, rounds }
    }

    /// A number that rises as long as the observer makes progress: with each round, and within a round with each
    /// request to HAProxy that is answered or fails.
    pub(crate) fn progress(&self) -> u64 {
        let master = self.master.as_ref().map_or(0, |master| master.ended());
        self.rounds.load(Ordering::Relaxed) + self.client.ended() + master
    }

    /// Lets the observer look at these backends now, or at all for `None`, and returns when the look has been reported.
    pub(crate) async fn look_again(&self, backends: Option<BTreeSet<BackendName>>) {
        look_now(&self.refresh, backends).await;
    }
}

/// Lets the observer look at these backends now, or at all for `None`, and returns when the look has been reported.
async fn look_now(refresh: &mpsc::Sender<Refresh>, backends: Option<BTreeSet<BackendName>>) {
    let (done, reported) = oneshot::channel();
    if refresh.send(Refresh { backends, done }).await.is_ok() {
        // An observer that ends closes the channel: there is no newer report to wait for.
        let _ = reported.await;
    }
}

/// How long HAProxy may take for one line. It answers in milliseconds unless it is stopped or overloaded.
pub const ANSWER_TAKES: Duration = Duration::from_secs(5);
