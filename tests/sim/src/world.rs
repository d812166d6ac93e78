//! One scenario from its beginning to its rest.

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use teeter::plan::RunState;
use teeter_lab::Dice;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::{AbortHandle, JoinSet};

use crate::apps::Apps;
use crate::daemon::Daemon;
use crate::deployer::{self, AtWork, Hook};
use crate::disk::FailingStore;
use crate::fake::{Fake, Refused, Request};
use crate::rest;
use crate::scenario::{Act, ByHand, Call, Scenario, Verb, What};
use crate::shape::Shape;
use crate::watch::{Counts, Finding, Watch};

/// Everything there is.
pub struct World {
    /// The farm.
    pub shape: Shape,
    /// Every HAProxy.
    pub fakes: Vec<Fake>,
    /// The servers behind it.
    pub apps: Apps,
    /// teeterd.
    pub daemon: Daemon,
    /// The disk of its store.
    pub store: FailingStore,
    /// Who judges.
    pub watch: Watch,
    pids: AtomicI32,
    fail_hook: AtomicBool,
    bad_version: AtomicBool,
    hooks: Mutex<Vec<AbortHandle>>,
    /// What teeterd has answered to each caller: process id, request, and status.
    pub answers: Mutex<Vec<(i32, String, Option<u16>)>>,
}

/// What became of a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What must not have been.
    pub found: Vec<Finding>,
    /// How much was looked at.
    pub counts: Counts,
    /// The strategy of each run, and how it ended.
    pub endings: Vec<String>,
    /// How long it lasted, in its own time.
    pub lasted: Duration,
    /// The same for the same scenario, always.
    pub trace: u64,
    /// What happened, where that was asked for.
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
    let mut outcome = runtime.block_on(World::play(scenario, log));
    // A task that panics takes nobody with it but itself.
    if let Some(text) = PANIC.take() {
        outcome.found.push(Finding { which: "nothing panics", at: outcome.lasted, text });
    }
    outcome
}

thread_local! {
    static PANIC: Cell<Option<String>> = const { Cell::new(None) };
}

