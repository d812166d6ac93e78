//! One case: a deploy under load, a fault at one of its steps, and the recovery by the commands that teeter names.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::process::Child;
use tokio::time::{sleep, timeout};

use super::fault::Fault;
use super::site::{Ended, Site, finish};
use super::truth::{becomes_true, changed_event, events, list, outage, text};
use super::way::Way;
use crate::drains::Programs;
use crate::load::{Load, LoadSpec};
use crate::processes::{children_of, runs};
use crate::report::{LoadReport, Record};

/// The result of a case.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The step at which the fault was caused.
    pub(crate) step: String,
    /// The state in which the run ended, and the commands that were needed.
    pub(crate) recovery: String,
    /// Assertions that failed.
    pub(crate) violations: Vec<String>,
    /// The number of requests that failed while HAProxy was down, or before teeterd had restored its state.
    pub(crate) excused: usize,
}

/// Causes the fault at the step of this number. `None`: the way has no such step.
pub(crate) async fn run(
    way: &Way,
    fault: Fault,
    step: usize,
    pause: Duration,
    programs: &Programs,
) -> io::Result<Option<Outcome>> {
    let mut site = Site::start(way, Some(fault), programs).await?;
    let spec = LoadSpec {
        connections: 6,
        fresh: 2,
        pause: Duration::from_millis(8),
        max: Duration::from_secs(240),
        ..LoadSpec::new(site.farm.addr())
    };
    let load = Load::start(spec)?;
    let hook = site.hook(if fault == Fault::Stall { MUCH } else { 0 })?.display().to_string();
    let mut args = way.command.to_vec();
    if !way.flips {
        args.extend(["--to", "v2", "--", &hook]);
    }
    let mut client = site.daemon.spawn(&args)?;
    let Some(at) = reach(&site, &mut client, fault, step).await? else {
        return Ok(None);
    };
    let mut case = Case { way, violations: Vec::new(), commands: Vec::new(), fixed: false };
    let before = events(&site).await?;
    let seen = AtomicBool::new(false);
    let caused = Instant::now();
    let pid = client.id().unwrap_or_default();
    case.violations.extend(fault.cause(&mut site, pid, pause).await?);
    let reload = (fault == Fault::Reload).then(|| (caused, Instant::now() + NOTICED));
    let ended = watched(&site, way, &seen, &mut case, finish(client)).await?;
    if fault != Fault::KillClient && ended.code == -1 {
        case.violations.push(format!("teeter was killed: {ended:?}"));
    }
    let untrue = becomes_true(way, &site.daemon, &site.farm).await;
    let was_true = untrue.is_empty();
    case.violations.extend(untrue);
    // The hook outlives the killed deploy, and a user waits for its end before going on.
    while fault == Fault::KillClient && runs(&hook) {
        if caused.elapsed() > LONG {
            return Err(io::Error::other("the hook of a killed deploy does not end"));
        }
        sleep(Duration::from_millis(5)).await;
    }
    let rest = Instant::now();
    case.recover(&site, step.is_multiple_of(2), &seen).await?;
    case.violations.extend(becomes_true(way, &site.daemon, &site.farm).await);
    case.violations.extend(changed_event(&before, &events(&site).await?));
    if !was_true {
        case.violations.push("teeter's answers were never true after the fault".to_owned());
    }
    let run = site.get("/v1/runs/1").await?;
    case.end_state(&site, &run).await?;
    let report = load.stop().await?;
    let excuse = (fault.downs_haproxy() || (fault.forgets() && !way.routed()))
        .then(|| (caused, rest.min(caused + pause + EXCUSED)));
    let excused = case.judge_requests(&site, &report, &run, excuse, reload);
    if !case.violations.is_empty() {
        case.violations.push(format!("{}\nThe log of teeterd:\n{}", text(&run["next"]), site.daemon.log()));
    }
    let commands: String = case.commands.iter().map(|command| format!(", {command}")).collect();
    let recovery = format!("{}{commands}", text(&run["state"]));
    Ok(Some(Outcome { step: at, recovery, violations: case.violations, excused }))
}

