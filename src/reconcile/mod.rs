//! One HAProxy: an `Order` comes in, an `InstanceReport` goes out. This module knows the model, the wire and the
//! platform, and nothing of what is stored.
//!
//! The `observer` is the task of one HAProxy process: it looks, compares with the order, sends the difference and reads back.

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
use self::reader_looks::{Looker, Looks};
pub(crate) use self::report::InstanceReport;
use crate::farm::InstanceName;
use crate::haproxy::{BackendName, Client, Master};

/// One HAProxy, for the rest of the engine.
#[derive(Debug)]
pub(crate) struct Instance {
    /// For orders, and for what has to be known before one is given.
    pub(crate) client: Arc<Client>,
    /// For everybody who only looks.
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

/// Backends that a change wants looked at, everything where none are named, and who wants to be told.
pub(crate) type Refresh = (Option<BTreeSet<BackendName>>, oneshot::Sender<()>);

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
        let looks = Looker::start(&client, master.as_deref(), (&orders, &reports), refresh.clone(), platform);
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

    /// Rises for as long as its observer goes on: with each of its rounds, and with each answer in one, or its absence.
    pub(crate) fn progress(&self) -> u64 {
        let asked = self.master.as_ref().map_or(0, |master| master.ended());
        self.rounds.load(Ordering::Relaxed) + self.client.ended() + asked
    }

    /// Looks, for a change, at these backends now, at every one where none are named, and returns when that has been reported.
    pub(crate) async fn look_again(&self, backends: Option<BTreeSet<BackendName>>) {
        let (done, seen) = oneshot::channel();
        if self.refresh.send((backends, done)).await.is_ok() {
            // An observer that ends takes the channel with it: then there is nothing newer to wait for.
            seen.await.ok();
        }
    }
}

/// How long HAProxy may take for one line. It answers in milliseconds unless it is stopped or overloaded.
pub const ANSWER_TAKES: Duration = Duration::from_secs(5);