impl World {
    async fn play(scenario: &Scenario, log: bool) -> Outcome {
        let begun = tokio::time::Instant::now();
        let dice = Dice::new(scenario.seed);
        let (shape, map) = (scenario.shape, MapFile::new(&scenario.shape));
        let fake = |number: u64| Fake::new(shape.setup(&map.0), dice.other(11 + 10 * number).throw());
        let fakes: Vec<Fake> = (0..shape.haproxys as u64).map(fake).collect();
        if let Some(late) = fakes.last().filter(|_| shape.late > 0) {
            late.kill();
        }
        let apps = Apps::new(shape, fakes.clone(), dice.other(12));
        let watch = Watch::new(scenario, apps.clone(), &fakes, log);
        let store = FailingStore::new(watch.clone()).unwrap_or_else(|error| panic!("{error}"));
        let config = shape.config(&map.0);
        let haproxys = shape.names().iter().copied().zip(fakes.iter().cloned()).collect();
        let daemon = Daemon::new(haproxys, apps.clone(), store.clone(), &config, shape.master, dice.other(13));
        let world = Arc::new(Self {
            shape,
            fakes,
            apps,
            daemon,
            store,
            watch,
            pids: AtomicI32::new(1_000),
            fail_hook: AtomicBool::new(false),
            bad_version: AtomicBool::new(false),
            hooks: Mutex::default(),
            answers: Mutex::default(),
        });
        world.daemon.start().await;
        let mut tasks = JoinSet::new();
        for client in 0..CLIENTS {
            tasks.spawn(visit(Arc::clone(&world), client, dice.other(100 + client)));
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        world.strike(scenario, &dice).await;
        rest::bring_home(&world, &mut dice.other(15)).await;
        rest::judge(&world, scenario).await;
        tasks.shutdown().await;
        world.daemon.kill().await;
        // Who looks at the fake knows the servers, and they know the fake.
        world.fakes.iter().for_each(|fake| fake.on_change(|_, _| ()));
        let (found, counts, trace, mut log) = world.watch.result();
        if !log.is_empty() {
            log.push("what teeterd has recorded:".to_owned());
            log.extend(world.daemon.events().iter().map(|event| format!("{} {} {}", event.at, event.kind, event.text)));
        }
        let state = |run: &teeter::plan::Run| format!("{} {}", run.plan.strategy, ending(&run.state));
        let endings = world.daemon.stored().runs.values().map(state).collect();
        Outcome { found, counts, endings, lasted: begun.elapsed(), trace, log }
    }

    /// A deploy, and everything that happens beside it.
    async fn strike(self: &Arc<Self>, scenario: &Scenario, dice: &Dice) {
        let begun = tokio::time::Instant::now();
        let mut deploying = tokio::spawn(deployer::deploy(Arc::clone(self), "v2".to_owned(), dice.other(14)));
        let (killer, mut acts) = (deploying.abort_handle(), JoinSet::new());
        if self.shape.late > 0 {
            let world = Arc::clone(self);
            acts.spawn(async move {
                tokio::time::sleep(Duration::from_millis(world.shape.late)).await;
                world.fakes.last().map(Fake::start).transpose().map(drop).unwrap_or_default();
            });
        }
        for (number, act) in scenario.acts.iter().enumerate() {
            tokio::time::sleep_until(begun + act.at).await;
            self.watch.note(|| format!("{:?}", act.what));
            let (world, act, dice) = (Arc::clone(self), act.clone(), dice.other(1_000 + number as u64));
            acts.spawn(world.act(act, killer.clone(), dice));
        }
        while acts.join_next().await.is_some() {}
        // Who waits for a run that waits for others waits no longer than this.
        tokio::time::timeout(Duration::from_secs(60), &mut deploying).await.map(drop).unwrap_or_default();
        deploying.abort();
        self.kill_hooks();
    }

    async fn act(self: Arc<Self>, act: Act, deployer: AbortHandle, dice: Dice) {
        let fake = &self.fakes[act.on % self.fakes.len()];
        match act.what {
            What::KillTeeterd { back, jump } => {
                self.daemon.kill().await;
                self.daemon.jump(jump);
                tokio::time::sleep(back).await;
                self.daemon.start().await;
            }
            What::Reload => drop(fake.reload()),
            What::KillHaproxy(back) => {
                fake.kill();
                tokio::time::sleep(back).await;
                fake.start().unwrap_or_default();
            }
            What::Hang(duration) => {
                fake.hang(duration);
                tokio::time::sleep(duration).await;
            }
            What::Slow(duration) => {
                fake.slow(Some(Duration::from_millis(3)));
                tokio::time::sleep(duration).await;
                fake.slow(None);
            }
            What::DiskFull(duration) => {
                self.store.set_full(true);
                tokio::time::sleep(duration).await;
                self.store.set_full(false);
            }
            What::DiskStalls(duration) => self.daemon.stall(duration),
            What::DiskLies => self.store.lie_once(),
            What::KillDeployer { hook_lives } => {
                deployer.abort();
                if !hook_lives {
                    self.kill_hooks();
                }
            }
            What::FailHook => self.fail_hook.store(true, Ordering::Relaxed),
            What::Call(call) => self.ask(call, dice).await,
            What::ByHand(number, what) => {
                self.watch.changed_by_hand(self.shape.member(number));
                self.by_hand(fake, number, what).await;
            }
            What::Sabotage(number) => self.by_hand(fake, number, ByHand::Ready).await,
            What::BadVersion => self.bad_version.store(true, Ordering::Relaxed),
            What::Crowd(count, duration) => {
                let crowd: Vec<_> = (0..count).map(|_| fake.connect()).collect();
                tokio::time::sleep(duration).await;
                drop(crowd);
            }
            What::Readers(count, duration) => {
                let mut readers = JoinSet::new();
                for _ in 0..count {
                    let world = Arc::clone(&self);
                    readers.spawn(async move { world.read().await });
                }
                tokio::time::sleep(duration).await;
                readers.shutdown().await;
            }
            What::Sick(number, duration) => {
                let member = self.shape.member(number);
                self.apps.ail(&member, true);
                tokio::time::sleep(duration).await;
                self.apps.ail(&member, false);
            }
        }
    }

    /// Reads all that there is, again and again.
    async fn read(&self) {
        loop {
            for path in ["/v1/status", "/v1/doctor", "/v1/runs", "/v1/events?limit=1000"] {
                self.daemon.call("GET", path, None, self.next_pid()).await.map(drop).unwrap_or_default();
            }
            // A daemon that is not there answers at once.
            tokio::time::sleep(READ_AGAIN).await;
        }
    }

    async fn ask(self: &Arc<Self>, call: Call, dice: Dice) {
        let hold = |number: usize, mode: &str, lasts: Option<Duration>| {
            let expires = lasts.map(|lasts| format!("{}ms", lasts.as_millis()));
            let selectors = [self.shape.lines(number)[0].clone()];
            json!({ "selectors": selectors, "mode": mode, "reason": "sim", "expires_in": expires, "deadline": "3s" })
        };
        let run = self.daemon.stored().runs.keys().last().map_or(1, |id| id.0);
        let of_run = |what: &str| format!("/v1/runs/{run}/{what}");
        let (path, body) = match call.verb {
            Verb::Drain(number, lasts) => ("/v1/holds".to_owned(), hold(number, "drain", lasts)),
            Verb::Maint(number, lasts) => ("/v1/holds".to_owned(), hold(number, "maint", lasts)),
            Verb::Ready(number) => {
                let selectors = [self.shape.lines(number)[0].clone()];
                ("/v1/release".to_owned(), json!({ "selectors": selectors, "verify": true }))
            }
            Verb::Abort => (of_run("abort"), Value::Null),
            Verb::Pause => (of_run("pause"), Value::Null),
            Verb::Resume => (of_run("resume"), Value::Null),
            Verb::Retry => (of_run("retry"), Value::Null),
            Verb::Rollback => (of_run("rollback"), json!({})),
            Verb::Flip(to) => ("/v1/runs".to_owned(), json!({ "farm": "web", "strategy": "flip", "to": to })),
            Verb::Repair(number) => return self.repair(number, hold(number, "drain", None)).await,
            Verb::Deploy => {
                let deploying = deployer::deploy(Arc::clone(self), "v3".to_owned(), dice);
                tokio::time::timeout(call.patience.unwrap_or(LONG), deploying).await.map(drop).unwrap_or_default();
                return;
            }
        };
        let body = Some(&body).filter(|body| !body.is_null());
        let asking = self.call("POST", &path, body);
        tokio::time::timeout(call.patience.unwrap_or(LONG), asking).await.map(drop).unwrap_or_default();
    }

    /// An operator takes a server out, works on it as soon as teeter says that it is empty, and gives it back. Where teeter
    /// says that clients may come back to it, the operator gives them the grace and has them sent elsewhere then.
    async fn repair(&self, number: usize, mut hold: Value) {
        let Some((mut held, note)) = self.emptied(&hold).await else { return };
        if note.contains("may come back") {
            hold["grace"] = json!(format!("{}ms", self.shape.grace));
            let Some((again, _)) = self.emptied(&hold).await else { return };
            held = again;
        }
        let member = self.shape.member(number);
        let at_work = AtWork::on(&self.apps, vec![member.clone()]);
        self.watch.note(|| format!("somebody repairs {member}"));
        // Its checks pass all the while: nothing but teeter keeps visitors away.
        tokio::time::sleep(REPAIR_TAKES).await;
        drop(at_work);
        let selectors = [self.shape.lines(number)[0].clone()];
        let release = json!({ "selectors": selectors, "verify": true, "owner": held["owner"] });
        self.call("POST", "/v1/release", Some(&release)).await;
    }

    /// Takes servers out and waits until teeter says that they are empty. The hold, and what is noted of it then.
    async fn emptied(&self, hold: &Value) -> Option<(Value, String)> {
        let (201, held) = self.call("POST", "/v1/holds", Some(hold)).await? else { return None };
        for _ in 0..REPAIR_WAITS {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let Some((200, holds)) = self.call("GET", "/v1/holds", None).await else { continue };
            let mut all = holds["holds"].as_array().into_iter().flatten();
            let now = all.find(|one| one["id"] == held["id"])?;
            if now["stage"] == "out" {
                return Some((held, now["note"].as_str().unwrap_or_default().to_owned()));
            }
        }
        None
    }

    /// Whether teeter holds a server.
    pub fn is_held(&self, number: usize) -> bool {
        let lines = self.shape.lines(number);
        let on = |hold: &teeter::farm::Hold| {
            hold.entries.iter().any(|entry| lines.iter().any(|line| entry.to_string().ends_with(line)))
        };
        self.daemon.stored().holds.values().any(on)
    }

    /// Somebody tells a HAProxy something about a server.
    pub async fn by_hand(&self, fake: &Fake, number: usize, what: ByHand) {
        let line = self.shape.lines(number)[0].clone();
        if what == ByHand::Ready {
            // Perhaps it is out for its version.
            self.watch.may_mix();
        }
        let told = match what {
            ByHand::Maint => format!("set server {line} state maint\n"),
            ByHand::Drain => format!("set server {line} state drain\n"),
            ByHand::Ready => format!("set server {line} state ready\n"),
            ByHand::Weight => format!("set server {line} weight 50%\n"),
        };
        let Ok(mut stream) = fake.connect() else { return };
        let telling = async {
            stream.write_all(told.as_bytes()).await?;
            stream.read_to_end(&mut Vec::new()).await
        };
        tokio::time::timeout(LONG, telling).await.map(drop).unwrap_or_default();
    }

    /// One request to teeterd by a process of its own: the status and the document. `None`: there was no answer.
    pub async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Option<(u16, Value)> {
        let pid = self.next_pid();
        let log = |status: Option<u16>| {
            self.watch.note(|| format!("{pid}: {method} {path} {}: {status:?}", body.unwrap_or(&Value::Null)));
            let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(answer) = answers.iter_mut().find(|answer| answer.0 == pid) {
                answer.2 = status;
            } else if method == "POST" {
                answers.push((pid, path.to_owned(), status));
            }
        };
        log(None);
        if path.ends_with("/abort") || path.ends_with("/rollback") {
            self.watch.goes_back();
        }
        let _leaving = Leaving(&self.watch, pid);
        let answer = self.daemon.call(method, path, body, pid).await.ok();
        log(answer.as_ref().map(|(status, _)| *status));
        answer
    }

    /// A process id that nobody had before.
    pub fn next_pid(&self) -> i32 {
        self.pids.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether the hook that asks is to fail.
    pub fn hook_fails(&self) -> bool {
        self.fail_hook.swap(false, Ordering::Relaxed)
    }

    /// Lets no hook fail any more.
    pub fn mend_hooks(&self) {
        self.fail_hook.store(false, Ordering::Relaxed);
    }

    fn answer(&self, request: &Request, dice: &mut Dice) -> u16 {
        let version = request.server.as_ref().map(|server| self.apps.version(server));
        let bad = self.bad_version.load(Ordering::Relaxed) && version.is_some_and(|version| version != "v1");
        if bad && dice.of(0..2) == 0 { 500 } else { 200 }
    }

    /// Remembers a hook that is at work.
    pub fn has_begun(&self, hook: &Hook) {
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

/// Tells the judge when a caller goes away, answered or not.
struct Leaving<'a>(&'a Watch, i32);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.gone(self.1);
    }
}

fn ending(state: &RunState) -> &'static str {
    match state {
        RunState::Done => "done",
        RunState::Aborted => "aborted",
        RunState::RolledBack => "rolled back",
        RunState::Running | RunState::Failed { .. } | RunState::Aborting => "not ended",
    }
}

