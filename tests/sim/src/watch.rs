//! What must hold after every event, and what is remembered to judge it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::apps::Apps;
use crate::fake::{Change, Fake, Place, ServerTruth, Truth, WorkerTruth};
use crate::scenario::{Call, Scenario, Verb, What};
use crate::shape::{SLOT, Shape};

/// Looks at everything after every event; clones are the same one.
#[derive(Debug, Clone)]
pub struct Watch(Arc<Mutex<Watching>>);

#[derive(Debug)]
struct Watching {
    shape: Shape,
    apps: Apps,
    fakes: Vec<Fake>,
    begun: Instant,
    /// The traffic may be on its way back.
    goes_back: bool,
    /// Operators take servers out, and a way back is not held up by that.
    operators_take: bool,
    /// Members that fall ill and that operators take out. While one is down nobody loses it, so that is let through.
    taken_ill: BTreeSet<String>,
    /// Nothing that strikes this scenario can take a request its server.
    all_served: bool,
    /// Nothing that strikes it keeps teeterd from telling a HAProxy what it does not know yet.
    all_told: bool,
    /// Members that an operator puts in maintenance, which leaves nobody any time.
    maintained: BTreeSet<String>,
    /// Members that one operator repairs and another gives back.
    given_back: BTreeSet<String>,
    /// Members that somebody has changed by hand: what is wrong with them then is nobody's fault.
    by_hand: BTreeSet<String>,
    /// What is known of the process of each HAProxy that takes what is new.
    processes: Vec<Process>,
    /// Since when nobody waits for what a process has asked for.
    gone: BTreeMap<i32, Instant>,
    /// Versions may be mixed from now on: somebody has asked for it.
    mixed: bool,
    found: Vec<Finding>,
    counts: Counts,
    /// Stands for everything that happened.
    trace: u64,
    log: Option<Vec<String>>,
}

/// A process of a HAProxy that takes what is new.
#[derive(Debug, Default)]
struct Process {
    pid: Option<u32>,
    /// Whether a map has been told anything since it was started.
    turned: bool,
    /// Members that it does not know to be held, until it is told.
    forgotten: BTreeSet<String>,
    since: Option<Instant>,
    /// Lines that are out: since when, and whether the time of those who stick to them is over.
    out: BTreeMap<(String, String), (Instant, bool)>,
}

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which of the invariants.
    pub which: &'static str,
    /// Since the beginning.
    pub at: Duration,
    /// What was seen.
    pub text: String,
}

/// How much was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events after which everything was looked at.
    pub events: u64,
    /// Requests of visitors.
    pub requests: u64,
    /// Among them those that got no server.
    pub refused: u64,
}

impl Watch {
    /// Begins to look. With `log`, what happens is kept in words.
    pub fn new(scenario: &Scenario, apps: Apps, fakes: &[Fake], log: bool) -> Self {
        let disturbs =
            |what: &What| matches!(what, What::KillHaproxy(_) | What::Hang(_) | What::Sick(..) | What::ByHand(..));
        let silences = |what: &What| {
            let deaf = matches!(what, What::Hang(_) | What::Slow(_) | What::Crowd(..));
            deaf || matches!(what, What::KillTeeterd { .. } | What::DiskFull(_) | What::DiskStalls(_) | What::DiskLies)
        };
        let readied = |number: usize| {
            let readies =
                |what: &What| matches!(what, What::Call(Call { verb: Verb::Ready(one), .. }) if *one == number);
            scenario.acts.iter().any(|act| readies(&act.what))
        };
        let given_back = scenario.acts.iter().filter_map(|act| match &act.what {
            What::Call(Call { verb: Verb::Repair(number), .. }) if readied(*number) => {
                Some(scenario.shape.member(*number))
            }
            _ => None,
        });
        let maintained = scenario.acts.iter().filter_map(|act| match &act.what {
            What::Call(Call { verb: Verb::Maint(number, _), .. }) => Some(scenario.shape.member(*number)),
            _ => None,
        });
        let takes = |what: &What| match what {
            What::Call(call) => matches!(call.verb, Verb::Drain(..) | Verb::Maint(..) | Verb::Repair(_)),
            _ => false,
        };
        let shape = scenario.shape;
        let ill =
            |number: usize| scenario.acts.iter().any(|act| matches!(act.what, What::Sick(one, _) if one == number));
        let taken_ill = scenario.acts.iter().filter_map(|act| match &act.what {
            What::Call(Call {
                verb: Verb::Drain(number, _) | Verb::Maint(number, _) | Verb::Repair(number), ..
            }) if ill(*number) => Some(shape.member(*number)),
            _ => None,
        });
        let gap = !shape.route && shape.order == "gap";
        let process = |fake: &Fake| Process { pid: fake.truth().current().map(|one| one.pid), ..Process::default() };
        let watching = Watching {
            shape,
            apps,
            fakes: fakes.to_vec(),
            begun: Instant::now(),
            goes_back: scenario.acts.iter().any(|act| act.what == What::BadVersion),
            operators_take: scenario.acts.iter().any(|act| takes(&act.what)),
            taken_ill: taken_ill.collect(),
            all_served: !gap && !shape.leader && !scenario.acts.iter().any(|act| disturbs(&act.what)),
            all_told: !scenario.acts.iter().any(|act| silences(&act.what)),
            maintained: maintained.collect(),
            given_back: given_back.collect(),
            by_hand: BTreeSet::new(),
            processes: fakes.iter().map(process).collect(),
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
            fake.on_change(move |_, change| looking.look(number, change));
        }
        watch
    }

