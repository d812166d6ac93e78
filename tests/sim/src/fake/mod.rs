//! A HAProxy that is only simulated: what teeter can see and do of one, in simulated time.
//!
//! It knows servers, checks, agents, weights, queues, maps, reloads and both sockets. It has no packets and no threads,
//! reads no clock but the runtime's, and draws lots only from the seed that it is given: the same seed gives the same
//! run. What it answers and does is held against every real HAProxy by the suite of this crate.
//!
//! In the order of dependence: `setup`, `dice` and `texts` know nothing of the rest; `server`, `maps`, `balance`,
//! `traffic`, `stick`, `checks` and `worker` are one process; `world` is all of them and what happens by itself; `commands`, with
//! `set`, `map_commands`, `tables`, `statistics` and `sessions`, reads and answers; `wire` and `master` are the sockets; `requests` and
//! `truth` are for the simulation.

mod balance;
mod checks;
mod commands;
mod map_commands;
mod maps;
mod master;
mod requests;
mod server;
mod sessions;
mod set;
mod setup;
mod statistics;
mod stick;
mod tables;
mod texts;
mod traffic;
mod truth;
mod wire;
mod worker;
mod world;

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::io::DuplexStream;
use tokio::sync::Notify;
use tokio::time::Instant;

pub use requests::{Refused, Request};
pub use server::Op;
pub use setup::{BackendSetup, Balance, CheckSetup, FrontendSetup, Level, Route, Series, ServerSetup, Setup};
pub use texts::columns;
pub use truth::{Place, ServerTruth, Truth, WorkerTruth};
pub use world::Change;

use world::World;

/// A simulated HAProxy; clones are the same one.
#[derive(Clone)]
pub struct Fake {
    inner: Arc<Inner>,
}

struct Inner {
    world: Mutex<World>,
    hook: Mutex<Option<Hook>>,
    /// Tells who lets time pass that something is due at another time.
    wake: Notify,
}

type Hook = Arc<dyn Fn(&Fake, &Change) + Send + Sync>;

impl fmt::Debug for Fake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fake").finish_non_exhaustive()
    }
}

impl Fake {
    /// A HAProxy that runs. Must be called within a runtime, whose clock it lives by.
    ///
    /// # Panics
    /// When a map cannot be read, or a server tracks one that is not there: HAProxy would not start.
    pub fn new(setup: Setup, seed: u64) -> Self {
        let now = Instant::now();
        let mut world = World::new(setup, seed, now);
        world.start(now).unwrap_or_else(|error| panic!("HAProxy does not start: {error}"));
        world.catch_up(now);
        let inner = Inner { world: Mutex::new(world), hook: Mutex::default(), wake: Notify::new() };
        let fake = Self { inner: Arc::new(inner) };
        tokio::spawn(let_time_pass(Arc::downgrade(&fake.inner)));
        fake
    }

