//! The question before a change: it names what will happen, and wants an answer that no single key gives.

use std::collections::{BTreeMap, BTreeSet};

use ratatui::termion::event::Key;

use super::change::{Change, Kind, Target};
use super::servers::{RowView, Servers};
use crate::cli::args::ServerState;

/// A question before a change.
#[derive(Debug, Clone)]
pub(super) struct Question {
    kind: Kind,
    target: Target,
    /// What will happen, in lines.
    pub(super) lines: Vec<String>,
    answer: Answer,
    /// What is typed so far.
    pub(super) typed: String,
}

/// What confirms a change.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    /// A reason, and Enter.
    Reason,
    /// The key `y`.
    Yes,
    /// This word, and Enter.
    Word(String),
}

/// What a key makes of a question.
#[derive(Debug)]
pub(super) enum Reply {
    /// It stays.
    Stays,
    /// It is taken back; nothing changes.
    Left,
    /// It is answered.
    Send(Change),
    /// The change is not possible.
    Impossible(String),
}

impl Question {
    /// The question before a change.
    ///
    /// # Errors
    /// The change is not possible, as text.
    pub(super) fn new(kind: Kind, target: Target, servers: &Servers, several: bool) -> Result<Self, String> {
        // Checks the names; the reason is typed later.
        let change = Change::new(kind, &target, "TEXT")?;
        let named: Vec<RowView<'_>> = servers.rows().filter(|row| target.has(*row)).collect();
        let (all, up) = in_service(target.around(servers));
        let names: BTreeSet<&str> = named.iter().map(|row| name(*row)).collect();
        let place = match &target.farm {
            Some(farm) => format!("farm {farm}"),
            None => format!("backend {}", target.selector.split('/').next().unwrap_or_default()),
        };
        let list = list(named.iter().map(|row| row.name(several)));
        let mut lines = vec![match kind {
            Kind::Drain => format!("Take out, sticky clients may finish: {list}"),
            Kind::Maint => format!("Take out for all clients: {list}"),
            Kind::Ready => format!("End your hold, and bring back once verified: {list}"),
            Kind::Flip => format!("Switch the traffic of {place} to: {list}"),
        }];
        let before = format!("{place}: {} of {} servers are in service", up.len(), all.len());
        lines.push(match kind {
            Kind::Drain | Kind::Maint => {
                let stay = up.iter().filter(|name| !names.contains(*name)).count();
                format!("{before}; {stay} {} in service", if stay == 1 { "stays" } else { "stay" })
            }
            Kind::Ready => {
                let then = up.iter().chain(&names).collect::<BTreeSet<_>>().len();
                format!("{before}; {then} then")
            }
            Kind::Flip => {
                let others = all.iter().filter(|name| !names.contains(*name)).map(|name| (*name).to_owned());
                let others = others.collect::<Vec<_>>();
                let standby = if others.is_empty() { "none".to_owned() } else { self::list(others.into_iter()) };
                format!("{before}; {} then; on standby: {standby}", names.len())
            }
        });
        lines.push(format!("The same as: {}", change.command));
        let answer = match kind {
            Kind::Drain | Kind::Maint => Answer::Reason,
            Kind::Ready => Answer::Yes,
            Kind::Flip => Answer::Word(target.group.clone().unwrap_or_else(|| "all".to_owned())),
        };
        Ok(Self { kind, target, lines, answer, typed: String::new() })
    }

    /// The kind of change, as the title.
    pub(super) fn title(&self) -> String {
        format!("{} {}", self.kind.word(), self.target.selector)
    }

    /// What to type, and what is typed so far.
    pub(super) fn prompt(&self) -> (String, Option<&str>) {
        match &self.answer {
            Answer::Reason => ("Type the reason and Enter; Esc changes nothing. Reason:".to_owned(), Some(&self.typed)),
            Answer::Yes => ("y brings it back; Esc changes nothing.".to_owned(), None),
            Answer::Word(word) => (format!("Type {word} and Enter; Esc changes nothing:"), Some(&self.typed)),
        }
    }

    /// Takes a key.
    pub(super) fn handle(&mut self, key: Key) -> Reply {
        let is_right = match &self.answer {
            Answer::Reason => !self.typed.trim().is_empty(),
            Answer::Yes => false,
            Answer::Word(word) => self.typed.trim() == word,
        };
        match (key, &self.answer) {
            (Key::Esc, _) => Reply::Left,
            (Key::Char('\n' | '\r'), Answer::Reason | Answer::Word(_)) if is_right => self.send(),
            (Key::Char('y'), Answer::Yes) => self.send(),
            (Key::Char('n' | 'q'), Answer::Yes) => Reply::Left,
            (Key::Backspace, _) => {
                self.typed.pop();
                Reply::Stays
            }
            (Key::Char(c), Answer::Reason | Answer::Word(_))
                if !c.is_control() && self.typed.chars().count() < LONGEST =>
            {
                self.typed.push(c);
                Reply::Stays
            }
            _ => Reply::Stays,
        }
    }

    fn send(&self) -> Reply {
        match Change::new(self.kind, &self.target, &self.typed) {
            Ok(change) => Reply::Send(change),
            Err(why) => Reply::Impossible(why),
        }
    }
}

/// The name of a server in its farm; of a server in none, its name in HAProxy.
fn name<'a>(row: RowView<'a>) -> &'a str {
    let server = row.server();
    server.member.as_deref().unwrap_or(&server.server)
}

/// The names of these servers, and of those of them whose lines are all in service.
fn in_service<'a>(rows: impl Iterator<Item = RowView<'a>>) -> (BTreeSet<&'a str>, BTreeSet<&'a str>) {
    let mut up: BTreeMap<&str, bool> = BTreeMap::new();
    for row in rows {
        *up.entry(name(row)).or_insert(true) &= row.state() == ServerState::Up;
    }
    (up.keys().copied().collect(), up.into_iter().filter(|(_, up)| *up).map(|(name, _)| name).collect())
}

/// Names in a row, the first of them if there are many.
fn list(names: impl Iterator<Item = String>) -> String {
    let names: Vec<String> = names.collect();
    match names.len().checked_sub(NAMED) {
        Some(more) if more > 0 => format!("{} and {more} more", names[..NAMED].join(", ")),
        _ => names.join(", "),
    }
}

/// The most servers to name.
const NAMED: usize = 12;

/// The most characters of a typed answer.
const LONGEST: usize = 200;
