//! All processes of a HAProxy, and the events that become due: checks, agents, ends of reloads, timeouts.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use teeter_lab::Dice;
use tokio::sync::watch;
use tokio::time::Instant;

use super::setup::Setup;
use super::texts::Texts;
use super::worker::{At, Maps, Worker, read_maps};

#[derive(Debug)]
pub(super) struct Host {
    pub(super) setup: Arc<Setup>,
    pub(super) texts: &'static Texts,
    pub(super) dice: Dice,
    /// When the simulation began.
    pub(super) base: Instant,
    pub(super) workers: BTreeMap<u32, Worker>,
    /// The process that takes new requests. `None`: HAProxy is down.
    pub(super) current: Option<u32>,
    pub(super) master: Option<Master>,
    pub(super) next_pid: u32,
    /// Closes with the stats socket.
    pub(super) listening: watch::Sender<()>,
    pub(super) hung_until: Option<Instant>,
    /// Wakes the tasks that wait for its end, if it ends early.
    pub(super) resumed: watch::Sender<()>,
    pub(super) slow: Option<Duration>,
    pub(super) apps: BTreeMap<String, App>,
    /// The cookies of clients.
    pub(super) jar: BTreeMap<(u64, String), String>,
    pub(super) next_stream: u64,
    pub(super) reloading: bool,
    /// The maps as the process that is about to take over has read them. `None`: it could not.
    read: Option<Maps>,
    /// The former process after a reload, and until when it may answer a connection.
    pub(super) late: Option<(u32, Instant)>,
    events: BTreeMap<(Instant, u64), Due>,
    serial: u64,
}

#[derive(Debug)]
pub(super) struct Master {
    pub(super) pid: u32,
    pub(super) started: Instant,
    pub(super) reloads: u32,
    pub(super) failed: u32,
    /// Until when it executes itself again and refuses connections.
    pub(super) away_until: Instant,
    /// Closes at a reload, which ends its connections.
    pub(super) life: watch::Sender<()>,
}

/// The server behind a line: whether its checks pass, the words of its agent, and whether it accepts connections.
#[derive(Debug, Clone, Default)]
pub(super) struct App {
    pub(super) unhealthy: bool,
    pub(super) refuses: bool,
    pub(super) agent: Option<String>,
}

/// An event in HAProxy. The simulation checks its invariants after each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Occurrence {
    /// A process carried out a command.
    Command(u32, String),
    /// The health check of a server had a result.
    Checked(String),
    /// An agent check of a server had a result.
    AgentAsked(String),
    /// A request began, or was refused.
    RequestBegan,
    /// A request ended, or got a server after it had waited.
    RequestMoved,
    /// A new process has taken over.
    Reloaded,
    /// A reload failed, because the configuration or a map could not be read.
    ReloadFailed,
    /// A process has ended.
    Ended(u32),
    /// HAProxy was started.
    Started,
    /// HAProxy was killed.
    Killed,
    /// The health, refusals or agent of a server were set.
    ServerSet(String),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Due {
    /// A reload begins: the new process reads its files. A master executes itself again.
    Begins,
    Takeover,
    Retry(u32, u64),
    QueueTimeout(u32, u64),
    HardStop(u32),
    Finish(u32, u64, Option<u16>),
    Kill(u32, At),
}

impl Host {
    pub(super) fn new(setup: Setup, seed: u64, now: Instant) -> Self {
        let mut dice = Dice::new(seed);
        let next_pid = u32::try_from(dice.within(1000..9000)).unwrap_or(1000);
        Self {
            texts: Texts::of(setup.series),
            setup: Arc::new(setup),
            dice,
            base: now,
            workers: BTreeMap::new(),
            current: None,
            master: None,
            next_pid,
            listening: watch::channel(()).0,
            hung_until: None,
            resumed: watch::channel(()).0,
            slow: None,
            apps: BTreeMap::new(),
            jar: BTreeMap::new(),
            next_stream: 1,
            reloading: false,
            read: None,
            late: None,
            events: BTreeMap::new(),
            serial: 0,
        }
    }

    pub(super) fn pid(&mut self) -> u32 {
        self.next_pid += 1 + u32::try_from(self.dice.within(0..5)).unwrap_or(0);
        self.next_pid
    }

    pub(super) fn start(&mut self, now: Instant) -> io::Result<()> {
        if self.current.is_some() {
            return Ok(());
        }
        if self.setup.master {
            let pid = self.pid();
            let life = watch::channel(()).0;
            self.master = Some(Master { pid, started: now, reloads: 0, failed: 0, away_until: now, life });
        }
        let pid = self.pid();
        self.workers.insert(pid, Worker::start(&self.setup, read_maps(&self.setup)?, pid, now)?);
        self.current = Some(pid);
        Ok(())
    }

    /// Ends every process and its connections at once.
    pub(super) fn kill(&mut self) {
        self.workers.clear();
        self.listening = watch::channel(()).0;
        (self.current, self.master, self.late, self.hung_until) = (None, None, None, None);
        (self.reloading, self.read) = (false, None);
        self.events.clear();
    }

    pub(super) fn begin_reload(&mut self, now: Instant) -> bool {
        if self.current.is_none() || self.reloading {
            return false;
        }
        self.reloading = true;
        let begins = now + Duration::from_millis(self.dice.within(1..6));
        self.at(begins, Due::Begins);
        let takes = Duration::from_millis(self.dice.within(39..145));
        self.at(now + takes, Due::Takeover);
        true
    }

