//! The looks of readers at one HAProxy. They have a connection of their own, so that no order waits for one, and one look
//! answers all who asked before it began.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::look::{Look, look_at, look_at_all};
use super::order::Order;
use super::report::InstanceReport;
use super::shared::Shared;
use super::{Refresh, old_workers};
use crate::farm::{Off, Process, Seen};
use crate::haproxy::commands::{Session, ShowSessions};
use crate::haproxy::{AdminState, BackendName, Client, Error, Master, ServerRef};
use crate::platform::{Clock, Platform, chain};

/// Backends that a reader wants looked at, everything where none are named, and where the answer goes.
type Ask = (Option<BTreeSet<BackendName>>, oneshot::Sender<InstanceReport>);

/// What readers ask one HAProxy by.
#[derive(Debug)]
pub(crate) struct Looks {
    /// With a place of its own at HAProxy.
    pub(crate) client: Arc<Client>,
    pub(crate) master: Option<Arc<Master>>,
    asks: mpsc::Sender<Ask>,
    reports: watch::Receiver<InstanceReport>,
    sessions: Shared<Result<Vec<Session>, Error>>,
}

impl Looks {
    /// Looks at these backends, at every one where none are named. What HAProxy was told is as its observer has reported.
    pub(crate) async fn look(&self, backends: Option<BTreeSet<BackendName>>) -> InstanceReport {
        let (asked, answer) = oneshot::channel();
        // One that has ended goes with its engine: then there is nothing newer.
        let sent = self.asks.send((backends, asked)).await.is_ok();
        let answer = if sent { answer.await.ok() } else { None };
        answer.unwrap_or_else(|| self.reports.borrow().clone())
    }

    /// Every session.
    pub(crate) async fn sessions(&self) -> Arc<Result<Vec<Session>, Error>> {
        self.sessions.get(async || self.client.ask(&ShowSessions).await).await
    }
}

/// Takes these looks, one at a time.
pub(crate) struct Looker {
    client: Arc<Client>,
    clock: Clock,
    orders: watch::Receiver<Order>,
    reports: watch::Receiver<InstanceReport>,
    refresh: mpsc::Sender<Refresh>,
    asks: mpsc::Receiver<Ask>,
}

impl Looker {
    /// Begins to look for readers, beside an observer.
    pub(crate) fn start(
        client: &Client,
        master: Option<&Master>,
        (orders, reports): (&watch::Sender<Order>, &watch::Receiver<InstanceReport>),
        refresh: mpsc::Sender<Refresh>,
        platform: &Platform,
    ) -> Looks {
        let (client, master) = (Arc::new(client.beside()), master.map(|master| Arc::new(master.beside())));
        let (asks, asked) = mpsc::channel(ASKED_AT_ONCE);
        let looker = Self {
            client: Arc::clone(&client),
            clock: platform.clock,
            orders: orders.subscribe(),
            reports: reports.clone(),
            refresh,
            asks: asked,
        };
        platform.spawn_for_reader(looker.run());
        Looks { client, master, asks, reports: reports.clone(), sessions: Shared::new(platform.clock) }
    }

    async fn run(mut self) {
        while let Some((mut backends, first)) = self.asks.recv().await {
            let mut asked = vec![first];
            while let Ok((more, answer)) = self.asks.try_recv() {
                backends = backends.zip(more).map(|(mut all, more)| {
                    all.extend(more);
                    all
                });
                asked.push(answer);
            }
            let began = self.clock.mark();
            let report = self.look(backends.as_ref()).await;
            for answer in asked {
                // Who has gone needs no answer.
                answer.send(report.clone()).ok();
            }
            drop(report);
            // Readers without rest have HAProxy print for half of the time at most.
            tokio::time::sleep(began.elapsed().min(REST)).await;
        }
    }

    async fn look(&self, backends: Option<&BTreeSet<BackendName>>) -> InstanceReport {
        let (revision, keys, before) = {
            let order = self.orders.borrow();
            (order.revision, Arc::clone(&order.keys), order.before())
        };
        // What was ordered a moment ago is seen carried out, or why it was not.
        let mut reports = self.reports.clone();
        let carried_out = reports.wait_for(|report| report.order >= revision);
        tokio::time::timeout(ORDER_TAKES, carried_out).await.map(drop).unwrap_or_default();
        let known = self.reports.borrow().seen.clone();
        let part = match (backends, &known) {
            (Some(backends), Some(seen)) => look_at(&self.client, backends, &seen.backends, &keys).await,
            _ => Ok(None),
        };
        let (found, part) = match part {
            Ok(Some(look)) => (Ok(look), backends),
            Ok(None) => (look_at_all(&self.client, &keys).await, None),
            Err(error) => (Err(error), None),
        };
        let mut report = self.reports.borrow().clone();
        let look = match found {
            Ok(look) => look,
            Err(error) => {
                report.reachable = false;
                report.trouble = Some(chain(&error));
                return report;
            }
        };
        let process = Process::first_seen(&look.info, self.clock.now());
        match report.seen.take() {
            Some(seen) if report.reachable && !look.stopping && seen.process().is_same(&process) => {
                report.level = look.level.or(report.level);
                report.seen = Some(Arc::new(onto(look, &seen, part, &report, before)));
                report.at = self.clock.now();
                report
            }
            // Another process, or one that has come back: the observer is to know at once, and knows what else is new.
            _ => self.observed().await,
        }
    }

