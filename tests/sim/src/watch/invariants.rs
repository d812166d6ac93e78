//! The invariants, and the state of each HAProxy that is needed to check them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::{UPDATE_TAKES, Watching, split};
use crate::fake::{Place, ServerTruth, WorkerTruth};
use crate::shape::SLOT;

/// What the watch knows of one HAProxy: of its process that takes new requests, and of the commands that the process
/// has got.
#[derive(Debug)]
pub(super) struct Haproxy {
    pub(super) pid: Option<u32>,
    /// Whether teeterd has this HAProxy in its configuration.
    pub(super) is_configured: bool,
    /// Whether the process has changed a map since it was started.
    pub(super) has_changed_map: bool,
    /// Members that may be held without the process knowing it.
    pub(super) unknown: BTreeSet<String>,
    /// When the process was started; `None` for the first one.
    pub(super) since: Option<Instant>,
    /// Lines that are out: since when, and whether their sticky clients have had their time.
    pub(super) out: BTreeMap<(String, String), (Instant, bool)>,
}

/// A member, over all its lines and all processes of a HAProxy.
pub(super) struct Member {
    /// Every line of it is kept out.
    pub(super) out: bool,
    /// A line of it is kept out.
    pub(super) partly_out: bool,
    pub(super) requests: usize,
}

impl Haproxy {
    pub(super) fn new(pid: Option<u32>) -> Self {
        Self {
            pid,
            is_configured: true,
            has_changed_map: false,
            unknown: BTreeSet::new(),
            since: None,
            out: BTreeMap::new(),
        }
    }
}

impl Watching {
    /// Looks at one HAProxy, of which this process takes new requests. Gives the requests of each member that it
    /// knows of.
    pub(super) fn check(
        &mut self,
        haproxy: usize,
        now: &WorkerTruth,
        all: &[WorkerTruth],
        eligible: Vec<Vec<Place>>,
    ) -> BTreeMap<String, usize> {
        let mut members = self.members(now, all);
        let is_unknown = |member: Option<&Member>| member.is_none_or(|member| !member.out || member.requests > 0);
        self.haproxys[haproxy].unknown.retain(|member| is_unknown(members.get(member)));
        self.enough_in_service(haproxy, &members);
        self.spare_slots_stay_out(now);
        self.sticky_clients_get_the_grace(haproxy, now);
        for places in eligible {
            self.one_version(haproxy, places);
        }
        members.retain(|name, _| !self.haproxys[haproxy].unknown.contains(name) && !self.is_being_added(name));
        members.into_iter().map(|(name, member)| (name, member.requests)).collect()
    }

    /// Notes that another process takes new requests. An event of it may come before the news of its start.
    pub(super) fn note_process(&mut self, number: usize, pid: Option<u32>) {
        let (all, always_updated) = (self.all_members(), self.excuses.always_updated);
        let haproxy = &mut self.haproxys[number];
        if haproxy.pid != pid {
            haproxy.pid = pid;
            haproxy.has_changed_map = false;
            haproxy.unknown = all;
            haproxy.since = Some(Instant::now());
        }
        if always_updated && haproxy.since.is_some_and(|since| since.elapsed() > UPDATE_TAKES) {
            haproxy.unknown.clear();
        }
    }

    /// The names of all members.
    pub(super) fn all_members(&self) -> BTreeSet<String> {
        (0..self.shape.members()).map(|member| self.shape.member(member)).collect()
    }

    /// Whether a controller adds a line of this member, or has done so a moment ago, so that teeter may not have seen
    /// it. A policy other than `reassert` leaves the line as the controller has set it.
    fn is_being_added(&self, member: &str) -> bool {
        self.added.get(member).is_some_and(|since| {
            let is_seen = since.is_some_and(|since| since.elapsed() > UPDATE_TAKES);
            !is_seen || !self.excuses.always_updated || self.shape.on_drift != "reassert"
        })
    }

    fn members(&self, now: &WorkerTruth, all: &[WorkerTruth]) -> BTreeMap<String, Member> {
        let member = |number: usize| {
            let lines: Vec<(String, String)> = self.shape.lines(number).iter().filter_map(|line| split(line)).collect();
            // A line that has been deleted gets no request.
            let is_out = |line: &&(String, String)| now.servers.get(*line).is_none_or(ServerTruth::is_out);
            // Without a master, teeter cannot know the requests of old processes.
            let visible = all.iter().filter(|worker| worker.current || self.shape.master);
            let requests = visible
                .flat_map(|worker| lines.iter().filter_map(|line| Some(worker.servers.get(line)?.requests)))
                .sum();
            let outs = lines.iter().filter(is_out).count();
            Member { out: outs == lines.len(), partly_out: outs > 0, requests }
        };
        (0..self.shape.members()).map(|number| (self.shape.member(number), member(number))).collect()
    }

