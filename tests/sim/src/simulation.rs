//! One scenario, from its start to the recovery and the final checks.

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use serde_json::Value;
use teeter::plan::RunState;
use teeter_lab::Dice;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use crate::apps::Apps;
use crate::clients::visit;
use crate::daemon::Daemon;
use crate::deployer::Hook;
use crate::disk::FailingStore;
use crate::fake::Fake;
use crate::recovery;
use crate::scenario::{Fault, Scenario};
use crate::shape::Shape;
use crate::watch::{Counts, Finding, Watch};

/// Everything that takes part.
pub struct Simulation {
    /// The farm.
    pub shape: Shape,
    /// Every HAProxy.
    pub fakes: Vec<Fake>,
    /// The servers behind HAProxy.
    pub apps: Apps,
    /// teeterd.
    pub daemon: Daemon,
    /// The store, on a disk that can fail.
    pub store: FailingStore,
    /// Checks the invariants after every event.
    pub watch: Watch,
    pids: AtomicI32,
    fail_hook: AtomicBool,
    bad_version: AtomicBool,
    /// Whether a server is worked on until its hook's end is reported. It is not if a deploying process may hang
    /// while teeterd is started again, because teeterd then takes the process for ended.
    pub reports_count: bool,
    /// Until when deploying processes hang.
    stalled: Mutex<Option<Instant>>,
    hooks: Mutex<Vec<AbortHandle>>,
    /// Each change that a caller has requested.
    pub requests: Mutex<Vec<ChangeRequest>>,
}

/// A change that a caller has requested, and the answer.
#[derive(Debug, Clone)]
pub struct ChangeRequest {
    /// The process id of the caller.
    pub pid: i32,
    /// The path of the request.
    pub path: String,
    /// The status of the answer; `None` without one.
    pub status: Option<u16>,
}

/// The result of a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The invariants that did not hold.
    pub found: Vec<Finding>,
    /// The number of events and requests.
    pub counts: Counts,
    /// The strategy of each run, and how it ended.
    pub endings: Vec<String>,
    /// The simulated time that it took.
    pub lasted: Duration,
    /// A checksum of all events: the same scenario always has the same.
    pub trace: u64,
    /// Every event in words, if a log was requested.
    pub log: Vec<String>,
}

/// Plays a scenario.
pub fn play(scenario: &Scenario, log: bool) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.unwrap_or_else(|error| panic!("no runtime: {error}"));
    PANIC.take();
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANIC.set(Some(panic.to_string()));
            usual(panic);
        }));
    });
    let mut outcome = runtime.block_on(Simulation::play(scenario, log));
    // A panic ends only the task that it is in.
    if let Some(text) = PANIC.take() {
        outcome.found.push(Finding { invariant: "nothing panics", at: outcome.lasted, text });
    }
    outcome
}

thread_local! {
    static PANIC: Cell<Option<String>> = const { Cell::new(None) };
}

