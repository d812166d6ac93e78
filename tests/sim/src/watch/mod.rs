//! Checks the invariants after every event, and remembers what is needed for that.

mod excuses;
mod invariants;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::apps::Apps;
use crate::fake::{Fake, Occurrence, Truth};
use crate::scenario::{Fault, Scenario};
use crate::shape::Shape;

use excuses::Excuses;
use invariants::Haproxy;

/// Looks at everything after every event. Clones are the same watch.
#[derive(Debug, Clone)]
pub struct Watch(Arc<Mutex<Watching>>);

#[derive(Debug)]
struct Watching {
    shape: Shape,
    apps: Apps,
    fakes: Vec<Fake>,
    begun: Instant,
    excuses: Excuses,
    /// The traffic may be on its way back.
    may_roll_back: bool,
    /// Members that a user has changed by hand: no invariant covers these.
    by_hand: BTreeSet<String>,
    /// Members of which a controller adds a line: since when it is ready, or `None` before that.
    added: BTreeMap<String, Option<Instant>>,
    /// In the order of their numbers.
    haproxys: Vec<Haproxy>,
    /// When each process stopped waiting for its answer.
    gone: BTreeMap<i32, Instant>,
    /// Versions may be mixed from now on, because of a user's command.
    mixed: bool,
    found: Vec<Finding>,
    counts: Counts,
    /// A checksum of all events.
    trace: u64,
    log: Option<Vec<String>>,
}

/// An invariant that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The name of the invariant.
    pub invariant: &'static str,
    /// Time since the start of the simulation.
    pub at: Duration,
    /// Details.
    pub text: String,
}

/// The number of events and requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events after which everything was checked.
    pub events: u64,
    /// Requests of clients.
    pub requests: u64,
    /// Requests of clients that got no server.
    pub refused: u64,
}

impl Watch {
    /// Starts to look. With `log`, every event is kept in words.
    pub fn new(scenario: &Scenario, apps: Apps, fakes: &[Fake], log: bool) -> Self {
        let haproxy = |fake: &Fake| Haproxy::new(fake.truth().current().map(|worker| worker.pid));
        let watching = Watching {
            shape: scenario.shape,
            apps,
            fakes: fakes.to_vec(),
            begun: Instant::now(),
            excuses: Excuses::from_scenario(scenario),
            may_roll_back: scenario.acts.iter().any(|act| act.fault == Fault::BadVersion),
            by_hand: BTreeSet::new(),
            added: BTreeMap::new(),
            haproxys: fakes.iter().map(haproxy).collect(),
            gone: BTreeMap::new(),
            mixed: false,
            found: Vec::new(),
            counts: Counts::default(),
            trace: 0,
            log: log.then(Vec::new),
        };
        let watch = Self(Arc::new(Mutex::new(watching)));
        for (number, fake) in fakes.iter().enumerate() {
            let looking = watch.clone();
            fake.on_change(move |_, occurrence| looking.look(number, occurrence));
        }
        watch
    }

    /// Notes an event that is not HAProxy's.
    pub fn note(&self, text: impl FnOnce() -> String) {
        self.lock().note(text);
    }

    /// A user changes a member by hand.
    pub fn changed_by_hand(&self, member: String) {
        self.lock().by_hand.insert(member);
    }

    /// Whether a user has changed a member by hand.
    pub fn is_by_hand(&self, member: &str) -> bool {
        self.lock().by_hand.contains(member)
    }

    /// A controller begins to delete and add a line of a member, or has finished that.
    pub fn adding_again(&self, member: &str, begins: bool) {
        let since = (!begins).then(Instant::now);
        self.lock().added.insert(member.to_owned(), since);
    }

    /// teeterd has this HAProxy in its configuration from now on, or has it no longer.
    pub fn configured(&self, number: usize, is_configured: bool) {
        let mut watching = self.lock();
        let all = watching.all_members();
        let haproxy = &mut watching.haproxys[number];
        haproxy.is_configured = is_configured;
        haproxy.unknown = all;
        haproxy.since = Some(Instant::now());
    }

    /// A command of a user mixes versions.
    pub fn may_mix(&self) {
        self.lock().mixed = true;
    }

    /// A user has ordered the way back.
    pub fn may_roll_back(&self) {
        self.lock().may_roll_back = true;
    }

    /// A process no longer waits for the answer to its request.
    pub fn gone(&self, pid: i32) {
        self.lock().gone.insert(pid, Instant::now());
    }