    /// What the observer sees when it looks again.
    async fn observed(&self) -> InstanceReport {
        let (done, seen) = oneshot::channel();
        if self.refresh.send((None, done)).await.is_ok() {
            seen.await.ok();
        }
        self.reports.borrow().clone()
    }
}

/// What was seen, with a look at all of it, or at some backends, and with what only the observer knows.
fn onto(
    look: Look,
    seen: &Seen,
    part: Option<&BTreeSet<BackendName>>,
    report: &InstanceReport,
    before: BTreeMap<ServerRef, AdminState>,
) -> Seen {
    let mut now = look.onto(Some(seen), part);
    now.started = seen.started;
    old_workers::add_to(&mut now, &report.old, part);
    for (backend, off) in seen.off.iter().filter(|(_, off)| **off == Off::Refuses) {
        now.off.entry(backend.clone()).or_insert(*off);
    }
    now.before = before;
    now
}

/// As many readers are taken note of at once; others wait for a moment.
const ASKED_AT_ONCE: usize = 64;

/// An order that takes longer is not waited for.
const ORDER_TAKES: Duration = Duration::from_secs(1);

/// However long a look takes, the next reader does not wait longer for its beginning.
const REST: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::FutureExt as _;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::haproxy::{Address, Connect, Connecting};

    /// A HAProxy that accepts each connection when the test allows it.
    #[derive(Debug, Clone)]
    struct Door {
        came: Arc<AtomicUsize>,
        answers: Arc<Semaphore>,
    }

    impl Connect for Door {
        fn connect(&self) -> Connecting<'_> {
            self.came.fetch_add(1, Ordering::SeqCst);
            Box::pin(async {
                self.answers.acquire().await.expect("it is open").forget();
                Err(io::Error::other("closed"))
            })
        }
    }

    fn looks(door: &Door) -> (Looks, Client) {
        let platform = Platform::default();
        let address = Address::Unix("/nowhere".into());
        let client = Client::over(address, Box::new(door.clone()), Duration::from_secs(3600));
        let (orders, _) = watch::channel(Order::default());
        let (_, reports) = watch::channel(InstanceReport::first(platform.clock.now(), "".into()));
        let (refresh, _) = mpsc::channel(1);
        (Looker::start(&client, None, (&orders, &reports), refresh, &platform), client)
    }

    #[tokio::test]
    async fn one_look_answers_all_who_asked_before_it_began() {
        let door = Door { came: Arc::default(), answers: Arc::new(Semaphore::new(0)) };
        let (looks, _) = looks(&door);
        let mut first = looks.look(None).boxed();
        while door.came.load(Ordering::SeqCst) == 0 {
            assert!((&mut first).now_or_never().is_none());
            tokio::task::yield_now().await;
        }
        // These come too late for it.
        let mut others: Vec<_> = (0..20).map(|_| looks.look(None).boxed()).collect();
        assert!(others.iter_mut().all(|other| other.now_or_never().is_none()));
        door.answers.add_permits(1);
        assert!(!first.await.reachable);
        assert!(others.iter_mut().all(|other| other.now_or_never().is_none()));
        door.answers.add_permits(1);
        futures_util::future::join_all(others).await;
        assert_eq!(door.came.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn orders_have_a_connection_that_readers_do_not_take() {
        let door = Door { came: Arc::default(), answers: Arc::new(Semaphore::new(0)) };
        let (looks, client) = looks(&door);
        let mut readers: Vec<_> = (0..20).map(|_| looks.sessions().boxed()).collect();
        assert!(readers.iter_mut().all(|reader| reader.now_or_never().is_none()));
        let order = crate::haproxy::commands::ShowInfo;
        let mut order = client.ask(&order).boxed();
        assert!((&mut order).now_or_never().is_none());
        // One of the readers and the order have come to HAProxy.
        assert_eq!(door.came.load(Ordering::SeqCst), 2);
        door.answers.add_permits(2);
        assert!(order.await.is_err());
        assert!(readers.swap_remove(0).await.is_err());
    }
}
