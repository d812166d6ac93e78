//! Loss of power: the store as it was between any two writes, found by the next teeterd while HAProxy has gone on.

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

/// The store at one moment: the file, and its log.
#[derive(Clone, PartialEq, Eq)]
struct Copy {
    file: Vec<u8>,
    log: Vec<u8>,
}

/// What came of it.
pub(crate) struct Lost {
    /// Copies that were looked into.
    pub(crate) copies: usize,
    /// Those that a teeterd went on from.
    pub(crate) outcomes: Vec<Outcome>,
}

/// Deploys once, keeps the store of every moment, and goes on from `most` of them at most.
pub(crate) async fn run(way: &Way, most: usize, programs: &Programs) -> io::Result<Lost> {
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
    // A log of which only the beginning has reached the disk, cut anywhere.
    let whole = Copy { file: std::fs::read(site.store())?, log: std::fs::read(log_of(&site.store()))? };
    let cuts = (0..whole.log.len()).step_by((whole.log.len() / CUTS).max(1));
    copies.extend(cuts.map(|cut| Copy { log: whole.log[..cut].to_vec(), ..whole.clone() }));
    copies.push(whole);

    let mut outcomes = Vec::new();
    let mut revisions: Vec<(u64, Copy)> = Vec::new();
    for copy in &copies {
        let found = look_into(&site, copy).await?;
        let problems: Vec<String> = list(&found["problems"]).map(|problem| format!("a copy: {problem}")).collect();
        // Before the schema is there, there is nothing that could be lost.
        let begun = found["schema"] != 0
            || !problems.iter().all(|problem| problem.contains("no schema") || problem.contains("empty"));
        if begun && !problems.is_empty() {
            outcomes.push(Outcome { step: "copy".to_owned(), home: String::new(), violations: problems, excused: 0 });
        }
        let revision = found["revision"].as_u64().unwrap_or_default();
        if begun && found["runs"] == 1 && !revisions.iter().any(|(known, _)| *known == revision) {
            revisions.push((revision, copy.clone()));
        }
    }
    revisions.sort_by_key(|(revision, _)| *revision);
    let every = revisions.len().div_ceil(most.max(1)).max(1);
    for (revision, copy) in revisions.iter().step_by(every) {
        outcomes.push(go_on(&mut site, way, *revision, copy).await?);
    }
    Ok(Lost { copies: copies.len(), outcomes })
}

/// Copies the store whenever it has changed.
fn copies(path: &Path, stop: &AtomicBool) -> Vec<Copy> {
    let mut copies = Vec::<Copy>::new();
    let mark = || {
        let of = |path: &Path| path.metadata().and_then(|it| Ok((it.len(), it.modified()?))).ok();
        (of(path), of(&log_of(path)))
    };
    let mut last = None;
    while !stop.load(Ordering::Relaxed) {
        let now = mark();
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

async fn look_into(site: &Site, copy: &Copy) -> io::Result<Value> {
    let path = site.farm.dir().join("copy.db");
    put(copy, &path)?;
    let found = site.teeter(&["--json", "store", "verify", &path.display().to_string()]).await?;
    serde_json::from_str(&found.out).map_err(|error| io::Error::other(format!("{error}: {found:?}")))
}

/// A teeterd that finds this store, and a HAProxy as it was in the end: its record becomes true, and one command brings
/// the farm home.
async fn go_on(site: &mut Site, way: &Way, revision: u64, copy: &Copy) -> io::Result<Outcome> {
    let mut violations = Vec::new();
    put(copy, &site.store())?;
    if way.standby {
        // Who stands by after the deploy is out by what only the lost part of the record knows. The host that has lost
        // its power starts HAProxy too.
        site.farm.haproxy().restart().await?;
        site.farm.all_up().await?;
    }
    site.daemon.start().await?;
    // What it can do by itself it does: to the next work, or to the end.
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
    let mut home = text(&run["state"]).to_owned();
    if !matches!(home.as_str(), "done" | "aborted" | "rolled back") {
        let aborted = site.teeter(&["abort", "1"]).await?;
        if aborted.code != 0 {
            violations.push(format!("an abort ends with {}: {}{}", aborted.code, aborted.out, aborted.err));
        }
        violations.extend(becomes_true(way, &site.daemon, &site.farm).await);
        run = site.get("/v1/runs/1").await?;
        home = format!("{}, teeter abort 1", text(&run["state"]));
        // The world has gone on: who runs a version that this record does not know as the one in service stays out, and
        // is told.
        let out: Vec<&str> = list(&run["out"]).filter_map(Value::as_str).collect();
        if !way.standby && !out.is_empty() {
            let told = format!("`teeter ready {}`", out.join(" "));
            if !text(&run["next"]).contains(&told) {
                violations.push(format!("{out:?} stay out after the abort, and nobody says {told}: {}", run["next"]));
            }
            let ready = site.teeter(&[&["ready", "--force"], &out[..]].concat()).await?;
            if ready.code != 0 {
                violations.push(format!("{told} ends with {}: {}", ready.code, ready.err));
            }
            violations.extend(becomes_true(way, &site.daemon, &site.farm).await);
            home = format!("{home}, {told}");
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
    Ok(Outcome { step, home, violations, excused: 0 })
}

/// Logs that are cut off, of each deploy.
const CUTS: usize = 200;

/// For a run to come to rest.
const REST: Duration = Duration::from_secs(40);
