//! The looks of readers at one HAProxy. They have a connection of their own, so that no order waits for them. One look
//! answers all requests that arrived before it began.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::look::{Look, look_at, look_at_all};
use super::order::Order;
use super::report::InstanceReport;
use super::shared::Shared;
use super::{Refresh, look_now, old_workers};
use crate::farm::{Off, Process, Seen};
use crate::haproxy::commands::{Session, ShowSessions};
use crate::haproxy::{AdminState, BackendName, Client, Error, Master, ServerRef};
use crate::platform::{Clock, Platform, chain};

/// The request of a reader for a look.
#[derive(Debug)]
struct Ask {
    /// The backends to look at; `None`: all.
    backends: Option<BTreeSet<BackendName>>,
    answer: oneshot::Sender<InstanceReport>,
}

/// The looks at one HAProxy, as readers request them.
#[derive(Debug)]
pub(crate) struct Looks {
    /// The connection of readers.
    pub(crate) client: Arc<Client>,
    pub(crate) master: Option<Arc<Master>>,
    asks: mpsc::Sender<Ask>,
    reports: watch::Receiver<InstanceReport>,
    sessions: Shared<Result<Vec<Session>, Error>>,
}

impl Looks {
    /// Looks at these backends, or at all for `None`. The facts that only the observer knows are from its last report.
    pub(crate) async fn look(&self, backends: Option<BTreeSet<BackendName>>) -> InstanceReport {
        let (answer, answered) = oneshot::channel();
        // A looker that has ended belongs to an engine that ends: there is no newer report.
        let sent = self.asks.send(Ask { backends, answer }).await.is_ok();
        let answer = if sent { answered.await.ok() } else { None };
        answer.unwrap_or_else(|| self.reports.borrow().clone())
    }

    /// All sessions of the process.
    pub(crate) async fn sessions(&self) -> Arc<Result<Vec<Session>, Error>> {
        self.sessions.get(async || self.client.ask(&ShowSessions).await).await
    }
}

/// The observer of the same HAProxy, as the looker reaches it.
pub(crate) struct Observed {
    pub(crate) orders: watch::Receiver<Order>,
    pub(crate) reports: watch::Receiver<InstanceReport>,
    pub(crate) refresh: mpsc::Sender<Refresh>,
}

/// The task that looks for readers, one look at a time.
pub(crate) struct Looker {
    client: Arc<Client>,
    clock: Clock,
    observed: Observed,
    asks: mpsc::Receiver<Ask>,
}

impl Looker {
    /// Begins to look for readers, beside an observer.
    pub(crate) fn start(client: &Client, master: Option<&Master>, observed: Observed, platform: &Platform) -> Looks {
        let (client, master) = (Arc::new(client.beside()), master.map(|master| Arc::new(master.beside())));
        let (asks, asked) = mpsc::channel(ASKED_AT_ONCE);
        let reports = observed.reports.clone();
        let looker = Self { client: Arc::clone(&client), clock: platform.clock, observed, asks: asked };
        platform.spawn_for_reader(looker.run());
        Looks { client, master, asks, reports, sessions: Shared::new(platform.clock) }
    }

    async fn run(mut self) {
        while let Some(Ask { mut backends, answer }) = self.asks.recv().await {
            let mut answers = vec![answer];
            while let Ok(Ask { backends: more, answer }) = self.asks.try_recv() {
                backends = backends.zip(more).map(|(mut all, more)| {
                    all.extend(more);
                    all
                });
                answers.push(answer);
            }
            let began = self.clock.mark();
            let report = self.look(backends.as_ref()).await;
            for answer in answers {
                // A reader that is gone needs no answer.
                let _ = answer.send(report.clone());
            }
            drop(report);
            // HAProxy prints for readers during half of the time at most.
            tokio::time::sleep(began.elapsed().min(REST)).await;
        }
    }