    pub(super) fn at(&mut self, when: Instant, event: Due) {
        self.serial += 1;
        self.events.insert((when, self.serial), event);
    }

    pub(super) fn resume(&mut self) {
        self.hung_until = None;
        self.resumed.send_replace(());
    }

    pub(super) fn hung(&self, now: Instant) -> Option<Instant> {
        self.hung_until.filter(|until| *until > now)
    }

    pub(super) fn current(&self) -> Option<&Worker> {
        self.workers.get(self.current.as_ref()?)
    }

    /// The time of the next due event.
    pub(super) fn next_due(&self, now: Instant) -> Option<Instant> {
        let event = self.events.keys().next().map(|(when, _)| *when);
        let check = self.next_check().map(|(when, ..)| when);
        let due = match (event, check) {
            (Some(event), Some(check)) => Some(event.min(check)),
            (one, other) => one.or(other),
        };
        due.map(|due| self.hung(now).map_or(due, |until| due.max(until)))
    }

    /// Lets one due event happen.
    pub(super) fn step(&mut self, now: Instant) -> Option<Occurrence> {
        if self.hung(now).is_some() {
            return None;
        }
        loop {
            let event = self.events.keys().next().copied().filter(|(when, _)| *when <= now);
            let check = self.next_check().filter(|(when, ..)| *when <= now);
            let change = match (event, check) {
                (Some(key), check) if check.is_none_or(|(when, ..)| key.0 <= when) => {
                    let event = self.events.remove(&key)?;
                    self.happens(event, now)
                }
                (_, Some((_, at, agent))) => Some(self.check(at, agent, now)),
                _ => return None,
            };
            if change.is_some() {
                self.catch_up(now);
                return change;
            }
        }
    }

    fn happens(&mut self, event: Due, now: Instant) -> Option<Occurrence> {
        match event {
            Due::Begins => {
                self.read = read_maps(&self.setup).ok();
                let away = now + Duration::from_millis(self.dice.within(0..20));
                let master = self.master.as_mut()?;
                master.life = watch::channel(()).0;
                master.away_until = away;
                None
            }
            Due::Takeover => Some(self.take_over(now)),
            Due::Retry(pid, id) => {
                let apps = &self.apps;
                let worker = self.workers.get_mut(&pid)?;
                let entries = entries(worker);
                let refuses = |at: At| apps.get(&entries(at)).is_some_and(|app| app.refuses);
                let again = worker.retry(id, now, &mut self.dice, &refuses);
                if let Some(again) = again {
                    self.at(again, Due::Retry(pid, id));
                }
                Some(self.moved(pid))
            }
            Due::QueueTimeout(pid, id) => {
                let worker = self.workers.get_mut(&pid)?;
                worker.is_waiting(id).then(|| worker.finish(id, Some(503), now))?;
                Some(self.moved(pid))
            }
            Due::HardStop(pid) => {
                self.workers.remove(&pid)?;
                Some(Occurrence::Ended(pid))
            }
            Due::Finish(pid, id, status) => {
                self.workers.get_mut(&pid)?.finish(id, status, now);
                Some(self.moved(pid))
            }
            Due::Kill(pid, at) => {
                self.workers.get_mut(&pid)?.kill_streams(at, now);
                Some(self.moved(pid))
            }
        }
    }

    fn take_over(&mut self, now: Instant) -> Occurrence {
        self.reloading = false;
        let Some(old) = self.current else { return Occurrence::ReloadFailed };
        let pid = self.pid();
        let started = self.read.take().and_then(|maps| Worker::start(&self.setup, maps, pid, now).ok());
        let Some(worker) = started else {
            if let Some(master) = &mut self.master {
                master.failed += 1;
            }
            return Occurrence::ReloadFailed;
        };
        for old in self.workers.values_mut() {
            old.reloads += 1;
            old.stopping = true;
        }
        if let Some(master) = &mut self.master {
            master.reloads += 1;
        }
        if let Some(limit) = self.setup.hard_stop_after {
            self.at(now + limit, Due::HardStop(old));
        }
        self.workers.insert(pid, worker);
        self.current = Some(pid);
        self.late = Some((old, now + Duration::from_millis(self.dice.within(0..6))));
        self.bury(old);
        Occurrence::Reloaded
    }

    /// After a change of a request: an old process without requests and connections ends.
    pub(super) fn moved(&mut self, pid: u32) -> Occurrence {
        if self.bury(pid) { Occurrence::Ended(pid) } else { Occurrence::RequestMoved }
    }

    pub(super) fn bury(&mut self, pid: u32) -> bool {
        let done = |worker: &Worker| worker.stopping && worker.streams.is_empty() && worker.cli == 0;
        self.workers.get(&pid).is_some_and(done) && self.workers.remove(&pid).is_some()
    }
}

/// The name of each place, as `BACKEND/SERVER`.
pub(super) fn entries(worker: &Worker) -> impl Fn(At) -> String + use<> {
    let names: BTreeMap<At, String> = worker.places().map(|at| (at, worker.entry(at))).collect();
    move |at| names.get(&at).cloned().unwrap_or_default()
}
