//! What a process is told and asked, command by command.

use std::fmt::Write as _;

use tokio::time::Instant;

use super::setup::{Balance, Level, Series};
use super::world::{Change, World};

/// Who speaks, and with which process.
#[derive(Debug)]
pub(super) struct Teller {
    pub(super) pid: u32,
    pub(super) level: Level,
    pub(super) prompt: bool,
}

/// What follows a command.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Outcome {
    /// How many turns others get before the next one.
    pub(super) turns: u64,
    /// Whether some time passes before the next one.
    pub(super) naps: bool,
    /// The process has ended.
    pub(super) gone: bool,
    /// The connection is to end.
    pub(super) quit: bool,
    changed: bool,
}

/// What a command says: nothing where all is well.
pub(super) type Said = Result<(), &'static str>;

impl World {
    /// Carries out a command and writes what it says. `None`: HAProxy hangs.
    pub(super) fn carry_out(
        &mut self,
        teller: &mut Teller,
        command: &str,
        out: &mut String,
        now: Instant,
    ) -> (Option<Outcome>, Option<Change>) {
        if self.hung(now).is_some() {
            return (None, None);
        }
        if !self.workers.contains_key(&teller.pid) {
            return (Some(Outcome { gone: true, ..Outcome::default() }), None);
        }
        let mut outcome = if command.contains('\\') {
            let words = unescape(command);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            self.obey(teller, &words, out, now)
        } else {
            let words: Vec<&str> = command.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
            self.obey(teller, &words, out, now)
        };
        outcome.turns = self.dice.of(0..3);
        outcome.naps = self.dice.of(0..8) == 0;
        let change = outcome.changed.then(|| Change::Told(teller.pid, command.to_owned()));
        (Some(outcome), change)
    }

    fn obey(&mut self, teller: &mut Teller, words: &[&str], out: &mut String, now: Instant) -> Outcome {
        let mut outcome = Outcome::default();
        match words {
            ["show", ..] | ["get", ..] => self.show(teller, words, out, now),
            ["prompt", ..] => teller.prompt = !teller.prompt,
            ["quit"] => outcome.quit = true,
            ["operator"] => teller.level = teller.level.min(Level::Operator),
            ["user"] => teller.level = Level::User,
            ["set", "timeout", "cli", ..] | ["set", "severity-output", ..] => {}
            [] if self.setup.series >= Series::V3_0 => {}
            _ => {
                let said = self.change(teller, words, out, now);
                outcome.changed = matches!(said, Some(Ok(())));
                match said {
                    Some(Err(words)) => out.push_str(words),
                    Some(Ok(())) => {}
                    None => self.unknown(words, out),
                }
            }
        }
        outcome
    }

    fn show(&mut self, teller: &Teller, words: &[&str], out: &mut String, now: Instant) {
        let Some(worker) = self.workers.get(&teller.pid) else { return };
        let known = match words {
            ["show", "info"] => worker.show_info(self.texts, self.base, now, out),
            ["show", "stat", filter @ ..] => worker.show_stat(self.texts, filter, now, out),
            ["show", "servers", "state", of @ ..] => worker.show_state(self.texts, of.first(), now, out),
            ["show", "servers", "conn", of @ ..] => worker.show_conn(self.texts, of.first(), out),
            ["show", "table", of @ ..] => worker.show_table(of, now, out),
            ["show", "sess", ..] if teller.level < Level::Operator => Err("Permission denied\n"),
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
                out.push_str(match teller.level {
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

    /// Commands that change something. `None`: there is no such command.
    fn change(&mut self, teller: &Teller, words: &[&str], out: &mut String, now: Instant) -> Option<Said> {
        let series = self.setup.series;
        let worker = self.workers.get_mut(&teller.pid)?;
        // Up to 3.3, maps are everybody's.
        let of_map = words.get(1) == Some(&"map");
        if of_map && series >= Series::V3_4 && teller.level < Level::Admin {
            return Some(Err("Permission denied\n"));
        }
        match words {
            ["set" | "add" | "del" | "clear", "map", ..] => return Some(worker.change_map(words)),
            ["prepare" | "commit", "map", ..] if series >= Series::V2_6 => {
                return Some(worker.version_map(words, out));
            }
            _ => {}
        }
        let admin = teller.level >= Level::Admin;
        let denied = Some(Err("Permission denied\n"));
        match words {
            ["add" | "set", "server", ..] | ["enable" | "disable", "agent" | "health" | "server", ..] if !admin => {
                denied
            }
            ["shutdown", "sessions" | "session", ..] | ["set", "weight", ..] if !admin => denied,
            ["add", "server", server, ..] if series >= Series::V2_6 => Some(match worker.find(server) {
                Err(words) => Err(words),
                // Without an address nothing is ever added: only the refusal tells.
                Ok(at) if worker.backends[at.0].setup.balance == Balance::Source => Err(if series < Series::V3_4 {
                    "Backend must use a dynamic load balancing to support dynamic servers.\n"
                } else {
                    "Backend does not support dynamic servers : backend 'even' uses a non dynamic load balancing method.\n"
                }),
                Ok(_) if series >= Series::V3_4 => Err("Already exists a server with the same name in backend.\n"),
                Ok(_) => Err("'server' expects <name> and <addr>[:<port>] as arguments.\n"),
            }),
            ["set", "server", rest @ ..] => Some(worker.set_server(rest, now)),
            ["set", "weight", server, weight] => Some(worker.set_server(&[server, "weight", weight], now)),
            [verb @ ("enable" | "disable"), what @ ("agent" | "health" | "server"), rest @ ..] => {
                Some(worker.switch(*verb == "enable", what, rest.first().unwrap_or(&""), now))
            }
            ["shutdown", "sessions", "server", rest @ ..] => {
                let found = worker.find(rest.first().unwrap_or(&"")).and_then(|at| worker.in_service(at).map(|()| at));
                match found {
                    Ok(at) => {
                        self.end_sessions(teller.pid, at, now);
                        Some(Ok(()))
                    }
                    Err(words) => Some(Err(words)),
                }
            }
            ["shutdown", "session", rest @ ..] => {
                let said = worker.end_session(rest.first().unwrap_or(&""), now);
                self.bury(teller.pid);
                Some(said)
            }
            _ => None,
        }
    }

    fn unknown(&self, words: &[&str], out: &mut String) {
        // From 2.6 on the words are repeated, with some that are like them.
        let text = self.texts.unknown.as_str();
        match text.split_once("'frobnicate'") {
            Some((before, after)) => {
                let _ = write!(out, "{before}'{}'{after}", words.join(" "));
            }
            None => out.push_str(text),
        }
    }
}

/// Words, of which blanks, `;` and `\` may be escaped.
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
