//! A simulated HAProxy: everything that teeter can see of one and do with it, in simulated time.
//!
//! It has servers, checks, agents, weights, queues, maps, reloads and both sockets. It has neither packets nor
//! threads. Its only clock is that of the runtime, and its only source of chance is its seed: the same seed gives the
//! same run. The suite of this crate compares its answers and its behaviour with every real HAProxy.
//!
//! In the order of their imports: `setup` and `texts` know nothing of the rest. `server`, `maps`, `balance`, `traffic`,
//! `stick`, `checks` and `worker` are one process. `host` has all processes and the events that become due.
//! `commands`, with `set`, `dynamic`, `map_commands`, `tables`, `statistics` and `sessions`, carries out commands.
//! `wire` and `master` are the sockets. `requests` and `truth` are for the simulation.

mod balance;
mod checks;
mod commands;
mod dynamic;
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
mod host;

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::io::DuplexStream;
use tokio::sync::Notify;
use tokio::time::Instant;

pub use host::Occurrence;
pub use requests::{Refused, Request};
pub use server::Op;
pub use setup::{BackendSetup, Balance, CheckSetup, FrontendSetup, Level, Route, Series, ServerSetup, Setup};
pub use texts::columns;
pub use truth::{Place, ServerTruth, Truth, WorkerTruth};

use host::Host;

/// A simulated HAProxy. Clones are the same HAProxy.
#[derive(Clone)]
pub struct Fake {
    inner: Arc<Inner>,
}

struct Inner {
    host: Mutex<Host>,
    hook: Mutex<Option<Hook>>,
    /// Wakes the task that waits for due events, when another one is due first.
    wake: Notify,
}

type Hook = Arc<dyn Fn(&Fake, &Occurrence) + Send + Sync>;

impl fmt::Debug for Fake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fake").finish_non_exhaustive()
    }
}

impl Fake {
    /// Starts a HAProxy. It must be called within a runtime, because it uses the runtime's clock.
    ///
    /// # Panics
    /// If a map cannot be read, or a server tracks one that does not exist: HAProxy would not start.
    pub fn new(setup: Setup, seed: u64) -> Self {
        let now = Instant::now();
        let mut host = Host::new(setup, seed, now);
        host.start(now).unwrap_or_else(|error| panic!("HAProxy does not start: {error}"));
        host.catch_up(now);
        let inner = Inner { host: Mutex::new(host), hook: Mutex::default(), wake: Notify::new() };
        let fake = Self { inner: Arc::new(inner) };
        tokio::spawn(let_time_pass(Arc::downgrade(&fake.inner)));
        fake
    }

