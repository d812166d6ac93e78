//! Loss of power: a teeterd is started on the store of any moment of a deploy, while HAProxy has the states of its end.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use super::case::Outcome;
use super::site::{Site, finish};
use super::truth::{becomes_true, list, text};
use super::way::Way;
use crate::drains::Programs;

/// The store at one moment: the file, and its write-ahead log.
#[derive(Clone, PartialEq, Eq)]
struct Copy {
    file: Vec<u8>,
    log: Vec<u8>,
}

/// The results.
pub(crate) struct PowerLoss {
    /// The number of copies that were verified.
    pub(crate) copies: usize,
    /// The results of those on which a teeterd was started.
    pub(crate) outcomes: Vec<Outcome>,
}

/// Deploys once, keeps the store of every moment, and starts a teeterd on `most` of them at most.
pub(crate) async fn run(way: &Way, most: usize, programs: &Programs) -> io::Result<PowerLoss> {
    let mut site = Site::start(way, None, programs).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let copier = {
        let (path, stop) = (site.store(), Arc::clone(&stop));
        std::thread::spawn(move || copies(&path, &stop))
    };
    let hook = site.hook(0)?.display().to_string();
    let mut args = way.command.to_vec();
    if !way.flips {
        args.extend(["--to", "v2", "--", &hook]);
    }
    let ended = finish(site.daemon.spawn(&args)?).await?;
    stop.store(true, Ordering::Relaxed);
    let mut copies = copier.join().map_err(|_| io::Error::other("the copies cannot be made"))?;
    if ended.code != 0 {
        return Err(io::Error::other(format!("without any fault: {ended:?}")));
    }
    site.daemon.kill().await?;
    // Logs of which only the beginning has reached the disk.
    let whole = Copy { file: std::fs::read(site.store())?, log: std::fs::read(log_of(&site.store()))? };
    let cuts = (0..whole.log.len()).step_by((whole.log.len() / CUTS).max(1));
    copies.extend(cuts.map(|cut| Copy { log: whole.log[..cut].to_vec(), ..whole.clone() }));
    copies.push(whole);

    let mut outcomes = Vec::new();
    let mut revisions: Vec<(u64, Copy)> = Vec::new();
    for copy in &copies {
        let found = verify(&site, copy).await?;
        let problems: Vec<String> = list(&found["problems"]).map(|problem| format!("a copy: {problem}")).collect();
        // Before the schema exists, nothing can be lost.
        let begun = found["schema"] != 0
            || !problems.iter().all(|problem| problem.contains("no schema") || problem.contains("empty"));
        if begun && !problems.is_empty() {
            outcomes.push(Outcome {
                step: "copy".to_owned(),
                recovery: String::new(),
                violations: problems,
                excused: 0,
            });
        }
        let revision = found["revision"].as_u64().unwrap_or_default();
        if begun && found["runs"] == 1 && !revisions.iter().any(|(known, _)| *known == revision) {
            revisions.push((revision, copy.clone()));
        }
    }
    revisions.sort_by_key(|(revision, _)| *revision);
    let every = revisions.len().div_ceil(most.max(1)).max(1);
    for (revision, copy) in revisions.iter().step_by(every) {
        outcomes.push(start_on(&mut site, way, *revision, copy).await?);
    }
    Ok(PowerLoss { copies: copies.len(), outcomes })
}

