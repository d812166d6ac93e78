//! What each key does.

use ratatui::termion::event::Key;

use super::change::{Kind, Target};
use super::layout::Focus;
use super::listing::Item;
use super::overlay::Overlay;
use super::question::{Question, Reply};
use super::state::{Above, Effect, State};
use crate::api::{Exit, ServerView};

impl State {
    /// Takes a key.
    pub(super) fn handle(&mut self, key: Key) -> Effect {
        if key == Key::Ctrl('c') {
            return Effect::Quit(Exit::Interrupted);
        }
        match std::mem::take(&mut self.above) {
            Above::Nothing => self.handle_in_panes(key),
            Above::Text(text) => self.handle_in_text(text, key),
            Above::Question(question) => self.handle_in_question(question, key),
            Above::Filter => self.handle_in_filter(key),
        }
    }

    fn handle_in_panes(&mut self, key: Key) -> Effect {
        self.message = None;
        let page = isize::try_from(self.layout().table().max(2) - 1).unwrap_or(1);
        match key {
            Key::Char('q') => return Effect::Quit(Exit::Done),
            Key::Up | Key::Char('k') => self.go(-1),
            Key::Down | Key::Char('j') => self.go(1),
            Key::PageUp | Key::Ctrl('b') => self.go(-page),
            Key::PageDown | Key::Ctrl('f') => self.go(page),
            Key::Home | Key::Char('g') => self.go(isize::MIN),
            Key::End | Key::Char('G') => self.go(isize::MAX),
            Key::Char('\t') => {
                self.focus = self.focus.next();
                self.reveal();
            }
            Key::Char('/') => self.above = Above::Filter,
            Key::Char('s') => {
                self.shape.order = self.shape.order.next();
                let under = self.id(self.cursor);
                self.list(under);
            }
            Key::Char('?') => self.above = Above::Text(Overlay::help(self.allows_changes)),
            Key::Char('n') => {
                let notes =
                    if self.notes.is_empty() { "teeterd has no notes".to_owned() } else { self.notes.join("\n") };
                self.above = Above::Text(Overlay::new("Notes of teeterd, as `teeter status` prints them", &notes));
            }
            Key::Esc if self.focus != Focus::Servers => {
                self.focus = Focus::Servers;
                self.reveal();
            }
            Key::Esc => {
                let under = self.id(self.cursor);
                self.set_filter(String::new());
                self.list(under);
            }
            Key::Char('\n' | '\r') if self.focus == Focus::Servers => return self.open(),
            Key::Char(c) => {
                if let Some(kind) = Kind::of_key(c) {
                    self.ask(kind);
                }
            }
            _ => {}
        }
        Effect::Draw
    }

    fn handle_in_text(&mut self, mut text: Overlay, key: Key) -> Effect {
        let page = isize::try_from(self.rows).unwrap_or(1).saturating_sub(4).max(1);
        match key {
            Key::Esc | Key::Char('q' | '?' | 'n') => return Effect::Draw,
            Key::Up | Key::Char('k') => text.scroll(-1),
            Key::Down | Key::Char('j') => text.scroll(1),
            Key::PageUp => text.scroll(-page),
            Key::PageDown | Key::Char(' ') => text.scroll(page),
            Key::Char('\n' | '\r') => {
                if let Some(selectors) = text.sessions.clone() {
                    self.above = Above::Text(text);
                    return Effect::Sessions(selectors);
                }
            }
            _ => {}
        }
        self.above = Above::Text(text);
        Effect::Draw
    }

    fn handle_in_question(&mut self, mut question: Question, key: Key) -> Effect {
        match question.handle(key) {
            Reply::Stays => self.above = Above::Question(question),
            Reply::Left => self.message = Some(("nothing was changed".to_owned(), false)),
            Reply::Impossible(why) => self.message = Some((why, true)),
            Reply::Send(change) => {
                self.sending = Some(change.command.clone());
                return Effect::Send(change);
            }
        }
        Effect::Draw
    }

    fn handle_in_filter(&mut self, key: Key) -> Effect {
        let under = self.id(self.cursor);
        let mut filter = self.filter.clone();
        let filter = match key {
            Key::Char('\n' | '\r') => return Effect::Draw,
            Key::Esc => {
                self.set_filter(String::new());
                self.list(under);
                return Effect::Draw;
            }
            Key::Backspace => {
                filter.pop();
                filter
            }
            Key::Char(c) if !c.is_control() && filter.chars().count() < LONGEST_FILTER => filter + &c.to_string(),
            _ => filter,
        };
        self.set_filter(filter);
        self.list(under);
        self.above = Above::Filter;
        Effect::Draw
    }

    /// Opens what is under the cursor.
    fn open(&mut self) -> Effect {
        match self.item().cloned() {
            Some(Item::Heading { id, .. }) => {
                if !self.shape.folded.remove(&id) {
                    self.shape.folded.insert(id);
                }
                let under = self.id(self.cursor);
                self.list(under);
                Effect::Draw
            }
            Some(item) => {
                let Some(row) = self.row(&item) else { return Effect::Draw };
                let name = |line: &ServerView| format!("{}:{}/{}", line.instance, line.backend, line.server);
                let selectors: Vec<String> = row.lines().map(name).collect();
                let title = format!("Sessions on {}: reading them", selectors.join(" "));
                let text = Overlay { sessions: Some(selectors.clone()), ..Overlay::new(title, "") };
                self.above = Above::Text(text);
                Effect::Sessions(selectors)
            }
            None => Effect::Draw,
        }
    }

    /// Asks about a change of what is under the cursor.
    fn ask(&mut self, kind: Kind) {
        let refusal = if !self.allows_changes {
            Some(format!("{} changes traffic: start with --allow-changes", kind.word()))
        } else if self.away.is_some() {
            Some("teeterd does not answer: nothing can be changed now".to_owned())
        } else {
            self.sending.as_ref().map(|command| format!("{command} is being sent: wait for its answer"))
        };
        let target = match self.item() {
            _ if self.focus != Focus::Servers => None,
            Some(Item::Heading { id, .. }) => Target::heading(id),
            Some(item) => self.row(item).map(Target::server),
            None => None,
        };
        match (refusal, target) {
            (Some(refusal), _) => self.message = Some((refusal, true)),
            (None, None) => self.message = Some((format!("no server is under the cursor to {}", kind.word()), true)),
            (None, Some(target)) => match Question::new(kind, target, &self.servers, self.several()) {
                Ok(question) => self.above = Above::Question(question),
                Err(why) => self.message = Some((why, true)),
            },
        }
    }

    /// Moves the cursor of the pane that has the keys.
    fn go(&mut self, by: isize) {
        let (at, count) = match self.focus {
            Focus::Servers => (&mut self.cursor, self.listing.items.len()),
            Focus::Runs => (&mut self.run, self.runs.len()),
            Focus::Haproxys => (&mut self.haproxy, self.instances.len()),
        };
        *at = at.saturating_add_signed(by).min(count.saturating_sub(1));
        self.reveal();
    }
}

/// The most characters of a filter.
const LONGEST_FILTER: usize = 100;