    /// Calls `hook` after every occurrence, with nothing locked. It may look, but not change anything.
    pub fn on_change(&self, hook: impl Fn(&Self, &Occurrence) + Send + Sync + 'static) {
        *self.inner.hook.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(hook));
    }

    /// A connection to the stats socket.
    ///
    /// # Errors
    /// HAProxy is down.
    pub fn connect(&self) -> io::Result<DuplexStream> {
        let level = self.with(|host, _| (host.setup.level, None));
        self.connect_at(level)
    }

    /// A connection to a stats socket of another level.
    ///
    /// # Errors
    /// HAProxy is down.
    pub fn connect_at(&self, level: Level) -> io::Result<DuplexStream> {
        let listening = self.with(|host, _| (host.current.map(|_| host.listening.subscribe()), None));
        let listening = listening.ok_or(io::ErrorKind::ConnectionRefused)?;
        let (ours, theirs) = tokio::io::duplex(BUFFER);
        tokio::spawn(wire::serve(self.clone(), theirs, level, listening));
        Ok(ours)
    }

    /// A connection to the master's socket.
    ///
    /// # Errors
    /// HAProxy is down, has no master, or its master executes itself again at the moment.
    pub fn connect_master(&self) -> io::Result<DuplexStream> {
        let life = self.with(|host, now| {
            let master = host.master.as_ref().filter(|master| master.away_until <= now);
            (master.map(|master| master.life.subscribe()), None)
        });
        let life = life.ok_or(io::ErrorKind::ConnectionRefused)?;
        let (ours, theirs) = tokio::io::duplex(BUFFER);
        tokio::spawn(master::serve(self.clone(), theirs, life));
        Ok(ours)
    }

    /// Begins a reload: some milliseconds later the master ends its connections, and some tens of milliseconds later
    /// a new process takes over. `false`: HAProxy is down, or another reload is under way.
    pub fn reload(&self) -> bool {
        let begun = self.with(|host, now| (host.begin_reload(now), None));
        self.inner.wake.notify_one();
        begun
    }

    /// Writes another configuration, for the next reload or start.
    pub fn write_setup(&self, setup: Setup) {
        self.with(|host, _| (host.setup = Arc::new(setup), None));
    }

    /// Kills every process.
    pub fn kill(&self) {
        self.with(|host, _| (host.kill(), Some(Occurrence::Killed)));
    }

    /// Starts again after [`Fake::kill`].
    ///
    /// # Errors
    /// A map cannot be read.
    pub fn start(&self) -> io::Result<()> {
        self.with(|host, now| (host.start(now), Some(Occurrence::Started)))
    }

    /// Stops every process for this time, as SIGSTOP does: connections are accepted, and nothing else happens. A
    /// longer stop that is under way goes on.
    pub fn hang(&self, duration: Duration) {
        self.with(|host, now| (host.hung_until = host.hung_until.max(Some(now + duration)), None));
        self.inner.wake.notify_one();
    }

    /// Lets stopped processes go on.
    pub fn resume(&self) {
        self.with(|host, _| (host.resume(), None));
        self.inner.wake.notify_one();
    }

    /// Writes answers in pieces, with this pause between two of them. `None`: at once again.
    pub fn slow(&self, pause: Option<Duration>) {
        self.with(|host, _| (host.slow = pause, None));
    }

    /// Sets whether checks of `BACKEND/SERVER` pass.
    pub fn set_health(&self, server: &str, healthy: bool) {
        self.with_app(server, |app| app.unhealthy = !healthy);
    }

    /// Sets whether the server behind `BACKEND/SERVER` refuses connections, of checks and of requests.
    pub fn set_refusing(&self, server: &str, refuses: bool) {
        self.with_app(server, |app| app.refuses = refuses);
    }

    /// Sets the words of the agent of `BACKEND/SERVER`. `None`: it does not answer.
    pub fn set_agent(&self, server: &str, words: Option<&str>) {
        self.with_app(server, |app| app.agent = words.map(str::to_owned));
    }

    fn with_app(&self, server: &str, change: impl FnOnce(&mut host::App)) {
        self.with(|host, _| {
            change(host.apps.entry(server.to_owned()).or_default());
            ((), Some(Occurrence::ServerSet(server.to_owned())))
        });
    }

    /// Looks at the state or changes it, after every due event has happened.
    fn with<R>(&self, what: impl FnOnce(&mut Host, Instant) -> (R, Option<Occurrence>)) -> R {
        let now = Instant::now();
        self.settle(now);
        let mut host = self.lock();
        let (result, change) = what(&mut host, now);
        if change.is_some() {
            host.catch_up(now);
        }
        drop(host);
        if let Some(change) = change {
            self.inner.wake.notify_one();
            self.call_hook(&change);
        }
        result
    }

    fn settle(&self, now: Instant) {
        loop {
            let change = self.lock().step(now);
            let Some(change) = change else { return };
            self.call_hook(&change);
        }
    }

    fn call_hook(&self, change: &Occurrence) {
        let hook = self.inner.hook.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(hook) = hook {
            hook(self, change);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Host> {
        self.inner.host.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets due events happen at their times, as long as the fake is in use.
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

/// The size of a socket's buffer.
const BUFFER: usize = 64 << 10;

/// While nothing is due, the task looks this often whether the fake is still in use.
const LONG: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests;
