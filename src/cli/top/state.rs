//! The state of the screen. Pure: keys, answers of teeterd and the time come in, effects go out.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::change::Change;
use super::layout::{Focus, Layout};
use super::listing::{Item, Listing, Shape};
use super::overlay::Overlay;
use super::question::Question;
use super::servers::{RowView, Servers};
use crate::api::{Exit, InstanceView, RunView, Sessions, StatusView};
use crate::cli::tables;

/// What teeterd has answered.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) status: StatusView,
    /// Whether the status is of all servers.
    pub(super) whole: bool,
    pub(super) runs: Vec<RunView>,
}

/// What the process has to do.
#[derive(Debug)]
pub(super) enum Effect {
    /// Nothing but to draw again.
    Draw,
    /// End with this code.
    Quit(Exit),
    /// Read the sessions on the servers with these selectors.
    Sessions(Vec<String>),
    /// Send a change.
    Send(Change),
}

/// Why a change has not begun.
#[derive(Debug)]
pub(super) struct Failure {
    /// Whether teeterd has refused it. Otherwise it may have been stored.
    pub(super) refused: bool,
    /// The reason, and what to type next.
    pub(super) text: String,
}

/// What is above the panes.
#[derive(Debug, Default)]
pub(super) enum Above {
    #[default]
    Nothing,
    Text(Overlay),
    Question(Question),
    /// The filter is being typed.
    Filter,
}

/// The state of the screen.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) servers: Servers,
    pub(super) listing: Listing,
    pub(super) shape: Shape,
    pub(super) instances: Vec<InstanceView>,
    /// The active runs, then those that have ended, the latest first.
    pub(super) runs: Vec<RunView>,
    pub(super) notes: Vec<String>,
    pub(super) filter: String,
    pub(super) focus: Focus,
    pub(super) above: Above,
    /// The line of the table under the cursor, and the first that is shown.
    pub(super) cursor: usize,
    pub(super) from: usize,
    /// The run under the cursor, and the first HAProxy that is shown.
    pub(super) run: usize,
    pub(super) haproxy: usize,
    /// What the last key or change has led to; whether it is a failure.
    pub(super) message: Option<(String, bool)>,
    /// The command that is being sent.
    pub(super) sending: Option<String>,
    /// When the data was read.
    pub(super) read: Option<Timestamp>,
    /// Since when teeterd has not answered, and why.
    pub(super) away: Option<(Timestamp, String)>,
    pub(super) allows_changes: bool,
    /// The rows of the terminal.
    pub(super) rows: u16,
}

impl State {
    /// A screen without data.
    pub(super) fn new(filter: &str, allows_changes: bool) -> Self {
        let mut state = Self { allows_changes, ..Self::default() };
        state.set_filter(filter.to_owned());
        state
    }

    /// The terminal has this many rows.
    pub(super) fn resize(&mut self, rows: u16) {
        self.rows = rows;
        self.reveal();
    }

    /// How the screen is divided.
    pub(super) fn layout(&self) -> Layout {
        let count = |count: usize| u16::try_from(count).unwrap_or(u16::MAX / 4).min(u16::MAX / 4);
        let steps =
            if self.focus == Focus::Runs { self.runs.get(self.run).map_or(0, |run| run.steps.len() + 1) } else { 0 };
        let active = self.runs.iter().filter(|run| run.finished.is_none()).count();
        Layout::of(self.rows, self.focus, count(self.runs.len() + active + steps), count(self.instances.len()))
    }

    /// Takes over an answer of teeterd.
    pub(super) fn add(&mut self, mut snapshot: Snapshot, at: Timestamp) {
        let under = self.id(self.cursor);
        if snapshot.whole {
            self.servers.replace(&mut snapshot.status, at);
            self.notes = std::mem::take(&mut snapshot.status.notes);
        } else {
            let servers = std::mem::take(&mut snapshot.status.servers);
            self.servers.update(&snapshot.status, servers, at);
        }
        self.instances = snapshot.status.instances;
        self.runs = snapshot.runs;
        self.runs.sort_by_key(|run| (run.finished.is_some(), std::cmp::Reverse(run.id)));
        self.run = self.run.min(self.runs.len().saturating_sub(1));
        (self.read, self.away) = (Some(at), None);
        self.list(under);
    }