    /// Notes that something happened.
    pub fn note(&self, text: impl FnOnce() -> String) {
        self.lock().note(text);
    }

    /// Somebody has changed a member by hand.
    pub fn changed_by_hand(&self, member: String) {
        self.lock().by_hand.insert(member);
    }

    /// Whether somebody has.
    pub fn is_by_hand(&self, member: &str) -> bool {
        self.lock().by_hand.contains(member)
    }

    /// Somebody has asked for something that mixes versions.
    pub fn may_mix(&self) {
        self.lock().mixed = true;
    }

    /// Somebody has asked for the way back.
    pub fn goes_back(&self) {
        self.lock().goes_back = true;
    }

    /// A process does not wait any more for what it has asked for.
    pub fn gone(&self, pid: i32) {
        self.lock().gone.insert(pid, Instant::now());
    }

    /// A change that a process has asked for is stored.
    pub fn begun_for(&self, pid: i32) {
        let mut it = self.lock();
        // What began just before is carried through.
        if it.gone.get(&pid).is_some_and(|since| since.elapsed() > STORING_TAKES) {
            it.find("who has gone asks for nothing", format!("{pid} has hung up before its change was begun"));
        }
    }

    /// A visitor's request got a server, or not.
    pub fn visited(&self, served: bool) {
        let mut it = self.lock();
        it.counts.requests += 1;
        if !served {
            it.counts.refused += 1;
            if it.all_served {
                it.find("every request has a server", "a request got none".to_owned());
            }
        }
    }

    /// Something is not as it must be.
    pub fn find(&self, which: &'static str, text: String) {
        self.lock().find(which, text);
    }

    /// What was found so far, how much was looked at, and what stands for all that happened.
    pub fn result(&self) -> (Vec<Finding>, Counts, u64, Vec<String>) {
        let it = self.lock();
        (it.found.clone(), it.counts, it.trace, it.log.clone().unwrap_or_default())
    }

