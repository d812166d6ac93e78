//! All servers as they were read last, with their rates of requests.

use std::collections::{BTreeMap, HashMap, VecDeque};

use jiff::Timestamp;

use crate::api::{InstanceView, ServerView, StatusView};
use crate::cli::args::ServerState;
use crate::cli::ready::SET_OUTSIDE;
use crate::cli::status;
use crate::farm::natural;

/// The server lines of all HAProxys, and the rows that show them.
#[derive(Debug, Default)]
pub(super) struct Servers {
    lines: Vec<Line>,
    /// The place of each line, by its key.
    places: HashMap<String, usize>,
    /// The rows in the order of farms, groups and names.
    rows: Vec<Row>,
}

/// One server line.
#[derive(Debug)]
struct Line {
    key: String,
    view: ServerView,
    state: ServerState,
    /// Whether its HAProxy agrees with the store.
    agrees: bool,
    /// The counter of requests, and when HAProxy reported it.
    counted: Option<(u64, Timestamp)>,
    /// The latest rates in requests a second, the latest last.
    rates: VecDeque<u64>,
}

/// A server, with the lines that track it.
#[derive(Debug, Clone)]
struct Row {
    line: usize,
    tracking: Vec<usize>,
}

/// A row, with everything that the table shows of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowView<'a> {
    servers: &'a Servers,
    row: &'a Row,
}

impl Servers {
    /// Takes over a status of all servers.
    pub(super) fn replace(&mut self, view: &mut StatusView, at: Timestamp) {
        let views = std::mem::take(&mut view.servers);
        let same = views.len() == self.lines.len()
            && views.iter().zip(&self.lines).all(|(new, line)| has_same_place(new, &line.view));
        if !same {
            self.rebuild(&views);
        }
        let instances = instances(view);
        for (line, server) in self.lines.iter_mut().zip(views) {
            line.take(server, &instances, at);
        }
    }

    /// Takes over a status of some servers; others stay as they were read before.
    pub(super) fn update(&mut self, view: &StatusView, servers: Vec<ServerView>, at: Timestamp) {
        let instances = instances(view);
        for server in servers {
            // A line that is not known yet comes with the next status of all servers.
            if let Some(line) = self.places.get(&key(&server)).and_then(|place| self.lines.get_mut(*place)) {
                line.take(server, &instances, at);
            }
        }
        // Servers that this status leaves out do not answer either if their HAProxy does not.
        for line in &mut self.lines {
            if instances.get(line.view.instance.as_str()).is_some_and(|instance| !instance.reachable) {
                line.state = ServerState::Unknown;
            }
        }
    }

    fn rebuild(&mut self, views: &[ServerView]) {
        let mut before: HashMap<String, Line> = self.lines.drain(..).map(|line| (line.key.clone(), line)).collect();
        for view in views {
            let key = key(view);
            let (counted, rates) = before.remove(&key).map(|line| (line.counted, line.rates)).unwrap_or_default();
            let state = ServerState::Unknown;
            self.lines.push(Line { key, view: view.clone(), state, agrees: false, counted, rates });
        }
        self.places = self.lines.iter().enumerate().map(|(place, line)| (line.key.clone(), place)).collect();
        let tracked = |line: &Line| {
            let tracked = line.view.tracks.as_ref()?;
            self.places.get(&format!("{}:{tracked}", line.view.instance)).copied()
        };
        let mut rows: BTreeMap<usize, Row> = BTreeMap::new();
        let (tracking, others): (Vec<_>, Vec<_>) =
            self.lines.iter().map(tracked).enumerate().partition(|(_, to)| to.is_some());
        for (place, _) in others {
            rows.insert(place, Row { line: place, tracking: Vec::new() });
        }
        for (place, to) in tracking {
            // A line may track one that itself tracks another: it gets a row of its own.
            match to.and_then(|to| rows.get_mut(&to)) {
                Some(row) => row.tracking.push(place),
                None => _ = rows.insert(place, Row { line: place, tracking: Vec::new() }),
            }
        }
        self.rows = rows.into_values().collect();
        let lines = &self.lines;
        self.rows.sort_by(|one, other| {
            let (one, other) = (&lines[one.line].view, &lines[other.line].view);
            let (farm, other_farm) = (one.farm.as_deref(), other.farm.as_deref());
            farm.is_none()
                .cmp(&other_farm.is_none())
                .then_with(|| natural(farm.unwrap_or_default(), other_farm.unwrap_or_default()))
                .then_with(|| natural(group_of(one), group_of(other)))
                .then_with(|| natural(&one.server, &other.server))
                .then_with(|| natural(&one.backend, &other.backend))
                .then_with(|| natural(&one.instance, &other.instance))
        });
    }

    /// The number of rows.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// A row by its number.
    pub(super) fn row(&self, number: usize) -> Option<RowView<'_>> {
        Some(RowView { servers: self, row: self.rows.get(number)? })
    }

    /// All rows, in the order of farms, groups and names.
    pub(super) fn rows(&self) -> impl Iterator<Item = RowView<'_>> {
        self.rows.iter().map(|row| RowView { servers: self, row })
    }
}

/// The HAProxys of a status, by their names.
fn instances(view: &StatusView) -> BTreeMap<&str, &InstanceView> {
    view.instances.iter().map(|instance| (instance.name.as_str(), instance)).collect()
}

