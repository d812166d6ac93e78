//! The whole picture of a run.

use jiff::Timestamp;

use super::hook::HookState;
use super::steps;
use super::text::{Marks, fit, pad, plural, wrapped};
use super::trend::Trends;
use crate::api::{EstimateView, RunServerView, RunView};
use crate::cli::{clock, run_text, tables};

/// The size of a terminal.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Size {
    pub(in crate::cli) columns: usize,
    pub(in crate::cli) rows: usize,
}

/// What a picture is made from.
pub(in crate::cli) struct Picture<'a> {
    pub(in crate::cli) run: &'a RunView,
    pub(in crate::cli) trends: &'a Trends,
    pub(in crate::cli) hook: &'a HookState,
    /// The end of the current wait, as text.
    pub(in crate::cli) until: &'a str,
    pub(in crate::cli) now: Timestamp,
    pub(in crate::cli) marks: Marks,
}

impl Picture<'_> {
    /// The picture as lines that fit the terminal.
    pub(in crate::cli) fn lines(&self, size: Size) -> Vec<String> {
        // A line of the full width would wrap on some terminals.
        let columns = size.columns.saturating_sub(1);
        // On a terminal of few lines the steps need them.
        let most = if size.rows < FEW_ROWS { 1 } else { MOST_LINES };
        let ends = [self.waiting(), self.estimate(), self.next()].into_iter().flatten();
        let ends: Vec<String> = ends.flat_map(|text| wrapped(&text, columns, most, self.marks)).collect();
        let hook = self.hook().map(|line| fit(&line, columns, self.marks));
        // The header, and a line that stays free below.
        let room = size.rows.saturating_sub(2 + ends.len() + usize::from(hook.is_some()));
        let servers = self.servers(columns, room / 2);
        let steps = room.saturating_sub(servers.len()).min(MOST_STEPS);
        let mut lines = vec![fit(&self.header(), columns, self.marks)];
        lines.extend(steps::lines(self.run, self.now, self.marks, Size { columns, rows: steps }));
        lines.extend(servers.into_iter().chain(hook).chain(ends));
        lines
    }

    fn header(&self) -> String {
        let run = self.run;
        let version = run_text::version(run);
        let age = clock::age(run.started, run.finished.unwrap_or(self.now));
        let position = steps::position(run);
        let position = if position.is_empty() { position } else { format!("  {position}") };
        format!("run {}: {} of {}{version}, {} {age}{position}", run.id, run.strategy, run.farm, tables::state(run))
    }

    /// The servers as a table of at most `rows` lines, those with requests in flight first.
    fn servers(&self, columns: usize, rows: usize) -> Vec<String> {
        let mut servers: Vec<&RunServerView> = self.run.servers.iter().collect();
        if servers.is_empty() || rows < 2 {
            return Vec::new();
        }
        let hidden = servers.len().saturating_sub(rows - 1);
        if hidden > 0 {
            servers.sort_by_key(|server| std::cmp::Reverse(server.in_flight));
            servers.truncate(rows.saturating_sub(2));
        }
        let width = |text: fn(&RunServerView) -> &str, head: &str| {
            let longest = servers.iter().map(|server| text(server).chars().count()).max();
            longest.unwrap_or(0).max(head.len()).min(columns / 3)
        };
        let name = width(|server| &server.name, "SERVER");
        let status = width(|server| &server.status, "STATUS");
        let version = width(|server| server.version.as_deref().unwrap_or("-"), "VERSION");
        let row = |cells: [&str; 5]| {
            let [server, state, runs, in_flight, trend] = cells;
            let cell = |text: &str, columns: usize| pad(&fit(text, columns, self.marks), columns);
            let line = format!(
                "    {}  {}  {}  {in_flight:>9}  {trend}",
                cell(server, name),
                cell(state, status),
                cell(runs, version)
            );
            fit(line.trim_end(), columns, self.marks)
        };
        let mut lines = vec![row(["SERVER", "STATUS", "VERSION", "IN FLIGHT", ""])];
        for server in &servers {
            let note = if server.left_out.is_some() { "left out".to_owned() } else { String::new() };
            let trend = self.trends.curve(&server.name, self.marks);
            let last = if trend.is_empty() { note } else { trend };
            let version = server.version.as_deref().unwrap_or("-");
            lines.push(row([&server.name, &server.status, version, &server.in_flight.to_string(), &last]));
        }
        if hidden > 0 {
            let rest = self.run.servers.len() - servers.len();
            lines.push(fit(
                &format!("    {} {rest} more {}", self.marks.cut, plural(rest, "server")),
                columns,
                self.marks,
            ));
        }
        lines
    }

    fn hook(&self) -> Option<String> {
        let began = self.hook.began();
        let last = self.hook.last().map(|(at, line)| format!("{} ago: {line}", clock::age(at, self.now)));
        match (began, last) {
            (Some(began), Some(last)) => {
                Some(format!("hook: running for {}, last line {last}", clock::age(began, self.now)))
            }
            (Some(began), None) => Some(format!("hook: running for {}, no line yet", clock::age(began, self.now))),
            (None, Some(last)) if self.run.work.is_some() => Some(format!("hook: last line {last}")),
            (None, _) => None,
        }
    }

    fn waiting(&self) -> Option<String> {
        let waiting = self.run.waiting.as_deref()?;
        let waiting =
            ["waiting for ", "waiting "].iter().find_map(|start| waiting.strip_prefix(start)).unwrap_or(waiting);
        let waiting = waiting.replace('\n', " ");
        let until = if self.until.is_empty() { String::new() } else { format!(" ({})", self.until) };
        let is_watch = waiting.starts_with("watching: ") || waiting.starts_with("no verdict yet: ");
        Some(format!("{}{waiting}{until}", if is_watch { "" } else { "waiting: " }))
    }

    fn estimate(&self) -> Option<String> {
        self.run.estimate.as_ref().map(|estimate| format!("estimate: {}", estimate_text(estimate)))
    }

    fn next(&self) -> Option<String> {
        self.run.next.as_deref().map(|next| format!("next: {}", next.replace('\n', " ")))
    }
}

/// An estimate as text.
pub(in crate::cli) fn estimate_text(estimate: &EstimateView) -> String {
    let [median, low, high] = [estimate.median_s, estimate.low_s, estimate.high_s].map(clock::seconds);
    format!("about {median} more, {low} to {high}, by {} earlier drains that took as long", estimate.drains)
}

/// The most lines for a wait, and for the next command.
const MOST_LINES: usize = 3;

/// With fewer lines each sentence gets one line.
const FEW_ROWS: usize = 16;

/// The most lines for steps.
const MOST_STEPS: usize = 16;