    /// Members in service are never fewer than `min_available`, which is half of them.
    fn enough_in_service(&mut self, haproxy: usize, members: &BTreeMap<String, Member>) {
        let flips_with_gap = !self.shape.route && self.shape.order == "gap";
        let is_excused = |name: &String| {
            self.by_hand.contains(name) || self.excuses.unhealthy_and_taken.contains(name) || self.is_being_added(name)
        };
        let is_in = |(name, member): &(&String, &Member)| !member.partly_out || is_excused(name);
        let left = members.iter().filter(is_in).count();
        if left < self.shape.half && !flips_with_gap && !(self.may_roll_back && self.excuses.operators_take) {
            let out = members.iter().filter(|member| !is_in(member)).map(|(name, _)| name.as_str()).collect::<Vec<_>>();
            let name = self.shape.names()[haproxy];
            let text = format!("{name}: only {left} of {} are in service: {} are out", members.len(), out.join(", "));
            self.report("min_available in service", text);
        }
    }

    /// A slot without a server never gets requests.
    fn spare_slots_stay_out(&mut self, now: &WorkerTruth) {
        let is_used = |((_, name), server): &(&(String, String), &ServerTruth)| name.starts_with(SLOT) && server.usable;
        if let Some(((backend, server), _)) = now.servers.iter().find(is_used) {
            self.report("spare slots stay out", format!("{backend}/{server} may get requests"));
        }
    }

    /// Clients that a stick table keeps on a server may stay for the grace of the farm, before maintenance sends them
    /// to another server or work begins. The time begins when HAProxy gets the command, and does not begin again
    /// in a new process.
    fn sticky_clients_get_the_grace(&mut self, number: usize, now: &WorkerTruth) {
        if !self.shape.sticky {
            return;
        }
        let at_work = self.apps.worked_on();
        for server_number in 0..self.shape.members() {
            let member = self.shape.member(server_number);
            let is_excused = self.by_hand.contains(&member)
                || self.excuses.maintained.contains(&member)
                || self.is_being_added(&member);
            for line in self.shape.lines(server_number).iter().filter_map(|line| split(line)) {
                let Some(server) = now.servers.get(&line) else { continue };
                let haproxy = &mut self.haproxys[number];
                let was_out = haproxy.out.contains_key(&line);
                if !server.is_out() {
                    if !haproxy.unknown.contains(&member) {
                        haproxy.out.remove(&line);
                    }
                    continue;
                }
                let is_new = !was_out && haproxy.since.is_some_and(|since| since.elapsed() < UPDATE_TAKES);
                let (since, is_over) = haproxy.out.entry(line.clone()).or_insert((Instant::now(), is_new));
                if *is_over || !(server.own_state() == "maint" || at_work.contains(&member)) {
                    continue;
                }
                *is_over = true;
                let given = since.elapsed();
                let sticky = now.stuck.get(&line).copied().unwrap_or_default();
                if sticky > 0 && given < Duration::from_millis(self.shape.grace) && !is_excused {
                    let text = format!("{sticky} clients of {line:?} had {given:?}");
                    self.report("sticky clients get the grace", text);
                }
            }
        }
    }

    /// A server that is worked on has no requests from any HAProxy that has got the commands.
    pub(super) fn no_requests_where_work_goes_on(&mut self, requests: &BTreeMap<String, usize>) {
        for name in self.apps.worked_on() {
            let Some(requests) = requests.get(&name).filter(|requests| **requests > 0) else { continue };
            if !self.by_hand.contains(&name) && !self.excuses.given_back.contains(&name) {
                let text = format!("{name} is worked on and has {requests} requests");
                self.report("no work on a server with requests", text);
            }
        }
    }

    /// New requests of one HAProxy go to one version. Two HAProxys do not flip at the same instant.
    fn one_version(&mut self, haproxy: usize, places: Vec<Place>) {
        if !self.shape.is_exact() || self.mixed {
            return;
        }
        // While the whole farm gets the traffic, a new process gives requests to held servers until it
        // gets the commands: docs/flips.md.
        let Haproxy { has_changed_map, unknown, .. } = &self.haproxys[haproxy];
        let is_known = |place: &Place| {
            (*has_changed_map || place.backend != "web_all" || !unknown.contains(&place.server))
                && !self.is_being_added(&place.server)
        };
        let servers = places.into_iter().filter(is_known).map(|place| place.server);
        let versions: BTreeMap<String, String> = servers.map(|server| (self.apps.version(&server), server)).collect();
        if versions.len() > 1 {
            self.report("one version for new requests", format!("the next request may get any of {versions:?}"));
        }
    }
}