impl Line {
    /// Takes over what was read of it.
    fn take(&mut self, server: ServerView, instances: &BTreeMap<&str, &InstanceView>, at: Timestamp) {
        let instance = instances.get(server.instance.as_str());
        let reachable = instance.is_some_and(|instance| instance.reachable);
        self.state = status::state(&server, !reachable);
        self.agrees = instance.is_some_and(|instance| instance.agrees);
        if reachable {
            self.count(server.requests, instance.and_then(|instance| instance.looked).unwrap_or(at));
        }
        self.view = server;
    }

    /// Adds a count of requests: with the one before it gives a rate.
    fn count(&mut self, requests: Option<u64>, at: Timestamp) {
        let Some(requests) = requests else { return };
        match self.counted {
            Some((_, then)) if at <= then => return,
            // A new HAProxy process counts from zero.
            Some((before, then)) if requests >= before => {
                let seconds = at.duration_since(then).as_secs_f64();
                self.rates.push_back(((requests - before) as f64 / seconds).round() as u64);
                while self.rates.len() > RATES {
                    self.rates.pop_front();
                }
            }
            _ => {}
        }
        self.counted = Some((requests, at));
    }
}

impl<'a> RowView<'a> {
    /// The line of the server itself.
    pub(super) fn server(self) -> &'a ServerView {
        &self.servers.lines[self.row.line].view
    }

    /// What identifies the row: `edge:app/web01`.
    pub(super) fn key(self) -> &'a str {
        &self.servers.lines[self.row.line].key
    }

    fn all(self) -> impl Iterator<Item = &'a Line> {
        std::iter::once(&self.row.line).chain(&self.row.tracking).map(|place| &self.servers.lines[*place])
    }

    /// The views of all its lines.
    pub(super) fn lines(self) -> impl Iterator<Item = &'a ServerView> {
        self.all().map(|line| &line.view)
    }

    /// The state of the server, or of a line that tracks it and is in a worse one.
    pub(super) fn state(self) -> ServerState {
        let states = self.all().map(|line| line.state);
        let own = self.servers.lines[self.row.line].state;
        if own == ServerState::Up { states.max().unwrap_or(own) } else { own }
    }

    /// Its state in a word of HAProxy.
    pub(super) fn status(self) -> &'a str {
        let state = self.state();
        self.all().find(|line| line.state == state).map_or("unknown", |line| &line.view.status)
    }

    /// Its name, with its HAProxy if there are several, and the backends of the lines that track it.
    pub(super) fn name(self, several: bool) -> String {
        let mut name = crate::cli::names::line_name(self.server(), several);
        for line in self.lines().skip(1) {
            name.push_str(&format!(" +{}", line.backend));
        }
        name
    }

    /// The requests in flight on all lines.
    pub(super) fn in_flight(self) -> u64 {
        self.lines().map(|line| line.in_flight).sum()
    }

    /// The requests queued for all lines.
    pub(super) fn queued(self) -> u64 {
        self.lines().map(|line| line.qcur).sum()
    }

    /// The requests a second on all lines; `None` before two looks.
    pub(super) fn rate(self) -> Option<u64> {
        self.all().map(|line| line.rates.back().copied()).reduce(|sum, rate| Some(sum? + rate?)).flatten()
    }

    /// The latest rates of all lines, the latest last.
    pub(super) fn rates(self) -> Vec<u64> {
        let length = self.all().map(|line| line.rates.len()).max().unwrap_or(0);
        let at =
            |line: &Line, back: usize| line.rates.len().checked_sub(back).and_then(|at| line.rates.get(at).copied());
        (1..=length).rev().map(|back| self.all().filter_map(|line| at(line, back)).sum()).collect()
    }

    /// The recorded version.
    pub(super) fn version(self) -> Option<&'a str> {
        self.lines().find_map(|line| line.version.as_deref())
    }

    /// What keeps it out, each text once.
    pub(super) fn held_by(self) -> String {
        let own = format!("{}/{}", self.server().backend, self.server().server);
        let mut texts: Vec<&str> = Vec::new();
        for text in self.lines().flat_map(|line| &line.held_by) {
            // A tracking line repeats the state of the tracked server in words of its own.
            if !texts.contains(&text.as_str()) && (!text.contains(&own) || texts.is_empty()) {
                texts.push(text);
            }
        }
        texts.join(", ")
    }

    /// How HAProxy differs from what the store wants.
    pub(super) fn drift(self) -> &'static str {
        let outside = |line: &ServerView| line.held_by.iter().any(|text| text.ends_with(SET_OUTSIDE));
        if self.lines().any(outside) {
            "set outside"
        } else if self.all().any(|line| !line.view.holds.is_empty() && !line.agrees) {
            "not agreed"
        } else {
            ""
        }
    }
}

/// What identifies a line.
fn key(view: &ServerView) -> String {
    format!("{}:{}/{}", view.instance, view.backend, view.server)
}

/// The group of a server in its farm; its backend, if it is in none.
pub(super) fn group_of(view: &ServerView) -> &str {
    match (&view.farm, &view.group) {
        (Some(_), group) => group.as_deref().unwrap_or_default(),
        (None, _) => &view.backend,
    }
}

/// Whether two views are of one line that belongs to the same row, group and farm.
fn has_same_place(one: &ServerView, other: &ServerView) -> bool {
    one.server == other.server
        && one.backend == other.backend
        && one.instance == other.instance
        && one.tracks == other.tracks
        && one.group == other.group
        && one.farm == other.farm
}

/// The number of rates of a curve.
const RATES: usize = 16;