/// Waits until the run is at this step or later. Waits for the hook, too, if the fault kills it.
async fn reach(site: &Site, client: &mut Child, fault: Fault, step: usize) -> io::Result<Option<String>> {
    let end = Instant::now() + LONG;
    loop {
        let run = site.get("/v1/runs/1").await.unwrap_or_default();
        let cursor = run["cursor"].as_u64().and_then(|cursor| usize::try_from(cursor).ok());
        if let Some(cursor) = cursor.filter(|cursor| *cursor >= step) {
            if run["state"] != "running" {
                return Ok(None);
            }
            let hook = fault != Fault::KillHook || !children_of(client.id().unwrap_or_default()).is_empty();
            if hook && (fault != Fault::KillHook || cursor == step) {
                return Ok(Some(text(&run["steps"][cursor]["text"]).to_owned()));
            }
            if fault == Fault::KillHook && cursor > step {
                return Ok(None);
            }
        }
        if client.try_wait()?.is_some() {
            let run = site.get("/v1/runs/1").await?;
            let state = text(&run["state"]).to_owned();
            return if state == "done" { Ok(None) } else { Err(io::Error::other(format!("before any fault: {run}"))) };
        }
        if Instant::now() > end {
            return Err(io::Error::other(format!("step {step} is never reached: {run}")));
        }
        sleep(Duration::from_millis(1)).await;
    }
}

/// Checks during this work that servers in service are left.
async fn watched<T>(
    site: &Site,
    way: &Way,
    seen: &AtomicBool,
    case: &mut Case<'_>,
    work: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let mut work = Box::pin(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = sleep(LOOK) => {
                if let Some(empty) = outage(way, &site.farm).await
                    && !seen.swap(true, Ordering::Relaxed)
                {
                    case.violations.push(empty);
                }
            }
        }
    }
}

/// A period in which failures are excused.
type Window = Option<(Instant, Instant)>;

struct Case<'a> {
    way: &'a Way,
    violations: Vec<String>,
    commands: Vec<String>,
    /// Whether servers had to be fixed outside teeter.
    fixed: bool,
}

