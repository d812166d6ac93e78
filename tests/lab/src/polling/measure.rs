//! What is measured of one way of waiting: HAProxy's time, and how soon it notices.

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::{Instant, sleep, timeout};

use super::ways::Way;
use super::wide::Wide;
use crate::bench::teeter::Teeter;
use crate::figures_numbers::{Memory, Sample};
use crate::figures_site::{failure, memory_of};

/// For one drain after its session has ended.
const NOTICED: Duration = Duration::from_secs(30);

/// HAProxy's time while somebody waits for a session that does not end, in ms a second.
pub(crate) async fn cost(way: Way, wide: &Wide, teeter: Option<&Teeter>, watched: Duration) -> io::Result<f64> {
    let held = wide.session().await?;
    let mut waits = way.begin(wide, teeter).await?;
    if way == Way::TeeterLong {
        sleep(way.settles()).await;
    }
    let cost = time_of(wide, watched).await?;
    drop(held);
    let ended = timeout(NOTICED, waits.wait()).await??;
    way.end(wide, teeter).await?;
    if ended.success() { Ok(cost) } else { Err(failure(format!("{}: {ended}", way.title()))) }
}

/// From the end of the last session, as the application saw it, to the end of the command that waits for it, in ms.
pub(crate) async fn latencies(way: Way, wide: &Wide, teeter: Option<&Teeter>, rounds: usize) -> io::Result<Sample> {
    let (rounds, within) = way.rounds(rounds);
    let mut latencies = Vec::new();
    for round in 0..rounds {
        let held = wide.session().await?;
        let mut waits = way.begin(wide, teeter).await?;
        // Spread evenly, so that no luck with the moments is in the figures of few drains.
        sleep(way.settles() + within.mul_f64((round as f64 + 0.5) / rounds as f64)).await;
        drop(held);
        let ended = timeout(NOTICED, waits.wait()).await??;
        let noticed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        if !ended.success() || wide.target.busy() > 0 {
            return Err(failure(format!("{}: {ended}, {} under way", way.title(), wide.target.busy())));
        }
        latencies.push(noticed.as_secs_f64() * 1e3 - wide.target.last_end() as f64 / 1e6);
        way.end(wide, teeter).await?;
    }
    Ok(Sample::new(latencies))
}

/// How long a command of teeter's takes: its median and its 99th percentile, and HAProxy's time for it, in ms, as three
/// cells of a table.
pub(crate) async fn asked(wide: &Wide, teeter: &Teeter, args: &[&str], times: usize) -> io::Result<String> {
    let (mut took, before) = (Vec::new(), spent(wide)?);
    for _ in 0..times {
        let began = Instant::now();
        teeter.run(args).await?;
        took.push(began.elapsed().as_secs_f64() * 1e3);
    }
    let (took, each) = (Sample::new(took), (spent(wide)? - before) / times as f64);
    let [median, p99] = [0.5, 0.99].map(|share| took.percentile(share));
    Ok(format!("{median:.1} | {p99:.1} | {each:.2}"))
}

/// The time that HAProxy spends in this time, in ms a second.
pub(crate) async fn time_of(wide: &Wide, time: Duration) -> io::Result<f64> {
    let (before, began) = (spent(wide)?, Instant::now());
    sleep(time).await;
    Ok((spent(wide)? - before) / began.elapsed().as_secs_f64())
}

/// The time that HAProxy's threads have spent so far, in ms. `/proc/PID/stat` knows only hundredths of a second, which
/// is more than a small HAProxy takes to answer.
fn spent(wide: &Wide) -> io::Result<f64> {
    let mut nanos = 0;
    for thread in std::fs::read_dir(format!("/proc/{}/task", wide.pid))? {
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