/// Copies the store whenever it has changed.
fn copies(path: &Path, stop: &AtomicBool) -> Vec<Copy> {
    let mut copies = Vec::<Copy>::new();
    let stamps = || {
        let stamp = |path: &Path| path.metadata().and_then(|metadata| Ok((metadata.len(), metadata.modified()?))).ok();
        (stamp(path), stamp(&log_of(path)))
    };
    let mut last = None;
    while !stop.load(Ordering::Relaxed) {
        let now = stamps();
        if last.as_ref() != Some(&now) {
            let copy = Copy { file: read(path), log: read(&log_of(path)) };
            if copies.last() != Some(&copy) {
                copies.push(copy);
            }
            last = Some(now);
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    copies
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_default()
}

fn log_of(path: &Path) -> PathBuf {
    path.with_extension("db-wal")
}

fn put(copy: &Copy, path: &Path) -> io::Result<()> {
    std::fs::remove_file(path.with_extension("db-shm")).or_else(absent)?;
    std::fs::write(path, &copy.file)?;
    std::fs::write(log_of(path), &copy.log)
}

fn absent(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// The report of `teeter store verify` about a copy.
async fn verify(site: &Site, copy: &Copy) -> io::Result<Value> {
    let path = site.farm.dir().join("copy.db");
    put(copy, &path)?;
    let found = site.teeter(&["--json", "store", "verify", &path.display().to_string()]).await?;
    serde_json::from_str(&found.out).map_err(|error| io::Error::other(format!("{error}: {found:?}")))
}

/// Starts a teeterd on a copy, while HAProxy has the states of the end. Its answers must become true, and one command
/// must end the run.
async fn start_on(site: &mut Site, way: &Way, revision: u64, copy: &Copy) -> io::Result<Outcome> {
    let mut violations = Vec::new();
    put(copy, &site.store())?;
    if way.standby {
        // Only the lost part of the store explains why the standby side is out. HAProxy starts anew, too, as on a host
        // that has lost its power.
        site.farm.haproxy().restart().await?;
        site.farm.all_up().await?;
    }
    site.daemon.start().await?;
    // Wait while the run continues by itself: to the next work, or to the end.
    let end = tokio::time::Instant::now() + REST;
    let mut run = site.get("/v1/runs/1").await?;
    while run["next"].is_null()
        && matches!(text(&run["state"]), "running" | "aborting")
        && tokio::time::Instant::now() < end
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
        run = site.get("/v1/runs/1").await?;
    }
    violations.extend(becomes_true(way, &site.daemon, &site.farm).await);
    let step = run["cursor"].as_u64().and_then(|cursor| usize::try_from(cursor).ok()).unwrap_or_default();
    let step = format!("revision {revision}, {}", text(&run["steps"][step]["text"]));
    let mut recovery = text(&run["state"]).to_owned();
    if !matches!(recovery.as_str(), "done" | "aborted" | "rolled back") {
        let aborted = site.teeter(&["abort", "1"]).await?;
        if aborted.code != 0 {
            violations.push(format!("an abort ends with {}: {}{}", aborted.code, aborted.out, aborted.err));
        }
        violations.extend(becomes_true(way, &site.daemon, &site.farm).await);
        run = site.get("/v1/runs/1").await?;
        recovery = format!("{}, teeter abort 1", text(&run["state"]));
        // A server whose version is not the one in service in this store stays out, and teeter names the command.
        let out: Vec<&str> = list(&run["out"]).filter_map(Value::as_str).collect();
        if !way.standby && !out.is_empty() {
            let command = format!("`teeter ready {}`", out.join(" "));
            if !text(&run["next"]).contains(&command) {
                violations.push(format!("{out:?} stay out after the abort without {command}: {}", run["next"]));
            }
            let ready = site.teeter(&[&["ready", "--force"], &out[..]].concat()).await?;
            if ready.code != 0 {
                violations.push(format!("{command} ends with {}: {}", ready.code, ready.err));
            }
            violations.extend(becomes_true(way, &site.daemon, &site.farm).await);
            recovery = format!("{recovery}, {command}");
            let holds = site.get("/v1/holds").await?;
            if list(&holds["holds"]).next().is_some() {
                violations.push(format!("held at the end: {holds}"));
            }
        }
    }
    let answer = crate::client::get(site.farm.addr(), "/").await;
    if !answer.as_ref().is_ok_and(|answer| answer.status == 200) {
        violations.push(format!("the farm does not serve: {answer:?}"));
    }
    if !violations.is_empty() {
        violations.push(site.daemon.log());
    }
    site.daemon.kill().await?;
    Ok(Outcome { step, recovery, violations, excused: 0 })
}

/// The number of cut logs of each deploy.
const CUTS: usize = 200;

/// The time for a run to stop or end.
const REST: Duration = Duration::from_secs(40);