impl Case<'_> {
    /// Runs the commands that teeter names until it names none: aborts the run, or continues to its end.
    async fn recover(&mut self, site: &Site, abort: bool, seen: &AtomicBool) -> io::Result<()> {
        let end = Instant::now() + LONG;
        loop {
            let run = site.get("/v1/runs/1").await?;
            let state = text(&run["state"]);
            let ended = matches!(state, "done" | "aborted" | "rolled back");
            let next = text(&run["next"]);
            if ended && (run["out"].as_array().is_none_or(Vec::is_empty) || self.way.standby) {
                return Ok(());
            }
            let commands: Vec<&str> = next.split('`').skip(1).step_by(2).collect();
            if commands.is_empty() {
                // The run continues by itself.
                if Instant::now() > end {
                    self.violations.push(format!("the run never stops or ends: {run}"));
                    return Ok(());
                }
                sleep(Duration::from_millis(20)).await;
                continue;
            }
            if self.commands.len() >= MOST {
                self.violations.push(format!("{:?} do not end the run: {run}", self.commands));
                return Ok(());
            }
            // A user who has the hook at hand lets it do the rest.
            let wanted: &[&str] = if abort { &["teeter abort"] } else { &["teeter deploy", "teeter advance"] };
            let named = |start: &&str| commands.iter().find(|command| command.starts_with(start));
            let command = wanted.iter().find_map(named).or(commands.first()).copied().unwrap_or_default().to_owned();
            if command.starts_with("teeter advance") || command.starts_with("teeter ready") {
                self.fix_servers(site, &run).await?;
            }
            let hook = site.hook(0)?.display().to_string();
            let words = command.split_whitespace().skip(1).map(|word| if word == "HOOK" { &hook } else { word });
            let args: Vec<&str> = words.take_while(|word| !word.chars().all(char::is_uppercase)).collect();
            let way = self.way;
            let ended = timeout(LONG, watched(site, way, seen, self, site.teeter(&args)));
            let ended: Ended = ended.await??;
            self.commands.push(command.clone());
            if ended.code != 0 {
                let Ended { code, out, err } = ended;
                self.violations.push(format!("`{command}`, which teeter named, ends with {code}: {out}{err}"));
                return Ok(());
            }
        }
    }

    /// Does the work that the hook has not done on the group that is out, or puts back the version in service.
    async fn fix_servers(&mut self, site: &Site, run: &Value) -> io::Result<()> {
        let cursor = run["cursor"].as_u64().and_then(|cursor| usize::try_from(cursor).ok()).unwrap_or_default();
        let here = &run["steps"][cursor];
        let mut wanted = "v2";
        let mut servers: Vec<&str> = list(&here["servers"]).filter_map(Value::as_str).collect();
        if matches!(text(&run["state"]), "aborted" | "rolled back") {
            servers = list(&run["out"]).filter_map(Value::as_str).collect();
            let others = site.farm.apps().iter().find(|app| !servers.contains(&app.name()));
            wanted = if others.is_some_and(|app| app.version() == "v2") { "v2" } else { "v1" };
            self.fixed = true;
        }
        for server in servers {
            let app = site.farm.app(server);
            if app.version() != wanted {
                app.replace(wanted).await?;
            }
        }
        Ok(())
    }

    /// Checks the end: no server is held any more, and every server runs its version.
    async fn end_state(&mut self, site: &Site, run: &Value) -> io::Result<()> {
        let state = text(&run["state"]);
        if !matches!(state, "done" | "aborted" | "rolled back") {
            self.violations.push(format!("the run ends as {state}"));
        }
        let holds = site.get("/v1/holds").await?;
        let left: Vec<&Value> = list(&holds["holds"]).collect();
        if !self.way.standby && !left.is_empty() {
            self.violations.push(format!("held at the end: {holds}"));
        }
        let aborts = self.commands.iter().filter(|command| command.starts_with("teeter abort")).count();
        if aborts > 0 && self.commands.len() > 1 && !self.fixed {
            self.violations.push(format!("one abort is not enough: {:?}", self.commands));
        }
        if state == "done" && !self.way.flips {
            let old: Vec<&str> =
                site.farm.apps().iter().filter(|app| app.version() != "v2").map(|app| app.name()).collect();
            // Blue-green leaves the old version on one side.
            let allowed = if self.way.farm == "shop" { 2 } else { 0 };
            if old.len() > allowed {
                self.violations.push(format!("done, and {old:?} run the old version"));
            }
        }
        Ok(())
    }

    /// Checks the requests: those that failed, those that the work cut off, and those that got the old version after
    /// the new one. Returns the number of failures that are excused.
    fn judge_requests(
        &mut self,
        site: &Site,
        report: &LoadReport,
        run: &Value,
        excuse: Window,
        reload: Window,
    ) -> usize {
        let at = |nanos: u64| report.started + Duration::from_nanos(nanos);
        let excused =
            |asked: u64, answered: u64| excuse.is_some_and(|(from, to)| at(answered) >= from && at(asked) <= to);
        let failed = report.failed();
        let (forgiven, bad): (Vec<&Record>, Vec<&Record>) =
            failed.into_iter().partition(|record| excused(record.asked, record.answered));
        if !bad.is_empty() {
            let (first, last) = (bad[0], bad[bad.len() - 1]);
            self.violations.push(format!(
                "{} requests failed, from {:?} to {:?} of the load, the first by {:?} with {}; {:?}",
                bad.len(),
                Duration::from_nanos(first.asked),
                Duration::from_nanos(last.answered),
                report.server(first),
                first.status,
                report.complaints
            ));
        }
        let broken: usize = site
            .farm
            .apps()
            .iter()
            .flat_map(crate::app::App::log_of_replacements)
            .filter(|replacement| !excuse.is_some_and(|(from, to)| replacement.at >= from && replacement.at <= to))
            .map(|replacement| replacement.in_flight)
            .sum();
        if broken > 0 {
            self.violations.push(format!("{broken} requests were in flight where a hook worked"));
        }
        if self.way.exact && run["state"] == "done" {
            let seen = report.inversions("v1", "v2");
            // A process that has read the map file before the flip and takes over after it has the old route, until
            // teeter sends the new one.
            let first = report.first_of("v2").map(at);
            let across = first.zip(reload).is_some_and(|(first, (from, to))| first >= from && first <= to);
            if seen.causal > 0 && across {
                return forgiven.len() + seen.causal;
            }
            if seen.causal > 0 {
                self.violations.push(format!("{} requests got v1 after v2, for {:?}", seen.causal, seen.window));
            }
        }
        if report.requests() < 10 {
            self.violations.push(format!("only {} requests were made", report.requests()));
        }
        forgiven.len()
    }
}

/// The time between two checks that servers in service are left.
const LOOK: Duration = Duration::from_millis(25);

/// The number of lines that a hook prints while its output is not read: more than a pipe holds.
const MUCH: usize = 20_000;

/// The time for a run to stop or end.
const LONG: Duration = Duration::from_secs(75);

/// The time for HAProxy to be back and for teeterd to restore its state, beyond the time that it was down.
const EXCUSED: Duration = Duration::from_secs(4);

/// The time for teeterd to notice the new process of a reload.
const NOTICED: Duration = Duration::from_millis(300);

/// More commands than any run can need.
const MOST: usize = 8;