impl Simulation {
    async fn play(scenario: &Scenario, log: bool) -> Outcome {
        let begun = Instant::now();
        let dice = Dice::new(scenario.seed);
        let (shape, map) = (scenario.shape, MapFile::new(&scenario.shape));
        let fake = |number: u64| Fake::new(shape.setup(&map.0), dice.fork(11 + 10 * number).throw());
        let fakes: Vec<Fake> = (0..shape.haproxys as u64).map(fake).collect();
        if let Some(late) = fakes.last().filter(|_| shape.late > 0) {
            late.kill();
        }
        let apps = Apps::new(shape, fakes.clone(), dice.fork(12));
        let watch = Watch::new(scenario, apps.clone(), &fakes, log);
        let store = FailingStore::new(watch.clone()).unwrap_or_else(|error| panic!("{error}"));
        let config = shape.config(&map.0);
        let daemon = Daemon::new(shape, &fakes, apps.clone(), store.clone(), &config, dice.fork(13));
        let simulation = Arc::new(Self {
            shape,
            fakes,
            apps,
            daemon,
            store,
            watch,
            pids: AtomicI32::new(1_000),
            fail_hook: AtomicBool::new(false),
            bad_version: AtomicBool::new(false),
            reports_count: !may_lose_caller(scenario),
            stalled: Mutex::default(),
            hooks: Mutex::default(),
            requests: Mutex::default(),
        });
        simulation.daemon.start().await;
        let mut tasks = JoinSet::new();
        for client in 0..CLIENTS {
            tasks.spawn(visit(Arc::clone(&simulation), client, dice.fork(100 + client)));
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        simulation.perform(scenario, &dice).await;
        recovery::recover(&simulation, &mut dice.fork(15)).await;
        recovery::judge(&simulation, scenario).await;
        tasks.shutdown().await;
        simulation.daemon.kill().await;
        // The fake's hook and the fake refer to each other: this frees both.
        simulation.fakes.iter().for_each(|fake| fake.on_change(|_, _| ()));
        let (found, counts, trace, mut log) = simulation.watch.result();
        let stored = &simulation.daemon;
        if !log.is_empty() {
            log.push("what teeterd has recorded:".to_owned());
            log.extend(stored.events().iter().map(|event| format!("{} {} {}", event.at, event.kind, event.text)));
        }
        let ending = |run: &teeter::plan::Run| format!("{} {}", run.plan.strategy, ending(&run.state));
        let endings = stored.stored().runs.values().map(ending).collect();
        Outcome { found, counts, endings, lasted: begun.elapsed(), trace, log }
    }

    /// One request to teeterd by a new process. Gives the status and the document, or `None` without an answer.
    pub async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Option<(u16, Value)> {
        let pid = self.next_pid();
        let log = |status: Option<u16>| {
            self.watch.note(|| format!("{pid}: {method} {path} {}: {status:?}", body.unwrap_or(&Value::Null)));
            let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(request) = requests.iter_mut().find(|request| request.pid == pid) {
                request.status = status;
            } else if method == "POST" {
                requests.push(ChangeRequest { pid, path: path.to_owned(), status });
            }
        };
        log(None);
        if path.ends_with("/abort") || path.ends_with("/rollback") {
            self.watch.may_roll_back();
        }
        let _guard = CallerGuard { watch: &self.watch, pid };
        let answer = self.daemon.call(method, path, body, pid).await.ok();
        log(answer.as_ref().map(|(status, _)| *status));
        answer
    }

    /// A process id that no process had before.
    pub fn next_pid(&self) -> i32 {
        self.pids.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether the current hook, or the next one, is to fail.
    pub fn fail_hook(&self, fails: bool) {
        self.fail_hook.store(fails, Ordering::Relaxed);
    }

    /// Whether the calling hook is to fail. It is true for one hook only.
    pub fn hook_fails(&self) -> bool {
        self.fail_hook.swap(false, Ordering::Relaxed)
    }

    /// From now on, half of the responses of the new version have status 500.
    pub fn deploy_bad_version(&self) {
        self.bad_version.store(true, Ordering::Relaxed);
    }

    /// Whether half of the responses of the new version have status 500.
    pub fn is_version_bad(&self) -> bool {
        self.bad_version.load(Ordering::Relaxed)
    }

    /// Lets deploying processes hang for this time.
    pub fn stall_deployers(&self, duration: Duration) {
        *self.stalled.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + duration);
    }

    /// Waits while deploying processes hang.
    pub async fn while_stalled(&self) {
        loop {
            let stalled = *self.stalled.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(until) = stalled.filter(|until| *until > Instant::now()) else { return };
            tokio::time::sleep_until(until).await;
        }
    }

    /// Remembers a hook that is at work.
    pub fn remember_hook(&self, hook: &Hook) {
        self.hooks().push(hook.process());
    }

    /// Kills every hook.
    pub fn kill_hooks(&self) {
        self.hooks().drain(..).for_each(|hook| hook.abort());
    }

    fn hooks(&self) -> std::sync::MutexGuard<'_, Vec<AbortHandle>> {
        self.hooks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reports the end of a caller to the watch, with or without an answer.
struct CallerGuard<'a> {
    watch: &'a Watch,
    pid: i32,
}

impl Drop for CallerGuard<'_> {
    fn drop(&mut self) {
        self.watch.gone(self.pid);
    }
}

/// Whether a deploying process may hang while teeterd is started again.
fn may_lose_caller(scenario: &Scenario) -> bool {
    let any = |is: fn(&Fault) -> bool| scenario.acts.iter().any(|act| is(&act.fault));
    any(|fault| matches!(fault, Fault::StallDeployer(_))) && any(Fault::restarts_teeterd)
}

fn ending(state: &RunState) -> &'static str {
    match state {
        RunState::Done => "done",
        RunState::Aborted => "aborted",
        RunState::RolledBack => "rolled back",
        RunState::Running | RunState::Failed { .. } | RunState::Aborting => "not ended",
    }
}

/// The file of a map, in a directory of its own that is removed at the end.
struct MapFile(PathBuf);

impl MapFile {
    fn new(shape: &Shape) -> Self {
        static NUMBER: AtomicI32 = AtomicI32::new(0);
        // All names have one length, because HAProxy's answers have the path.
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("teeter-sim-{}-{number:08}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let path = folder.join("live.map");
        std::fs::write(&path, shape.map()).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self(path)
    }
}

impl Drop for MapFile {
    fn drop(&mut self) {
        if let Some(folder) = self.0.parent() {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

const CLIENTS: u64 = 4;

/// Longer than any call takes.
pub(crate) const LONG: Duration = Duration::from_secs(120);
