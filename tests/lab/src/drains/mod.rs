//! Many drains under traffic of many kinds. The application server itself shows whether it was empty when teeter called
//! it drained, and whether it stayed empty until it was brought back.
//!
//! HAProxy and the server have the same requests: no client disconnects before its answer, and no time limit of HAProxy
//! expires. Otherwise a server could work on a request that HAProxy does not count any more.

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

/// The drains to run.
#[derive(Debug, Clone)]
pub struct DrainsSpec {
    /// The number of drains.
    pub count: usize,
    /// The seed of random choices. The interleaving of processes is still random.
    pub seed: u64,
    /// The kinds of traffic.
    pub kinds: Vec<Kind>,
    /// The limit for all drains together.
    pub limit: Duration,
}

/// Drains servers, one at a time of each kind, until `count` drains are done.
///
/// # Errors
/// If a process cannot be started, a command of teeter fails, or the limit expires.
pub async fn run(spec: &DrainsSpec, programs: &Programs) -> io::Result<DrainsReport> {
    let site = Site::start(&spec.kinds, programs).await?;
    let done = tokio::time::timeout(spec.limit, drains(&site, spec)).await;
    done.unwrap_or_else(|_| Err(io::Error::other("not done in time"))).map_err(|error| {
        let log: Vec<_> = site.log().lines().rev().take(30).map(str::to_owned).collect();
        io::Error::other(format!(
            "{error}\nThe log of teeterd:\n{}",
            log.into_iter().rev().collect::<Vec<_>>().join("\n")
        ))
    })
}

async fn drains(site: &Site, spec: &DrainsSpec) -> io::Result<DrainsReport> {
    let dice = Dice::new(spec.seed);
    let clients: Vec<Clients> = (0..)
        .zip(&site.lanes)
        .map(|(number, lane)| Clients::start(lane.kind, lane.front, &dice.fork(number)))
        .collect();
    let (begun, all) = (AtomicUsize::new(0), Mutex::new(Vec::<Drained>::new()));
    let each = (100..).zip(&site.lanes).map(|(number, lane)| {
        let (mut dice, begun, all) = (dice.fork(number), &begun, &all);
        async move {
            while begun.fetch_add(1, Ordering::SeqCst) < spec.count {
                let drained = judge::drain(site, lane, &mut dice).await?;
                all.lock().await.push(drained);
            }
            io::Result::Ok(())
        }
    });
    let ended = join(each).await;
    let mut report = DrainsReport::new(spec.seed, crate::Haproxy::version()?);
    for (lane, clients) in site.lanes.iter().zip(clients) {
        report.traffic(lane.kind, &*clients.stop().await);
    }
    ended.into_iter().collect::<io::Result<()>>()?;
    report.drains(all.into_inner());
    Ok(report)
}

/// Polls all futures in one task, so that they may borrow.
async fn join<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut all: Vec<_> = all.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, output) in all.iter_mut().filter(|(_, output)| output.is_none()) {
            if let std::task::Poll::Ready(done) = future.as_mut().poll(context) {
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