    /// A change that a process has requested is stored.
    pub fn stored_for(&self, pid: i32) {
        let mut watching = self.lock();
        // A change that was begun just before is finished.
        if watching.gone.get(&pid).is_some_and(|since| since.elapsed() > STORING_TAKES) {
            let text = format!("{pid} has disconnected before its change was begun");
            watching.report("nothing is begun for a caller that has gone", text);
        }
    }

    /// A client's request got a server, or none.
    pub fn visited(&self, served: bool) {
        let mut watching = self.lock();
        watching.counts.requests += 1;
        if !served {
            watching.counts.refused += 1;
            if watching.excuses.all_served {
                watching.report("every request has a server", "a request got none".to_owned());
            }
        }
    }

    /// An invariant does not hold.
    pub fn report(&self, invariant: &'static str, text: String) {
        self.lock().report(invariant, text);
    }

    /// The findings, the counts, the checksum and the log.
    pub fn result(&self) -> (Vec<Finding>, Counts, u64, Vec<String>) {
        let watching = self.lock();
        (watching.found.clone(), watching.counts, watching.trace, watching.log.clone().unwrap_or_default())
    }

    fn look(&self, changed: usize, occurrence: &Occurrence) {
        let (fakes, frontends) = {
            let watching = self.lock();
            (watching.fakes.clone(), watching.shape.frontends())
        };
        // Looking lets due events happen, and those are looked at first: nothing may be locked here.
        let truths: Vec<Truth> = fakes.iter().map(Fake::truth).collect();
        let eligible = |fake: &Fake| frontends.iter().map(|frontend| fake.eligible(frontend)).collect::<Vec<_>>();
        let eligible: Vec<_> = fakes.iter().map(eligible).collect();
        let mut watching = self.lock();
        watching.counts.events += 1;
        watching.note(|| match changed {
            0 => format!("{occurrence:?}"),
            _ => format!("the other HAProxy: {occurrence:?}"),
        });
        let changes_map = matches!(occurrence, Occurrence::Command(_, command) if command.contains(" map "));
        let mut requests = BTreeMap::new();
        for (number, (truth, eligible)) in truths.iter().zip(eligible).enumerate() {
            watching.note_process(number, truth.current().map(|worker| worker.pid));
            watching.haproxys[number].has_changed_map |= number == changed && changes_map;
            let Some(now) = truth.current().filter(|_| watching.haproxys[number].is_configured) else { continue };
            for (member, count) in watching.check(number, now, &truth.workers, eligible) {
                *requests.entry(member).or_default() += count;
            }
        }
        watching.no_requests_where_work_goes_on(&requests);
    }

    fn lock(&self) -> MutexGuard<'_, Watching> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watching {
    fn report(&mut self, invariant: &'static str, text: String) {
        self.note(|| format!("FOUND {invariant}: {text}"));
        // The first finding of each invariant is enough.
        if !self.found.iter().any(|found| found.invariant == invariant) {
            self.found.push(Finding { invariant, at: self.begun.elapsed(), text });
        }
    }

    fn note(&mut self, text: impl FnOnce() -> String) {
        let at = self.begun.elapsed();
        // The directory of the map's file differs from run to run.
        let text = match text() {
            text if text.contains("/teeter-sim-") => shortened(&text),
            text => text,
        };
        for byte in at.as_nanos().to_le_bytes().iter().chain(text.as_bytes()) {
            // FNV-1a.
            self.trace = (self.trace ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if let Some(log) = &mut self.log {
            log.push(format!("{:>10.3} ms  {text}", at.as_secs_f64() * 1000.0));
        }
    }
}

/// The time until a process of HAProxy that was just started has the states of held servers, which takes a second or
/// so, and until the requests that it has sent to these servers before have ended.
pub const UPDATE_TAKES: Duration = Duration::from_secs(6);

/// A transaction takes some milliseconds.
const STORING_TAKES: Duration = Duration::from_secs(1);

/// The backend and the server of a line that is written `BACKEND/SERVER`.
pub fn split(line: &str) -> Option<(String, String)> {
    let (backend, server) = line.split_once('/')?;
    Some((backend.to_owned(), server.to_owned()))
}

/// A text without the directory of the map's file.
fn shortened(text: &str) -> String {
    let word = |word: &str| match word.find("/live.map") {
        Some(at) => word[at..].to_owned(),
        None => word.to_owned(),
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}