    async fn look(&self, backends: Option<&BTreeSet<BackendName>>) -> InstanceReport {
        let (revision, keys, before) = {
            let order = self.observed.orders.borrow();
            (order.revision, Arc::clone(&order.keys), order.states_without_holds())
        };
        // The answer must show the effect of earlier orders, or why they have none.
        let mut reports = self.observed.reports.clone();
        let carried_out = reports.wait_for(|report| report.order >= revision);
        let _ = tokio::time::timeout(ORDER_TAKES, carried_out).await.map(drop);
        let known = self.observed.reports.borrow().seen.clone();
        let part = match (backends, &known) {
            (Some(backends), Some(seen)) => look_at(&self.client, backends, &seen.backends, &keys).await,
            _ => Ok(None),
        };
        let (found, part) = match part {
            Ok(Some(look)) => (Ok(look), backends),
            Ok(None) => (look_at_all(&self.client, &keys).await, None),
            Err(error) => (Err(error), None),
        };
        let mut report = self.observed.reports.borrow().clone();
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
            // Another process, or one that answers again: the observer looks at once, and finds all that has changed.
            _ => {
                look_now(&self.observed.refresh, None).await;
                self.observed.reports.borrow().clone()
            }
        }
    }
}

/// Merges a look at all backends, or at some, into the state that was seen before, and adds the facts that only the
/// observer knows.
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

/// The number of requests in the queue; others wait for a place in it.
const ASKED_AT_ONCE: usize = 64;

/// How long a reader waits until an earlier order is carried out.
const ORDER_TAKES: Duration = Duration::from_secs(1);

/// The longest pause between two looks for readers.
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
    struct Gate {
        attempts: Arc<AtomicUsize>,
        answers: Arc<Semaphore>,
    }

    impl Connect for Gate {
        fn connect(&self) -> Connecting<'_> {
            self.attempts.fetch_add(1, Ordering::SeqCst);
            Box::pin(async {
                self.answers.acquire().await.expect("it is open").forget();
                Err(io::Error::other("closed"))
            })
        }
    }

    fn looks(gate: &Gate) -> (Looks, Client) {
        let platform = Platform::default();
        let address = Address::Unix("/nowhere".into());
        let client = Client::over(address, Box::new(gate.clone()), Duration::from_secs(3600));
        let (orders, _) = watch::channel(Order::default());
        let (_, reports) = watch::channel(InstanceReport::first(platform.clock.now(), "".into()));
        let (refresh, _) = mpsc::channel(1);
        let observed = Observed { orders: orders.subscribe(), reports, refresh };
        (Looker::start(&client, None, observed, &platform), client)
    }

    #[tokio::test]
    async fn one_look_answers_all_requests_that_arrived_before_it_began() {
        let gate = Gate { attempts: Arc::default(), answers: Arc::new(Semaphore::new(0)) };
        let (looks, _) = looks(&gate);
        let mut first = looks.look(None).boxed();
        while gate.attempts.load(Ordering::SeqCst) == 0 {
            assert!((&mut first).now_or_never().is_none());
            tokio::task::yield_now().await;
        }
        // These requests arrive after the first look has begun.
        let mut others: Vec<_> = (0..20).map(|_| looks.look(None).boxed()).collect();
        assert!(others.iter_mut().all(|other| other.now_or_never().is_none()));
        gate.answers.add_permits(1);
        assert!(!first.await.reachable);
        assert!(others.iter_mut().all(|other| other.now_or_never().is_none()));
        gate.answers.add_permits(1);
        futures_util::future::join_all(others).await;
        assert_eq!(gate.attempts.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn readers_do_not_take_the_connection_for_orders() {
        let gate = Gate { attempts: Arc::default(), answers: Arc::new(Semaphore::new(0)) };
        let (looks, client) = looks(&gate);
        let mut readers: Vec<_> = (0..20).map(|_| looks.sessions().boxed()).collect();
        assert!(readers.iter_mut().all(|reader| reader.now_or_never().is_none()));
        let order = crate::haproxy::commands::ShowInfo;
        let mut order = client.ask(&order).boxed();
        assert!((&mut order).now_or_never().is_none());
        // One reader and the order have connected to HAProxy.
        assert_eq!(gate.attempts.load(Ordering::SeqCst), 2);
        gate.answers.add_permits(2);
        assert!(order.await.is_err());
        assert!(readers.swap_remove(0).await.is_err());
    }
}
