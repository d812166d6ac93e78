//! The rows of `teeter status`: one for each server, with the lines that track it.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::{ServerAdmin, ServerView, StatusView};
use crate::cli::args::ServerState;
use crate::farm::natural;

/// A server, and the lines that track it and are in the same state.
#[derive(Debug)]
pub(super) struct Row<'a> {
    /// The line of the server itself.
    pub(super) server: &'a ServerView,
    /// Lines that track it.
    pub(super) tracking: Vec<&'a ServerView>,
    /// The state of all these lines.
    pub(super) state: ServerState,
}

/// The rows of a status, in the natural order of names.
pub(super) fn rows(view: &StatusView) -> Vec<Row<'_>> {
    let away: BTreeSet<&str> =
        view.instances.iter().filter(|instance| !instance.reachable).map(|instance| instance.name.as_str()).collect();
    let state = |server: &ServerView| state(server, away.contains(server.instance.as_str()));
    let mut rows: Vec<Row<'_>> = Vec::new();
    let mut index: BTreeMap<(&str, String), usize> = BTreeMap::new();
    let (tracking, others): (Vec<_>, Vec<_>) = view.servers.iter().partition(|server| server.tracks.is_some());
    for server in others {
        index.insert((&server.instance, format!("{}/{}", server.backend, server.server)), rows.len());
        rows.push(Row { server, tracking: Vec::new(), state: state(server) });
    }
    for server in tracking {
        let tracked = server.tracks.clone().and_then(|tracked| index.get(&(server.instance.as_str(), tracked)));
        let tracked = tracked.copied().filter(|at| rows[*at].state == state(server));
        match tracked.and_then(|at| rows.get_mut(at)) {
            Some(row) => row.tracking.push(server),
            None => rows.push(Row { server, tracking: Vec::new(), state: state(server) }),
        }
    }
    rows.sort_by(|one, other| {
        let (one, other) = (one.server, other.server);
        natural(&one.instance, &other.instance)
            .then_with(|| natural(&one.backend, &other.backend))
            .then_with(|| natural(&one.server, &other.server))
    });
    rows
}

/// The state of a line; `away`: its HAProxy does not answer.
pub(in crate::cli) fn state(server: &ServerView, away: bool) -> ServerState {
    match server {
        _ if away => ServerState::Unknown,
        server if server.in_service => ServerState::Up,
        server if !server.holds.is_empty() => ServerState::Held,
        server if server.admin != ServerAdmin::Ready || !server.held_by.is_empty() => ServerState::Out,
        _ => ServerState::Down,
    }
}

impl<'a> Row<'a> {
    /// All lines of the row.
    pub(super) fn lines(&self) -> impl Iterator<Item = &'a ServerView> {
        std::iter::once(self.server).chain(self.tracking.iter().copied())
    }

    /// Whether there is nothing to say about it: it takes traffic, no request is queued, no check fails, and nothing
    /// holds or changes it.
    pub(super) fn is_normal(&self) -> bool {
        let is_normal = |line: &ServerView| {
            line.held_by.is_empty()
                && line.holds.is_empty()
                && line.old.is_empty()
                && line.qcur == 0
                // `UP 1/3`: checks fail.
                && !line.status.starts_with("UP ")
        };
        self.state == ServerState::Up && self.lines().all(is_normal)
    }

    /// The requests in flight on all lines.
    pub(super) fn in_flight(&self) -> u64 {
        self.lines().map(|line| line.in_flight).sum()
    }

    /// The requests queued for all lines.
    pub(super) fn queued(&self) -> u64 {
        self.lines().map(|line| line.qcur).sum()
    }

    /// The recorded version.
    pub(super) fn version(&self) -> Option<&'a str> {
        self.lines().find_map(|line| line.version.as_deref())
    }

    /// What keeps the lines out, each text once.
    pub(super) fn held_by(&self) -> String {
        let mut texts: Vec<&str> = Vec::new();
        for text in self.lines().flat_map(|line| &line.held_by) {
            // A tracking line repeats the state of the tracked server in words of its own.
            let of_tracked = text.contains(&format!("{}/{}", self.server.backend, self.server.server));
            if !texts.contains(&text.as_str()) && (!of_tracked || texts.is_empty()) {
                texts.push(text);
            }
        }
        texts.join(", ")
    }
}
