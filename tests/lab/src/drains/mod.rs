//! Many drains under traffic of many kinds, each judged by the application server itself: was it really empty when
//! teeter said so, and did it stay empty until it was brought back?
//!
//! Traffic is such that HAProxy and the server must agree: no client goes away before its answer is there, and no
//! time limit of HAProxy's is met. A server that goes on working for a client who has gone, or after a 504, works on
//! a request that HAProxy has no more; no counter of HAProxy's can tell that.

mod clients;
mod judge;
mod kinds;
mod report;
mod site;

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;

use self::clients::Clients;
use self::judge::Drained;
use self::site::Site;
use crate::dice::Dice;

pub use self::kinds::Kind;
pub use self::report::DrainsReport;
pub use self::site::Programs;

/// Drains that are wanted.
#[derive(Debug, Clone)]
pub struct DrainsSpec {
    /// How many.
    pub count: usize,
    /// What decides by chance; the interleaving of processes remains.
    pub seed: u64,
    /// Under what traffic.
    pub kinds: Vec<Kind>,
    /// All of it takes less, or something hangs.
    pub limit: Duration,
}

/// Drains servers, one at a time of each kind, until `count` drains are done.
///
/// # Errors
/// Something could not be started, a command of teeter failed, or it took too long.
pub async fn run(spec: &DrainsSpec, programs: &Programs) -> io::Result<DrainsReport> {
    let site = Site::start(&spec.kinds, programs).await?;
    let done = tokio::time::timeout(spec.limit, drains(&site, spec)).await;
    done.unwrap_or_else(|_| Err(io::Error::other("not done in time"))).map_err(|error| {
        let log: Vec<_> = site.log().lines().rev().take(30).map(str::to_owned).collect();
        io::Error::other(format!(
            "{error}\nteeterd said last:\n{}",
            log.into_iter().rev().collect::<Vec<_>>().join("\n")
        ))
    })
}

async fn drains(site: &Site, spec: &DrainsSpec) -> io::Result<DrainsReport> {
    let dice = Dice::new(spec.seed);
    let clients: Vec<Clients> = (0..)
        .zip(&site.lanes)
        .map(|(number, lane)| Clients::start(lane.kind, lane.front, &dice.other(number)))
        .collect();
    let (begun, all) = (AtomicUsize::new(0), Mutex::new(Vec::<Drained>::new()));
    let each = (100..).zip(&site.lanes).map(|(number, lane)| {
        let (mut dice, begun, all) = (dice.other(number), &begun, &all);
        async move {
            while begun.fetch_add(1, Ordering::SeqCst) < spec.count {
                let drained = judge::drain(site, lane, &mut dice).await?;
                all.lock().await.push(drained);
            }
            io::Result::Ok(())
        }
    });
    let mut ended = Vec::new();
    for one in join(each).await {
        ended.push(one);
    }
    let mut report = DrainsReport::new(spec.seed, crate::Haproxy::version()?);
    for (lane, clients) in site.lanes.iter().zip(clients) {
        report.traffic(lane.kind, &*clients.stop().await);
    }
    ended.into_iter().collect::<io::Result<()>>()?;
    report.drains(all.into_inner());
    Ok(report)
}

/// Polls them all in one task, so that they may borrow.
async fn join<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut all: Vec<_> = all.map(|one| (Box::pin(one), None)).collect();
    std::future::poll_fn(|context| {
        for (one, output) in all.iter_mut().filter(|(_, output)| output.is_none()) {
            if let std::task::Poll::Ready(done) = one.as_mut().poll(context) {
                *output = Some(done);
            }
        }
        if all.iter().all(|(_, output)| output.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    all.into_iter().filter_map(|(_, output)| output).collect()
}
