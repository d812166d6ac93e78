//! Faults at each step of each strategy, under load, with everything real: what is asserted is that the farm serves, that
//! the record is true, and that the command which teeter names brings the farm home.
//!
//! A case is one fault at one step of one way: a deploy, or a flip. Whoever would mend the fault does so at once: systemd
//! starts what was killed, somebody makes room on the disk.

mod case;
mod disk;
mod ends;
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

/// Faults that are wanted.
#[derive(Debug, Clone)]
pub struct ChaosSpec {
    /// On which ways.
    pub ways: Vec<Way>,
    /// Which faults at steps.
    pub faults: Vec<Fault>,
    /// At which steps: every one, or only those of these numbers.
    pub steps: Option<Vec<usize>>,
    /// Stores of a deploy that a teeterd goes on from after a loss of power; none where 0.
    pub power: usize,
    /// How long what is stopped does nothing.
    pub pause: Duration,
    /// Cases at a time.
    pub lanes: usize,
    /// All of it takes less, or something hangs.
    pub limit: Duration,
}

/// A job: some cases in a row, each told when it is done.
struct Job {
    name: &'static str,
    waits: bool,
    work: Work,
}

enum Work {
    Steps(Way, Fault),
    Power(Way),
    Ends(Fault),
}

/// One case that is done.
struct Done {
    name: &'static str,
    way: &'static str,
    outcome: io::Result<Outcome>,
    took: Duration,
}

/// Runs every case, and gives a line for each to `tell`.
///
/// # Errors
/// It took too long.
pub async fn run(spec: &ChaosSpec, programs: &Programs, tell: impl Fn(&str)) -> io::Result<ChaosReport> {
    let began = Instant::now();
    let mut report = ChaosReport { haproxy: crate::Haproxy::version()?, ..ChaosReport::default() };
    let mut jobs = Vec::new();
    for &fault in &spec.faults {
        let why = disk::missing(fault)
            .or_else(|| (fault.clock() && site::liar().is_none()).then(|| "libfaketime is not installed".to_owned()));
        report.rows.insert(fault.name(), Row { skipped: why.clone(), ..Row::default() });
        if why.is_some() {
            continue;
        }
        if fault.clock() {
            jobs.push(Job { name: fault.name(), waits: true, work: Work::Ends(fault) });
        }
        for &way in &spec.ways {
            let none = (fault == Fault::KillHook && way.flips)
                || (matches!(fault, Fault::MapFull | Fault::MapReadOnly) && !way.routed())
                || (fault == Fault::Stall && way.flips)
                || (fault == Fault::AddAgain && way.sample != Sample::Route);
            if !none {
                jobs.push(Job { name: fault.name(), waits: fault.waits(), work: Work::Steps(way, fault) });
            }
        }
    }
    if spec.power > 0 {
        jobs.extend(spec.ways.iter().map(|way| Job { name: "power-loss", waits: false, work: Work::Power(*way) }));
    }
    // What waits most of its time is in nobody's way.
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
            tell(&note(&mut report, case));
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

/// Counts a case, and gives its line.
fn note(report: &mut ChaosReport, case: Done) -> String {
    let row = report.rows.entry(case.name).or_default();
    row.cases += 1;
    let Done { name, way, took, outcome } = case;
    let outcome = outcome.unwrap_or_else(|error| Outcome {
        step: String::new(),
        home: String::new(),
        violations: vec![format!("it cannot be judged: {error}")],
        excused: 0,
    });
    let Outcome { step, home, violations, excused } = outcome;
    row.excused += excused;
    let word = if violations.is_empty() { "ok  " } else { "FAIL" };
    let mut line = format!("{word} {name:22} {way:14} {step:24} {home} ({:.1} s)", took.as_secs_f64());
    if !violations.is_empty() {
        row.violated += 1;
        report.violations.push(format!("{name} {way} at {step}: {}", violations[0]));
        line.push_str(&format!("\n{}", violations.join("\n")).replace('\n', "\n     "));
    }
    line
}

async fn work(job: Job, spec: ChaosSpec, programs: Programs, lane: Arc<Semaphore>, done: mpsc::UnboundedSender<Done>) {
    // Nobody listens any more where the time is over.
    let tell = |way: &Way, outcome, began: Instant| {
        let _ = done.send(Done { name: job.name, way: way.name, outcome, took: began.elapsed() });
    };
    match job.work {
        Work::Ends(fault) => {
            let Ok(_turn) = lane.acquire().await else { return };
            let began = Instant::now();
            tell(&Way::ALL[0], ends::run(fault, &programs).await, began);
        }
        Work::Power(way) => {
            let Ok(_turn) = lane.acquire().await else { return };
            let began = Instant::now();
            match power::run(&way, spec.power, &programs).await {
                Err(error) => tell(&way, Err(error), began),
                Ok(lost) => {
                    let all = Outcome {
                        step: format!("{} copies", lost.copies),
                        home: "all are whole".to_owned(),
                        violations: Vec::new(),
                        excused: 0,
                    };
                    tell(&way, Ok(all), began);
                    for outcome in lost.outcomes {
                        tell(&way, Ok(outcome), began);
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
                    Ok(Some(outcome)) => tell(&way, Ok(outcome), began),
                    Err(error) => tell(&way, Err(error), began),
                }
            }
        }
    }
}

/// So many cases wait for one that works.
const IDLE: usize = 4;

/// More steps than any way has.
const MOST_STEPS: usize = 24;