    /// teeterd has not answered.
    pub(super) fn fail(&mut self, why: String, at: Timestamp) {
        self.away = Some((self.away.take().map_or(at, |(since, _)| since), why));
    }

    /// The sessions on servers, or why they cannot be listed.
    pub(super) fn show_sessions(&mut self, selectors: Vec<String>, sessions: Result<Sessions, String>, at: &str) {
        let (title, text) = match sessions {
            Ok(view) => {
                let count = view.sessions.len();
                let noun = if count == 1 { "session" } else { "sessions" };
                (format!("{count} {noun} on {}, read at {at}", selectors.join(" ")), tables::sessions(&view.sessions))
            }
            Err(why) => (format!("The sessions on {} cannot be listed", selectors.join(" ")), why),
        };
        // The operator may have gone back meanwhile.
        if matches!(&self.above, Above::Text(text) if text.sessions.is_some()) {
            self.above = Above::Text(Overlay { sessions: Some(selectors), ..Overlay::new(title, &text) });
        }
    }

    /// A change was answered: what has begun, or why not.
    pub(super) fn sent(&mut self, command: &str, answer: Result<String, Failure>) {
        self.sending = None;
        match answer {
            Ok(text) => self.message = Some((text, false)),
            Err(Failure { refused, text }) => {
                let title = format!("{}: {command}", if refused { "Refused" } else { "Failed" });
                self.above = Above::Text(Overlay::new(title.clone(), &text));
                self.message = Some((title, true));
            }
        }
    }

    /// Whether HAProxys have to be named.
    pub(super) fn several(&self) -> bool {
        self.instances.len() > 1
    }

    /// The lines of the table that are shown.
    pub(super) fn shown(&self) -> impl Iterator<Item = (usize, &Item)> {
        self.listing.items.iter().enumerate().skip(self.from).take(self.layout().table())
    }

    /// The backends whose servers are shown, as selectors, so that only these have to be read again.
    pub(super) fn shown_backends(&self) -> Vec<String> {
        let rows = self.shown().filter_map(|(_, item)| self.row(item));
        let backends = rows.flat_map(|row| row.lines().map(|line| format!("{}:{}/*", line.instance, line.backend)));
        backends.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The row of a line of the table; `None` for a heading.
    pub(super) fn row(&self, item: &Item) -> Option<RowView<'_>> {
        if let Item::Server(number) = item { self.servers.row(*number) } else { None }
    }

    /// The line of the table under the cursor.
    pub(super) fn item(&self) -> Option<&Item> {
        self.listing.items.get(self.cursor)
    }

    /// Filters by these words.
    pub(super) fn set_filter(&mut self, filter: String) {
        self.shape.words = filter.to_ascii_lowercase().split_whitespace().map(str::to_owned).collect();
        self.filter = filter;
    }

    /// Lists the servers anew; the cursor stays on what it was on, if that is still listed.
    pub(super) fn list(&mut self, under: Option<String>) {
        self.listing = Listing::of(&self.servers, &self.shape);
        let found = under.and_then(|under| (0..self.listing.items.len()).find(|at| self.is(*at, &under)));
        self.cursor = found.unwrap_or(self.cursor).min(self.listing.items.len().saturating_sub(1));
        self.reveal();
    }

    /// What identifies a line of the table.
    pub(super) fn id(&self, at: usize) -> Option<String> {
        match self.listing.items.get(at)? {
            Item::Heading { id, .. } => Some(id.clone()),
            item => self.row(item).map(|row| row.key().to_owned()),
        }
    }

    fn is(&self, at: usize, id: &str) -> bool {
        match self.listing.items.get(at) {
            Some(Item::Heading { id: own, .. }) => own == id,
            Some(item) => self.row(item).is_some_and(|row| row.key() == id),
            None => false,
        }
    }

    /// Scrolls the table so that the cursor is on the screen.
    pub(super) fn reveal(&mut self) {
        let room = self.layout().table();
        let last = self.listing.items.len().saturating_sub(room);
        let least = (self.cursor + 1).saturating_sub(room).min(self.cursor);
        self.from = self.from.clamp(least, self.cursor).min(last);
    }
}
