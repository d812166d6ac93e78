//! Faults at each step of each strategy, under load, with real processes. Each case asserts that the farm serves, that
//! teeter's answers are true, and that the command which teeter names ends the run.
//!
//! A case is one fault at one step of one way: a deploy, or a flip. The fault is repaired at once, as systemd or an
//! administrator would do it: killed processes are started again, full disks get space.

mod case;
mod disk;
mod expiry;
mod fault;
mod power;
mod readers;
mod report;
mod site;
mod truth;
mod way;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use self::case::Outcome;
use self::report::Row;
use crate::drains::Programs;
use crate::sample::Sample;

pub use self::fault::Fault;
pub use self::report::ChaosReport;
pub use self::way::Way;

/// The cases to run.
#[derive(Debug, Clone)]
pub struct ChaosSpec {
    /// The ways to deploy and to flip.
    pub ways: Vec<Way>,
    /// The faults.
    pub faults: Vec<Fault>,
    /// The numbers of the steps; `None`: every step.
    pub steps: Option<Vec<usize>>,
    /// The number of stores of each way on which a teeterd is started after a loss of power.
    pub power: usize,
    /// The time that a stopped process stays stopped.
    pub pause: Duration,
    /// The number of cases at a time.
    pub lanes: usize,
    /// The limit for all cases together.
    pub limit: Duration,
}

/// Some cases in a row. Each is reported when it is done.
struct Job {
    name: &'static str,
    waits: bool,
    work: Work,
}

enum Work {
    Steps(Way, Fault),
    Power(Way),
    Expiry(Fault),
}

/// One case that is done.
struct Done {
    name: &'static str,
    way: &'static str,
    outcome: io::Result<Outcome>,
    took: Duration,
}

/// Runs every case, and calls `print` with a line for each.
///
/// # Errors
/// If HAProxy cannot be run.
pub async fn run(spec: &ChaosSpec, programs: &Programs, print: impl Fn(&str)) -> io::Result<ChaosReport> {
    let began = Instant::now();
    let mut report = ChaosReport { haproxy: crate::Haproxy::version()?, ..ChaosReport::default() };
    let mut jobs = Vec::new();
    for &fault in &spec.faults {
        let why = disk::missing(fault)
            .or_else(|| (fault.clock() && site::libfaketime().is_none()).then(|| NO_LIBFAKETIME.to_owned()));
        report.rows.insert(fault.name(), Row { skipped: why.clone(), ..Row::default() });
        if why.is_some() {
            continue;
        }
        if fault.clock() {
            jobs.push(Job { name: fault.name(), waits: true, work: Work::Expiry(fault) });
        }
        for &way in &spec.ways {
            let is_impossible = (fault == Fault::KillHook && way.flips)
                || (matches!(fault, Fault::MapFull | Fault::MapReadOnly) && !way.routed())
                || (fault == Fault::Stall && way.flips)
                || (fault == Fault::AddAgain && way.sample != Sample::Route);
            if !is_impossible {
                jobs.push(Job { name: fault.name(), waits: fault.waits(), work: Work::Steps(way, fault) });
            }
        }
    }
    if spec.power > 0 {
        jobs.extend(spec.ways.iter().map(|way| Job { name: "power-loss", waits: false, work: Work::Power(*way) }));
    }
    // Cases that wait most of the time have lanes of their own.
    let (busy, idle) = (Arc::new(Semaphore::new(spec.lanes)), Arc::new(Semaphore::new(spec.lanes * IDLE)));
    let (done, mut cases) = mpsc::unbounded_channel();
    let mut running = JoinSet::new();
    for job in jobs {
        let lane = Arc::clone(if job.waits { &idle } else { &busy });
        running.spawn(work(job, spec.clone(), programs.clone(), lane, done.clone()));
    }
    drop(done);
    let all = async {
        while let Some(case) = cases.recv().await {
            print(&add(&mut report, case));
        }
    };
    let ended = tokio::time::timeout(spec.limit, all).await;
    running.shutdown().await;
    report.lasted = began.elapsed();
    if ended.is_err() {
        report.violations.push(format!("not done within {} s", spec.limit.as_secs()));
    }
    Ok(report)
}

/// Adds a case to the report; returns its line.
fn add(report: &mut ChaosReport, case: Done) -> String {
    let row = report.rows.entry(case.name).or_default();
    row.cases += 1;
    let Done { name, way, took, outcome } = case;
    let outcome = outcome.unwrap_or_else(|error| Outcome {
        step: String::new(),
        recovery: String::new(),
        violations: vec![format!("the case could not be run: {error}")],
        excused: 0,
    });
    let Outcome { step, recovery, violations, excused } = outcome;
    row.excused += excused;
    let word = if violations.is_empty() { "ok  " } else { "FAIL" };
    let mut line = format!("{word} {name:22} {way:14} {step:24} {recovery} ({:.1} s)", took.as_secs_f64());
    if !violations.is_empty() {
        row.violated += 1;
        report.violations.push(format!("{name} {way} at {step}: {}", violations[0]));
        line.push_str(&format!("\n{}", violations.join("\n")).replace('\n', "\n     "));
    }
    line
}

async fn work(job: Job, spec: ChaosSpec, programs: Programs, lane: Arc<Semaphore>, done: mpsc::UnboundedSender<Done>) {
    // After the limit there is no receiver.
    let send = |way: &Way, outcome, began: Instant| {
        let _ = done.send(Done { name: job.name, way: way.name, outcome, took: began.elapsed() });
    };
    match job.work {
        Work::Expiry(fault) => {
            let Ok(_turn) = lane.acquire().await else { return };
            let began = Instant::now();
            send(&Way::ALL[0], expiry::run(fault, &programs).await, began);
        }
        Work::Power(way) => {
            let Ok(_turn) = lane.acquire().await else { return };
            let began = Instant::now();
            match power::run(&way, spec.power, &programs).await {
                Err(error) => send(&way, Err(error), began),
                Ok(lost) => {
                    let all = Outcome {
                        step: format!("{} copies", lost.copies),
                        recovery: "all were verified".to_owned(),
                        violations: Vec::new(),
                        excused: 0,
                    };
                    send(&way, Ok(all), began);
                    for outcome in lost.outcomes {
                        send(&way, Ok(outcome), began);
                    }
                }
            }
        }
        Work::Steps(way, fault) => {
            for step in 0..MOST_STEPS {
                if spec.steps.as_ref().is_some_and(|steps| !steps.contains(&step)) {
                    continue;
                }
                let Ok(_turn) = lane.acquire().await else { return };
                let began = Instant::now();
                match case::run(&way, fault, step, spec.pause, &programs).await {
                    // Not every step has a hook.
                    Ok(None) if fault == Fault::KillHook => {}
                    Ok(None) => return,
                    Ok(Some(outcome)) => send(&way, Ok(outcome), began),
                    Err(error) => send(&way, Err(error), began),
                }
            }
        }
    }
}

const NO_LIBFAKETIME: &str = "libfaketime is not installed";

/// The number of lanes of waiting cases for each lane of the others.
const IDLE: usize = 4;

/// More steps than any way has.
const MOST_STEPS: usize = 24;