    fn look(&self, of: usize, change: &Change) {
        let (fakes, fronts) = {
            let it = self.lock();
            (it.fakes.clone(), it.shape.frontends())
        };
        // Looking may let something happen that was due, and that is looked at first.
        let truths: Vec<Truth> = fakes.iter().map(Fake::truth).collect();
        let eligible = |fake: &Fake| fronts.iter().map(|front| fake.eligible(front)).collect::<Vec<_>>();
        let eligible: Vec<_> = fakes.iter().map(eligible).collect();
        let mut it = self.lock();
        it.counts.events += 1;
        it.note(|| if of > 0 { format!("the other HAProxy: {change:?}") } else { format!("{change:?}") });
        let told_a_map = matches!(change, Change::Told(_, command) if command.contains(" map "));
        let mut at_work = BTreeMap::new();
        for (number, (truth, eligible)) in truths.iter().zip(eligible).enumerate() {
            it.process_is(number, truth.current().map(|worker| worker.pid));
            it.processes[number].turned |= number == of && told_a_map;
            let Some(now) = truth.current() else { continue };
            let members = it.members(now, &truth.workers);
            let known = |of: Option<&Member>| of.is_none_or(|of| !of.out || of.requests > 0);
            it.processes[number].forgotten.retain(|member| known(members.get(member)));
            it.enough_in_service(number, &members);
            it.spare_slots_stay_out(now);
            it.clients_of_tables_get_the_grace(number, now);
            for (name, member) in members.into_iter().filter(|(name, _)| !it.processes[number].forgotten.contains(name))
            {
                *at_work.entry(name).or_default() += member.requests;
            }
            for places in eligible {
                it.one_version(number, places);
            }
        }
        it.nobody_on_servers_at_work(&at_work);
    }

    fn lock(&self) -> MutexGuard<'_, Watching> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a member is, over all its lines and processes.
struct Member {
    /// Somebody keeps every line of it out.
    out: bool,
    /// Somebody keeps a line of it out.
    partly_out: bool,
    requests: usize,
}

impl Watching {
    /// Notices that another process of a HAProxy takes what is new. A check of it may be heard of before itself.
    fn process_is(&mut self, number: usize, pid: Option<u32>) {
        if self.processes[number].pid != pid {
            let forgotten = (0..self.shape.members()).map(|member| self.shape.member(member)).collect();
            // Who was to be out before is out for as long as that, whatever this one knows yet.
            let out = std::mem::take(&mut self.processes[number].out);
            self.processes[number] = Process { pid, turned: false, forgotten, since: Some(Instant::now()), out };
        }
        if self.all_told && self.processes[number].since.is_some_and(|since| since.elapsed() > TELLING_TAKES) {
            self.processes[number].forgotten.clear();
        }
    }

    fn members(&self, now: &WorkerTruth, all: &[WorkerTruth]) -> BTreeMap<String, Member> {
        let member = |number: usize| {
            let lines: Vec<(String, String)> = self.shape.lines(number).iter().filter_map(|line| split(line)).collect();
            let out = |line: &&(String, String)| now.servers.get(*line).is_some_and(ServerTruth::is_out);
            // What an old process has cannot be known where no master tells.
            let seen = all.iter().filter(|worker| worker.current || self.shape.master);
            let requests =
                seen.flat_map(|worker| lines.iter().filter_map(|line| Some(worker.servers.get(line)?.requests))).sum();
            let outs = lines.iter().filter(out).count();
            Member { out: outs == lines.len(), partly_out: outs > 0, requests }
        };
        (0..self.shape.members()).map(|number| (self.shape.member(number), member(number))).collect()
    }

    /// Never fewer members in service than `min_available`, which is half of them.
    fn enough_in_service(&mut self, haproxy: usize, members: &BTreeMap<String, Member>) {
        let turned_one_by_one = !self.shape.route && self.shape.order == "gap";
        let excused = |name: &String| self.by_hand.contains(name) || self.taken_ill.contains(name);
        let is_in = |(name, member): &(&String, &Member)| !member.partly_out || excused(name);
        let left = members.iter().filter(is_in).count();
        if left < self.shape.half && !turned_one_by_one && !(self.goes_back && self.operators_take) {
            let out = members.iter().filter(|one| !is_in(one)).map(|(name, _)| name.as_str()).collect::<Vec<_>>();
            let name = self.shape.names()[haproxy];
            let text = format!("{name}: only {left} of {} are in service: {} are out", members.len(), out.join(", "));
            self.find("min_available in service", text);
        }
    }

    /// Nobody brings in a slot that has no server.
    fn spare_slots_stay_out(&mut self, now: &WorkerTruth) {
        let in_use = |((_, server), is): &(&(String, String), &ServerTruth)| server.starts_with(SLOT) && is.usable;
        if let Some(((backend, server), _)) = now.servers.iter().find(in_use) {
            self.find("spare slots stay out", format!("{backend}/{server} may get requests"));
        }
    }

