//! The servers behind HAProxy: the version of each, whether it is healthy, and which hooks work on it.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use teeter::engine::{Answer, Prober};
use teeter::farm::HttpProbe;
use teeter::plan::warm_up::Timed;
use teeter_lab::Dice;

use crate::fake::Fake;
use crate::shape::Shape;

/// All servers of a farm. Clones are the same servers.
#[derive(Debug, Clone)]
pub struct Apps(Arc<Mutex<All>>);

#[derive(Debug)]
struct All {
    shape: Shape,
    fakes: Vec<Fake>,
    apps: Vec<App>,
    /// The number of the leader, in a farm with a leader.
    leader: usize,
    dice: Dice,
}

#[derive(Debug, Clone)]
struct App {
    version: String,
    /// A hook has stopped it.
    stopped: bool,
    /// The number of faults that make it unhealthy.
    faults: usize,
    /// Hooks that work on it.
    worked_on: BTreeSet<u64>,
}

impl App {
    fn is_healthy(&self) -> bool {
        !self.stopped && self.faults == 0
    }
}

impl Apps {
    /// Servers that all run `v1` and are healthy.
    pub fn new(shape: Shape, fakes: Vec<Fake>, dice: Dice) -> Self {
        let app = App { version: "v1".to_owned(), stopped: false, faults: 0, worked_on: BTreeSet::new() };
        if shape.leader {
            set_leader(&fakes, shape, 0);
        }
        Self(Arc::new(Mutex::new(All { apps: vec![app; shape.members()], leader: 0, shape, fakes, dice })))
    }

    /// The version that a member runs.
    pub fn version(&self, member: &str) -> String {
        let all = self.lock();
        all.number(member).map(|number| all.apps[number].version.clone()).unwrap_or_default()
    }

    /// A hook begins to work on a member.
    pub fn begin_work(&self, member: &str, hook: u64) {
        self.change(member, |app| app.worked_on.extend([hook]));
    }

    /// A hook works on a member no longer. It may have been killed.
    pub fn end_work(&self, member: &str, hook: u64) {
        self.change(member, |app| app.worked_on.retain(|other| *other != hook));
    }

    /// The members that hooks work on.
    pub fn worked_on(&self) -> Vec<String> {
        let all = self.lock();
        let at_work = (0..all.apps.len()).filter(|number| !all.apps[*number].worked_on.is_empty());
        at_work.map(|number| all.shape.member(number)).collect()
    }

    /// Stops a member.
    pub fn stop(&self, member: &str) {
        self.change(member, |app| app.stopped = true);
    }

    /// Starts a member, with this version.
    pub fn start(&self, member: &str, version: &str) {
        self.change(member, |app| (app.stopped, app.version) = (false, version.to_owned()));
    }

    /// Makes a member unhealthy, or ends that. Two faults may make it unhealthy at a time.
    pub fn set_unhealthy(&self, member: &str, unhealthy: bool) {
        self.change(member, |app| {
            app.faults = if unhealthy { app.faults + 1 } else { app.faults.saturating_sub(1) };
        });
    }

    /// Makes every member healthy and starts it, with the version that it has.
    pub fn make_all_healthy(&self) {
        let members: Vec<String> = {
            let all = self.lock();
            (0..all.apps.len()).map(|number| all.shape.member(number)).collect()
        };
        for member in members {
            self.change(&member, |app| (app.faults, app.stopped) = (0, false));
        }
    }

    fn change(&self, member: &str, change: impl FnOnce(&mut App)) {
        let mut all = self.lock();
        let Some(number) = all.number(member) else { return };
        change(&mut all.apps[number]);
        let healthy = all.apps[number].is_healthy();
        let (fakes, shape) = (all.fakes.clone(), all.shape);
        let leader = all.elect();
        drop(all);
        // The first line has checks. Other lines track it, except in the backend of the leader.
        fakes.iter().for_each(|fake| fake.set_health(&shape.lines(number)[0], healthy));
        if shape.leader {
            set_leader(&fakes, shape, leader);
        }
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, address: &str) -> (Duration, Result<String, String>) {
        let mut all = self.lock();
        let took = Duration::from_micros(all.dice.within(300..20_000));
        let number = (0..all.apps.len()).find(|number| all.shape.address(*number) == address);
        let app = number.map(|number| &all.apps[number]);
        let answer = match app {
            None => Err(format!("{address}: no route to host")),
            Some(app) if app.stopped => Err(format!("{address}: connection refused")),
            Some(app) if app.faults > 0 => Err(format!("{address} answered 503")),
            Some(app) => Ok(app.version.clone()),
        };
        (took, answer)
    }
}

/// In the backend of the leader, checks pass on the leader only.
fn set_leader(fakes: &[Fake], shape: Shape, leader: usize) {
    for number in 0..shape.members() {
        for fake in fakes {
            fake.set_health(&shape.lines(number)[1], number == leader);
        }
    }
}

impl All {
    /// The number of the leader. If it is unhealthy, the first healthy server becomes the leader, if there is one.
    fn elect(&mut self) -> usize {
        if !self.apps[self.leader].is_healthy() {
            self.leader = self.apps.iter().position(App::is_healthy).unwrap_or(self.leader);
        }
        self.leader
    }

    fn number(&self, member: &str) -> Option<usize> {
        (0..self.apps.len()).find(|number| self.shape.member(*number) == member)
    }
}

impl Prober for Apps {
    fn probe(&self, address: String, _: HttpProbe) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
        let apps = self.clone();
        Box::pin(async move {
            let (took, answer) = apps.ask(&address);
            tokio::time::sleep(took).await;
            answer.map(Some)
        })
    }

    fn time(&self, address: String, _: HttpProbe) -> Pin<Box<dyn Future<Output = Result<Timed, String>> + Send>> {
        let apps = self.clone();
        Box::pin(async move {
            let (took, answer) = apps.ask(&address);
            tokio::time::sleep(took).await;
            answer.map(|_| Timed { status: 200, took })
        })
    }
}
