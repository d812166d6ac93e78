//! The measurements of one way to wait: HAProxy's time, and the delay until the way notices the end.

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::{Instant, sleep, timeout};

use super::many_servers::ManyServers;
use super::ways::Way;
use crate::command::failure;
use crate::figures_numbers::{Memory, Sample};
use crate::figures_site::memory_of;
use crate::teeterd::Teeter;

/// The time for a drain to end after its session.
const NOTICED: Duration = Duration::from_secs(30);

/// HAProxy's time while a way waits for a session that does not end, in ms a second.
pub(crate) async fn cost(way: Way, site: &ManyServers, teeter: Option<&Teeter>, watched: Duration) -> io::Result<f64> {
    let held = site.session().await?;
    let mut waits = way.begin(site, teeter).await?;
    if way == Way::TeeterLong {
        sleep(way.settles()).await;
    }
    let cost = time_of(site, watched).await?;
    drop(held);
    let ended = timeout(NOTICED, waits.wait()).await??;
    way.end(site, teeter).await?;
    if ended.success() { Ok(cost) } else { Err(failure(format!("{}: {ended}", way.title()))) }
}

/// From the end of the last session, as the application saw it, to the end of the command that waits for it, in ms.
pub(crate) async fn latencies(
    way: Way,
    site: &ManyServers,
    teeter: Option<&Teeter>,
    rounds: usize,
) -> io::Result<Sample> {
    let (rounds, within) = way.rounds(rounds);
    let mut latencies = Vec::new();
    for round in 0..rounds {
        let held = site.session().await?;
        let mut waits = way.begin(site, teeter).await?;
        // The ends are spread evenly, so that few drains give a fair figure.
        sleep(way.settles() + within.mul_f64((round as f64 + 0.5) / rounds as f64)).await;
        drop(held);
        let ended = timeout(NOTICED, waits.wait()).await??;
        let noticed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        if !ended.success() || site.target.busy() > 0 {
            return Err(failure(format!("{}: {ended}, {} under way", way.title(), site.target.busy())));
        }
        latencies.push(noticed.as_secs_f64() * 1e3 - site.target.last_end() as f64 / 1e6);
        way.end(site, teeter).await?;
    }
    Ok(Sample::new(latencies))
}

/// The time of a command of teeter, and HAProxy's time for it, in ms, as three cells of a table: median, 99th
/// percentile, HAProxy.
pub(crate) async fn command_time(
    site: &ManyServers,
    teeter: &Teeter,
    args: &[&str],
    times: usize,
) -> io::Result<String> {
    let (mut took, before) = (Vec::new(), spent(site)?);
    for _ in 0..times {
        let began = Instant::now();
        teeter.run(args).await?;
        took.push(began.elapsed().as_secs_f64() * 1e3);
    }
    let (took, each) = (Sample::new(took), (spent(site)? - before) / times as f64);
    let [median, p99] = [0.5, 0.99].map(|share| took.percentile(share));
    Ok(format!("{median:.1} | {p99:.1} | {each:.2}"))
}

/// The time that HAProxy spends during this time, in ms a second.
pub(crate) async fn time_of(site: &ManyServers, time: Duration) -> io::Result<f64> {
    let (before, began) = (spent(site)?, Instant::now());
    sleep(time).await;
    Ok((spent(site)? - before) / began.elapsed().as_secs_f64())
}

/// The time that HAProxy's threads have spent so far, in ms. `/proc/PID/stat` has only hundredths of a second, which is
/// more than a small HAProxy needs for an answer.
fn spent(site: &ManyServers) -> io::Result<f64> {
    let mut nanos = 0;
    for thread in std::fs::read_dir(format!("/proc/{}/task", site.pid))? {
        let path = thread?.path().join("schedstat");
        let text = std::fs::read_to_string(&path)?;
        let first = text.split_whitespace().next().and_then(|first| first.parse::<u64>().ok());
        nanos += first.ok_or_else(|| failure(format!("no time in {}: {text}", path.display())))?;
    }
    Ok(nanos as f64 / 1e6)
}

pub(crate) fn memory(teeter: &Teeter) -> io::Result<Memory> {
    memory_of(teeter.pid().ok_or_else(|| failure("teeterd has ended".to_owned()))?)
}
