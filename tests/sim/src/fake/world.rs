//! Everything there is, and what happens by itself: checks, agents, reloads that come to their end, times that run out.

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
pub(super) struct World {
    pub(super) setup: Arc<Setup>,
    pub(super) texts: &'static Texts,
    pub(super) dice: Dice,
    /// When the simulation began.
    pub(super) base: Instant,
    pub(super) workers: BTreeMap<u32, Worker>,
    /// The process that takes what is new; `None` while HAProxy is down.
    pub(super) current: Option<u32>,
    pub(super) master: Option<Master>,
    pub(super) next_pid: u32,
    /// Lasts as long as the stats socket.
    pub(super) listening: watch::Sender<()>,
    pub(super) hung_until: Option<Instant>,
    /// Wakes those who wait for that, when it ends before its time.
    pub(super) resumed: watch::Sender<()>,
    pub(super) slow: Option<Duration>,
    pub(super) apps: BTreeMap<String, App>,
    /// What clients remember: the value of each cookie.
    pub(super) jar: BTreeMap<(u64, String), String>,
    pub(super) next_stream: u64,
    pub(super) reloading: bool,
    /// What the process that is about to take over has read of its maps, if it could.
    read: Option<Maps>,
    /// A process that has been replaced, and until when it may answer once more.
    pub(super) late: Option<(u32, Instant)>,
    events: BTreeMap<(Instant, u64), Event>,
    serial: u64,
}

#[derive(Debug)]
pub(super) struct Master {
    pub(super) pid: u32,
    pub(super) started: Instant,
    pub(super) reloads: u32,
    pub(super) failed: u32,
    /// Until when it starts itself anew, and refuses connections.
    pub(super) away_until: Instant,
    /// Replaced at a reload, which ends its connections.
    pub(super) life: watch::Sender<()>,
}

/// What is behind a server: what its checks and its agent find, and whether it takes connections.
#[derive(Debug, Clone, Default)]
pub(super) struct App {
    pub(super) unwell: bool,
    pub(super) refuses: bool,
    pub(super) agent: Option<String>,
}

/// What happened, for those who check after each that all is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A process carried out a command.
    Told(u32, String),
    /// The health check of a server had a result.
    Checked(String),
    /// The agent of a server was asked.
    Asked(String),
    /// A request came, or was refused.
    Began,
    /// A request ended, or went on to a server.
    Moved,
    /// A new process has taken over.
    Reloaded,
    /// A reload was tried, and the configuration or a map could not be read.
    ReloadFailed,
    /// A process has ended.
    Ended(u32),
    /// HAProxy was started.
    Started,
    /// HAProxy was killed.
    Killed,
    /// What is behind a server changed.
    App(String),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Event {
    /// What is to take over has been begun, and reads its files; with a master it is that, which executes itself anew.
    Begins,
    Takeover,
    Retry(u32, u64),
    QueueTimeout(u32, u64),
    HardStop(u32),
    Finish(u32, u64, Option<u16>),
    Kill(u32, At),
}

impl World {
    pub(super) fn new(setup: Setup, seed: u64, now: Instant) -> Self {
        let mut dice = Dice::new(seed);
        let next_pid = u32::try_from(dice.of(1000..9000)).unwrap_or(1000);
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
        self.next_pid += 1 + u32::try_from(self.dice.of(0..5)).unwrap_or(0);
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

    /// Every process ends at once, and their connections with them.
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
        let begins = now + Duration::from_millis(self.dice.of(1..6));
        self.at(begins, Event::Begins);
        let takes = Duration::from_millis(self.dice.of(39..145));
        self.at(now + takes, Event::Takeover);
        true
    }

    pub(super) fn at(&mut self, when: Instant, event: Event) {
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

    /// When the next thing happens by itself.
    pub(super) fn next_due(&self, now: Instant) -> Option<Instant> {
        let event = self.events.keys().next().map(|(when, _)| *when);
        let check = self.next_check().map(|(when, ..)| when);
        let due = match (event, check) {
            (Some(event), Some(check)) => Some(event.min(check)),
            (one, other) => one.or(other),
        };
        due.map(|due| self.hung(now).map_or(due, |until| due.max(until)))
    }

    /// Lets one thing happen whose time has come.
    pub(super) fn step(&mut self, now: Instant) -> Option<Change> {
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

    fn happens(&mut self, event: Event, now: Instant) -> Option<Change> {
        match event {
            Event::Begins => {
                self.read = read_maps(&self.setup).ok();
                let away = now + Duration::from_millis(self.dice.of(0..20));
                let master = self.master.as_mut()?;
                master.life = watch::channel(()).0;
                master.away_until = away;
                None
            }
            Event::Takeover => Some(self.take_over(now)),
            Event::Retry(pid, id) => {
                let apps = &self.apps;
                let worker = self.workers.get_mut(&pid)?;
                let entries = entries(worker);
                let refuses = |at: At| apps.get(&entries(at)).is_some_and(|app| app.refuses);
                let again = worker.retry(id, now, &mut self.dice, &refuses);
                if let Some(again) = again {
                    self.at(again, Event::Retry(pid, id));
                }
                Some(self.moved(pid))
            }
            Event::QueueTimeout(pid, id) => {
                let worker = self.workers.get_mut(&pid)?;
                worker.is_waiting(id).then(|| worker.finish(id, Some(503), now))?;
                Some(self.moved(pid))
            }
            Event::HardStop(pid) => {
                self.workers.remove(&pid)?;
                Some(Change::Ended(pid))
            }
            Event::Finish(pid, id, status) => {
                self.workers.get_mut(&pid)?.finish(id, status, now);
                Some(self.moved(pid))
            }
            Event::Kill(pid, at) => {
                self.workers.get_mut(&pid)?.kill_streams(at, now);
                Some(self.moved(pid))
            }
        }
    }

    fn take_over(&mut self, now: Instant) -> Change {
        self.reloading = false;
        let Some(old) = self.current else { return Change::ReloadFailed };
        let pid = self.pid();
        let started = self.read.take().and_then(|maps| Worker::start(&self.setup, maps, pid, now).ok());
        let Some(worker) = started else {
            if let Some(master) = &mut self.master {
                master.failed += 1;
            }
            return Change::ReloadFailed;
        };
        for old in self.workers.values_mut() {
            old.reloads += 1;
            old.stopping = true;
        }
        if let Some(master) = &mut self.master {
            master.reloads += 1;
        }
        if let Some(limit) = self.setup.hard_stop_after {
            self.at(now + limit, Event::HardStop(old));
        }
        self.workers.insert(pid, worker);
        self.current = Some(pid);
        self.late = Some((old, now + Duration::from_millis(self.dice.of(0..6))));
        self.bury(old);
        Change::Reloaded
    }

    /// After something of a request: an old process that has nothing left to do ends.
    pub(super) fn moved(&mut self, pid: u32) -> Change {
        if self.bury(pid) { Change::Ended(pid) } else { Change::Moved }
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
