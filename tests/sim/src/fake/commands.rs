//! The commands of the Runtime API.

use std::fmt::Write as _;

use tokio::time::Instant;

use super::host::{Host, Occurrence};
use super::setup::{Level, Series};

/// A client of the stats socket, and the process that it is connected to.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) pid: u32,
    pub(super) level: Level,
    pub(super) prompt: bool,
}

/// What a connection does after a command.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Outcome {
    /// How often other tasks run before the next command.
    pub(super) turns: u64,
    /// Whether some time passes before the next command.
    pub(super) naps: bool,
    /// The process has ended.
    pub(super) gone: bool,
    /// The connection ends.
    pub(super) quit: bool,
    changed: bool,
}

/// The answer of a command: empty on success, or the words of a refusal. The words may have been written already;
/// then these here are empty.
pub(super) type Reply = Result<(), &'static str>;

impl Host {
    /// Carries out a command and writes its answer. Gives `None` while HAProxy hangs.
    pub(super) fn carry_out(
        &mut self,
        caller: &mut Caller,
        command: &str,
        out: &mut String,
        now: Instant,
    ) -> (Option<Outcome>, Option<Occurrence>) {
        if self.hung(now).is_some() {
            return (None, None);
        }
        if !self.workers.contains_key(&caller.pid) {
            return (Some(Outcome { gone: true, ..Outcome::default() }), None);
        }
        let mut outcome = if command.contains('\\') {
            let words = unescape(command);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            self.obey(caller, &words, out, now)
        } else {
            let words: Vec<&str> = command.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
            self.obey(caller, &words, out, now)
        };
        outcome.turns = self.dice.within(0..3);
        outcome.naps = self.dice.within(0..8) == 0;
        let change = outcome.changed.then(|| Occurrence::Command(caller.pid, command.to_owned()));
        (Some(outcome), change)
    }

    fn obey(&mut self, caller: &mut Caller, words: &[&str], out: &mut String, now: Instant) -> Outcome {
        let mut outcome = Outcome::default();
        match words {
            ["show", ..] | ["get", ..] => self.show(caller, words, out, now),
            ["prompt", ..] => caller.prompt = !caller.prompt,
            ["quit"] => outcome.quit = true,
            ["operator"] => caller.level = caller.level.min(Level::Operator),
            ["user"] => caller.level = Level::User,
            ["set", "timeout", "cli", ..] | ["set", "severity-output", ..] => {}
            [] if self.setup.series >= Series::V3_0 => {}
            _ => {
                let reply = self.change(caller, words, out, now);
                outcome.changed = matches!(reply, Some(Ok(())));
                match reply {
                    Some(Err(words)) => out.push_str(words),
                    Some(Ok(())) => {}
                    None => self.unknown(words, out),
                }
            }
        }
        outcome
    }

    fn show(&mut self, caller: &Caller, words: &[&str], out: &mut String, now: Instant) {
        let Some(worker) = self.workers.get(&caller.pid) else { return };
        let known = match words {
            ["show", "info"] => worker.show_info(self.texts, self.base, now, out),
            ["show", "stat", filter @ ..] => worker.show_stat(self.texts, filter, now, out),
            ["show", "servers", "state", filter @ ..] => worker.show_state(self.texts, filter.first(), now, out),
            ["show", "servers", "conn", filter @ ..] => worker.show_conn(self.texts, filter.first(), out),
            ["show", "table", filter @ ..] => worker.show_table(filter, now, out),
            ["show", "sess", ..] if caller.level < Level::Operator => Err("Permission denied\n"),
            ["show", "sess"] | ["show", "sess", "all"] => worker.show_sessions(now, out),
            ["show", "sess", id] => worker.show_session(id, now, out),
            ["show", "map"] => worker.show_maps(out),
            ["show", "map", map] => worker.show_map(map, out),
            ["get", "map", map, key] => worker.get_map(map, key, out),
            ["get", "weight", server] => worker.get_weight(server, out),
            ["show", "version"] if worker.setup.series >= Series::V2_6 => {
                let _ = writeln!(out, "{}", self.texts.version);
                Ok(())
            }
            ["show", "cli", "level"] => {
                out.push_str(match caller.level {
                    Level::User => "user\n",
                    Level::Operator => "operator\n",
                    Level::Admin => "admin\n",
                });
                Ok(())
            }
            _ => {
                self.unknown(words, out);
                Ok(())
            }
        };
        if let Err(words) = known {
            out.push_str(words);
        }
    }

