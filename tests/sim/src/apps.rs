//! The servers behind HAProxy: which version each runs, whether it is well, and who works on it.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use teeter::engine::{Answer, Prober};
use teeter::farm::HttpProbe;
use teeter::plan::warm::Timed;
use teeter_lab::Dice;

use crate::fake::Fake;
use crate::shape::Shape;

/// All servers of a farm; clones are the same ones.
#[derive(Debug, Clone)]
pub struct Apps(Arc<Mutex<All>>);

#[derive(Debug)]
struct All {
    shape: Shape,
    fakes: Vec<Fake>,
    apps: Vec<App>,
    /// Which of them leads, where one does.
    leads: usize,
    dice: Dice,
}

#[derive(Debug, Clone)]
struct App {
    version: String,
    /// A hook has stopped it.
    stopped: bool,
    /// It is ill until so many who made it so have taken that back.
    ills: usize,
    /// Hooks that work on it.
    worked_on: BTreeSet<u64>,
}

impl Apps {
    /// Servers that all run `v1` and are well.
    pub fn new(shape: Shape, fakes: Vec<Fake>, dice: Dice) -> Self {
        let app = App { version: "v1".to_owned(), stopped: false, ills: 0, worked_on: BTreeSet::new() };
        if shape.leader {
            tell_who_leads(&fakes, shape, 0);
        }
        Self(Arc::new(Mutex::new(All { apps: vec![app; shape.members()], leads: 0, shape, fakes, dice })))
    }

    /// Which version a member runs.
    pub fn version(&self, member: &str) -> String {
        let all = self.lock();
        all.number(member).map(|number| all.apps[number].version.clone()).unwrap_or_default()
    }

    /// A hook begins to work on a member.
    pub fn begin_work(&self, member: &str, hook: u64) {
        self.change(member, |app| app.worked_on.extend([hook]));
    }

    /// A hook does not work on it any more, whatever has become of it.
    pub fn end_work(&self, member: &str, hook: u64) {
        self.change(member, |app| app.worked_on.retain(|one| *one != hook));
    }

    /// Who is worked on.
    pub fn worked_on(&self) -> Vec<String> {
        let all = self.lock();
        let at_work = (0..all.apps.len()).filter(|number| !all.apps[*number].worked_on.is_empty());
        at_work.map(|number| all.shape.member(number)).collect()
    }

    /// Stops it.
    pub fn stop(&self, member: &str) {
        self.change(member, |app| app.stopped = true);
    }

    /// Starts it, with this version.
    pub fn start(&self, member: &str, version: &str) {
        self.change(member, |app| (app.stopped, app.version) = (false, version.to_owned()));
    }

    /// Makes it ill, or takes that back.
    pub fn ail(&self, member: &str, ill: bool) {
        self.change(member, |app| app.ills = if ill { app.ills + 1 } else { app.ills.saturating_sub(1) });
    }

    /// Heals and starts all of them, with the versions that they have.
    pub fn heal(&self) {
        let members: Vec<String> = {
            let all = self.lock();
            (0..all.apps.len()).map(|number| all.shape.member(number)).collect()
        };
        for member in members {
            self.change(&member, |app| (app.ills, app.stopped) = (0, false));
        }
    }

    fn change(&self, member: &str, change: impl FnOnce(&mut App)) {
        let mut all = self.lock();
        let Some(number) = all.number(member) else { return };
        change(&mut all.apps[number]);
        let well = !all.apps[number].stopped && all.apps[number].ills == 0;
        let (fakes, shape) = (all.fakes.clone(), all.shape);
        let leads = all.elect();
        drop(all);
        // The first line is the one with checks; the others follow it, but where their checks pass on one of all.
        fakes.iter().for_each(|fake| fake.set_health(&shape.lines(number)[0], well));
        if shape.leader {
            tell_who_leads(&fakes, shape, leads);
        }
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, address: &str) -> (Duration, Result<String, String>) {
        let mut all = self.lock();
        let took = Duration::from_micros(all.dice.of(300..20_000));
        let number = (0..all.apps.len()).find(|number| all.shape.address(*number) == address);
        let app = number.map(|number| &all.apps[number]);
        let answer = match app {
            None => Err(format!("{address}: no route to host")),
            Some(app) if app.stopped => Err(format!("{address}: connection refused")),
            Some(app) if app.ills > 0 => Err(format!("{address} answered 503")),
            Some(app) => Ok(app.version.clone()),
        };
        (took, answer)
    }
}

/// Checks of who leads pass on that one only.
fn tell_who_leads(fakes: &[Fake], shape: Shape, leads: usize) {
    for number in 0..shape.members() {
        for fake in fakes {
            fake.set_health(&shape.lines(number)[1], number == leads);
        }
    }
}

impl All {
    /// Another one leads as soon as the one that did is not well: the first that is. The number of who does, if all but the
    /// one that did are ill, too.
    fn elect(&mut self) -> usize {
        let well = |app: &App| !app.stopped && app.ills == 0;
        if !well(&self.apps[self.leads]) {
            self.leads = self.apps.iter().position(well).unwrap_or(self.leads);
        }
        self.leads
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