    /// Those who stick to a server by a table go on there for the grace of the farm, before maintenance sends them away or
    /// work begins. A process that has just been started is told of what is out by then, however far that has come.
    fn clients_of_tables_get_the_grace(&mut self, haproxy: usize, now: &WorkerTruth) {
        if !self.shape.sticky {
            return;
        }
        let at_work = self.apps.worked_on();
        for number in 0..self.shape.members() {
            let member = self.shape.member(number);
            for line in self.shape.lines(number).iter().filter_map(|line| split(line)) {
                let Some(server) = now.servers.get(&line) else { continue };
                let Process { out, forgotten, since, .. } = &mut self.processes[haproxy];
                let known = out.contains_key(&line);
                if !server.is_out() {
                    if !forgotten.contains(&member) {
                        out.remove(&line);
                    }
                    continue;
                }
                let late = !known && since.is_some_and(|since| since.elapsed() < TELLING_TAKES);
                let (began, over) = out.entry(line.clone()).or_insert((Instant::now(), late));
                if *over || !(server.told() == "maint" || at_work.contains(&member)) {
                    continue;
                }
                *over = true;
                let given = began.elapsed();
                let stuck = now.stuck.get(&line).copied().unwrap_or_default();
                let excused = self.by_hand.contains(&member) || self.maintained.contains(&member);
                if stuck > 0 && given < Duration::from_millis(self.shape.grace) && !excused {
                    let text = format!("{stuck} clients of {line:?} had {given:?}");
                    self.find("clients of a table get the grace", text);
                }
            }
        }
    }

    /// By the requests that members have, on every HAProxy that was told of them.
    fn nobody_on_servers_at_work(&mut self, requests: &BTreeMap<String, usize>) {
        for name in self.apps.worked_on() {
            let Some(requests) = requests.get(&name).filter(|requests| **requests > 0) else { continue };
            if !self.by_hand.contains(&name) && !self.given_back.contains(&name) {
                let text = format!("a hook works on {name}, which has {requests} requests");
                self.find("no hook on a server with requests", text);
            }
        }
    }

    /// Of each HAProxy: two are not turned at the same instant.
    fn one_version(&mut self, haproxy: usize, places: Vec<Place>) {
        if !self.shape.is_exact() || self.mixed {
            return;
        }
        // While all of the farm gets the traffic, a new process of HAProxy gives it to those who are kept out, too, until it
        // is told of them: docs/flips.md says so.
        let Process { turned, forgotten, .. } = &self.processes[haproxy];
        let known = |place: &Place| *turned || place.backend != "web_all" || !forgotten.contains(&place.server);
        let servers = places.into_iter().filter(known).map(|place| place.server);
        let versions: BTreeMap<String, String> = servers.map(|server| (self.apps.version(&server), server)).collect();
        if versions.len() > 1 {
            self.find("one version for new requests", format!("the next request may get any of {versions:?}"));
        }
    }

    fn find(&mut self, which: &'static str, text: String) {
        self.note(|| format!("FOUND {which}: {text}"));
        // One of a kind says it.
        if !self.found.iter().any(|found| found.which == which) {
            self.found.push(Finding { which, at: self.begun.elapsed(), text });
        }
    }

    fn note(&mut self, text: impl FnOnce() -> String) {
        let at = self.begun.elapsed();
        // Where the map's file is differs each time.
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

/// A process of HAProxy that was just started is told within a second or so who is out, and those that it has sent there by
/// then may stay for a while.
const TELLING_TAKES: Duration = Duration::from_secs(6);

/// A transaction takes some milliseconds.
const STORING_TAKES: Duration = Duration::from_secs(1);

/// A line as the fake names it.
pub fn split(line: &str) -> Option<(String, String)> {
    let (backend, server) = line.split_once('/')?;
    Some((backend.to_owned(), server.to_owned()))
}

/// A text without the folder of the map's file.
fn shortened(text: &str) -> String {
    let word = |word: &str| match word.find("/live.map") {
        Some(at) => word[at..].to_owned(),
        None => word.to_owned(),
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}