    /// Carries out a command that changes something. Gives `None` if there is no such command.
    fn change(&mut self, caller: &Caller, words: &[&str], out: &mut String, now: Instant) -> Option<Reply> {
        let series = self.setup.series;
        let worker = self.workers.get_mut(&caller.pid)?;
        // Up to 3.3, commands about maps need no level.
        let of_map = words.get(1) == Some(&"map");
        if of_map && series >= Series::V3_4 && caller.level < Level::Admin {
            return Some(Err("Permission denied\n"));
        }
        match words {
            ["set" | "add" | "del" | "clear", "map", ..] => return Some(worker.change_map(words)),
            ["prepare" | "commit", "map", ..] if series >= Series::V2_6 => {
                return Some(worker.version_map(words, out));
            }
            _ => {}
        }
        let admin = caller.level >= Level::Admin;
        let denied = Some(Err("Permission denied\n"));
        match words {
            ["add" | "del" | "set", "server", ..] | ["enable" | "disable", "agent" | "health" | "server", ..]
                if !admin =>
            {
                denied
            }
            ["shutdown", "sessions" | "session", ..] | ["set", "weight", ..] if !admin => denied,
            ["add", "server", rest @ ..] if series >= Series::V2_6 => Some(worker.add_server(rest, out, now)),
            ["del", "server", rest @ ..] if series >= Series::V2_6 => {
                Some(worker.delete_server(rest.first().unwrap_or(&""), out))
            }
            ["set", "server", rest @ ..] => Some(worker.set_server(rest, now)),
            ["set", "weight", server, weight] => Some(worker.set_server(&[server, "weight", weight], now)),
            [verb @ ("enable" | "disable"), what @ ("agent" | "health" | "server"), rest @ ..] => {
                Some(worker.switch(*verb == "enable", what, rest.first().unwrap_or(&""), now))
            }
            ["shutdown", "sessions", "server", rest @ ..] => {
                let found = worker.find(rest.first().unwrap_or(&"")).and_then(|at| worker.in_service(at).map(|()| at));
                match found {
                    Ok(at) => {
                        self.end_sessions(caller.pid, at, now);
                        Some(Ok(()))
                    }
                    Err(words) => Some(Err(words)),
                }
            }
            ["shutdown", "session", rest @ ..] => {
                let reply = worker.end_session(rest.first().unwrap_or(&""), now);
                self.bury(caller.pid);
                Some(reply)
            }
            _ => None,
        }
    }

    fn unknown(&self, words: &[&str], out: &mut String) {
        // From 2.6 on, the answer repeats the command and names similar ones.
        let text = self.texts.unknown.as_str();
        match text.split_once("'frobnicate'") {
            Some((before, after)) => {
                let _ = write!(out, "{before}'{}'{after}", words.join(" "));
            }
            None => out.push_str(text),
        }
    }
}

/// The words of a command. Blanks, `;` and `\` may be escaped.
fn unescape(command: &str) -> Vec<String> {
    let (mut words, mut word, mut chars) = (Vec::new(), String::new(), command.chars());
    while let Some(char) = chars.next() {
        match char {
            '\\' => word.extend(chars.next()),
            ' ' | '\t' if word.is_empty() => {}
            ' ' | '\t' => words.push(std::mem::take(&mut word)),
            _ => word.push(char),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}