    /// Calls `hook` after every change, with nothing locked: for looking only.
    pub fn on_change(&self, hook: impl Fn(&Self, &Change) + Send + Sync + 'static) {
        *self.inner.hook.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(hook));
    }

    /// A connection to the stats socket.
    ///
    /// # Errors
    /// HAProxy is down.
    pub fn connect(&self) -> io::Result<DuplexStream> {
        let level = self.with(|world, _| (world.setup.level, None));
        self.connect_at(level)
    }

    /// The same, to a socket of another level.
    ///
    /// # Errors
    /// HAProxy is down.
    pub fn connect_at(&self, level: Level) -> io::Result<DuplexStream> {
        let listening = self.with(|world, _| (world.current.map(|_| world.listening.subscribe()), None));
        let listening = listening.ok_or(io::ErrorKind::ConnectionRefused)?;
        let (ours, theirs) = tokio::io::duplex(BUFFER);
        tokio::spawn(wire::serve(self.clone(), theirs, level, listening));
        Ok(ours)
    }

    /// A connection to the master's socket.
    ///
    /// # Errors
    /// HAProxy is down, has no master, or its master is just starting itself anew.
    pub fn connect_master(&self) -> io::Result<DuplexStream> {
        let life = self.with(|world, now| {
            let master = world.master.as_ref().filter(|master| master.away_until <= now);
            (master.map(|master| master.life.subscribe()), None)
        });
        let life = life.ok_or(io::ErrorKind::ConnectionRefused)?;
        let (ours, theirs) = tokio::io::duplex(BUFFER);
        tokio::spawn(master::serve(self.clone(), theirs, life));
        Ok(ours)
    }

    /// Begins a reload: some milliseconds later the master ends its connections, some tens later a new process takes
    /// over. `false`: HAProxy is down, or another reload is under way.
    pub fn reload(&self) -> bool {
        let begun = self.with(|world, now| (world.begin_reload(now), None));
        self.inner.wake.notify_one();
        begun
    }

    /// What the configuration file says from now on: for the next reload or start.
    pub fn write_setup(&self, setup: Setup) {
        self.with(|world, _| (world.setup = Arc::new(setup), None));
    }

    /// Kills every process.
    pub fn kill(&self) {
        self.with(|world, _| (world.kill(), Some(Change::Killed)));
    }

    /// Starts again after [`Fake::kill`].
    ///
    /// # Errors
    /// A map cannot be read.
    pub fn start(&self) -> io::Result<()> {
        self.with(|world, now| (world.start(now), Some(Change::Started)))
    }

    /// Stops every process in its tracks for that long, or for as long as it was to take anyway: connections are accepted,
    /// and nothing moves.
    pub fn hang(&self, duration: Duration) {
        self.with(|world, now| (world.hung_until = world.hung_until.max(Some(now + duration)), None));
        self.inner.wake.notify_one();
    }

    /// Lets processes go on that hang.
    pub fn resume(&self) {
        self.with(|world, _| (world.resume(), None));
        self.inner.wake.notify_one();
    }

    /// Lets answers trickle, a piece at a time; `None`: no more.
    pub fn slow(&self, pause: Option<Duration>) {
        self.with(|world, _| (world.slow = pause, None));
    }

    /// What checks of `BACKEND/SERVER` find from now on.
    pub fn set_health(&self, server: &str, well: bool) {
        self.with_app(server, |app| app.unwell = !well);
    }

    /// Whether what is behind `BACKEND/SERVER` refuses connections, of checks and of requests.
    pub fn set_refusing(&self, server: &str, refuses: bool) {
        self.with_app(server, |app| app.refuses = refuses);
    }

    /// What the agent of `BACKEND/SERVER` says from now on; `None`: nothing.
    pub fn set_agent(&self, server: &str, words: Option<&str>) {
        self.with_app(server, |app| app.agent = words.map(str::to_owned));
    }

    fn with_app(&self, server: &str, change: impl FnOnce(&mut world::App)) {
        self.with(|world, _| {
            change(world.apps.entry(server.to_owned()).or_default());
            ((), Some(Change::App(server.to_owned())))
        });
    }

    /// Looks at everything or changes it, after everything whose time has come has happened.
    fn with<R>(&self, what: impl FnOnce(&mut World, Instant) -> (R, Option<Change>)) -> R {
        let now = Instant::now();
        self.settle(now);
        let mut world = self.lock();
        let (result, change) = what(&mut world, now);
        if change.is_some() {
            world.catch_up(now);
        }
        drop(world);
        if let Some(change) = change {
            self.inner.wake.notify_one();
            self.tell(&change);
        }
        result
    }

    fn settle(&self, now: Instant) {
        loop {
            let change = self.lock().step(now);
            let Some(change) = change else { return };
            self.tell(&change);
        }
    }

    fn tell(&self, change: &Change) {
        let hook = self.inner.hook.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(hook) = hook {
            hook(self, change);
        }
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.inner.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets happen what happens by itself, at its time, for as long as anybody has the fake.
async fn let_time_pass(inner: Weak<Inner>) {
    loop {
        let Some(fake) = inner.upgrade().map(|inner| Fake { inner }) else { return };
        let now = Instant::now();
        fake.settle(now);
        let due = fake.lock().next_due(now).unwrap_or(now + LONG);
        tokio::select! {
            () = fake.inner.wake.notified() => {}
            () = tokio::time::sleep_until(due) => {}
        }
    }
}

/// What a socket holds for who reads slowly.
const BUFFER: usize = 64 << 10;

/// Where nothing is due, somebody looks now and then whether the fake is still wanted.
const LONG: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests;