/// A visitor, one request after the other.
async fn visit(world: Arc<World>, number: u64, mut dice: Dice) {
    let fronts = world.shape.frontends();
    loop {
        tokio::time::sleep(Duration::from_millis(dice.of(20..500))).await;
        let front = fronts[dice.of(0..fronts.len() as u64) as usize];
        // Who finds a HAProxy down goes to the other.
        let first = dice.of(0..world.fakes.len() as u64) as usize;
        let mut fakes = world.fakes.iter().cycle().skip(first).take(world.fakes.len());
        let began = fakes.find_map(|fake| match fake.begin(front, Some(number)) {
            Err(Refused::Down) => None,
            began => Some((fake, began)),
        });
        match began.map(|(fake, began)| (fake, began.ok())) {
            Some((fake, Some(request))) => {
                world.watch.visited(true);
                tokio::time::sleep(Duration::from_millis(dice.of(1..world.shape.longest))).await;
                let status = world.answer(&request, &mut dice);
                fake.end_with(request, Some(status));
            }
            Some((_, None)) | None => world.watch.visited(false),
        }
    }
}

/// The file of a map, which is removed in the end.
struct MapFile(PathBuf);

impl MapFile {
    fn new(shape: &Shape) -> Self {
        static NUMBER: AtomicI32 = AtomicI32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("teeter-sim-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let path = folder.join("live.map");
        std::fs::write(&path, shape.map()).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self(path)
    }
}

impl Drop for MapFile {
    fn drop(&mut self) {
        if let Some(folder) = self.0.parent() {
            std::fs::remove_dir_all(folder).unwrap_or_default();
        }
    }
}

const CLIENTS: u64 = 4;

/// How often somebody looks whether a server is empty that they want to repair.
const REPAIR_WAITS: u32 = 50;

/// Between two rounds of a reader.
const READ_AGAIN: Duration = Duration::from_millis(5);

/// Longer than a HAProxy that has come back may go without being told.
const REPAIR_TAKES: Duration = Duration::from_secs(9);

/// As long as anybody waits.
const LONG: Duration = Duration::from_secs(120);
