//! Health checks and agents: their times, their results, and what these change.

use std::time::Duration;

use tokio::time::Instant;

use super::host::{App, Host, Occurrence};
use super::server::{AgentStatus, Checked, Op, Server};
use super::worker::{At, Worker};

impl Host {
    /// The next check with a new result: its time, its server, and whether it is an agent check. A check with the
    /// same result as the one before changes nothing and is skipped.
    pub(super) fn next_check(&self) -> Option<(Instant, At, bool)> {
        let worker = self.current()?;
        let mut next: Option<(Instant, At, bool)> = None;
        let mut offer = |due: Instant, at: At, agent: bool| {
            if next.is_none_or(|(first, ..)| due < first) {
                next = Some((due, at, agent));
            }
        };
        for (at, server) in worker.all() {
            if let Some(check) = server.check.as_ref().filter(|check| !check.rests) {
                offer(check.due, at, false);
            }
            if let Some(agent) = server.agent.as_ref().filter(|agent| agent.enabled) {
                offer(agent.due, at, true);
            }
        }
        next
    }

    fn is_unhealthy(&self, worker: &Worker, at: At) -> bool {
        // Most of the time all servers are healthy: names are made only if one is not, because that is slow.
        self.apps.values().any(|app| app.unhealthy || app.refuses)
            && self.apps.get(&worker.entry(at)).is_some_and(|app| app.unhealthy || app.refuses)
    }

    /// Skipped checks keep their interval: the next one is due at the time that it would have had.
    pub(super) fn catch_up(&mut self, now: Instant) {
        let Some(pid) = self.current else { return };
        let Some(worker) = self.workers.get(&pid) else { return };
        let mut woken = Vec::new();
        for (at, server) in worker.all() {
            let Some(check) = &server.check else { continue };
            let rests = !check.enabled || server.paused || is_settled(server, self.is_unhealthy(worker, at));
            if rests != check.rests {
                woken.push((at, rests));
            }
        }
        let Some(worker) = self.workers.get_mut(&pid) else { return };
        for (at, rests) in woken {
            if let Some(check) = &mut worker.server_mut(at).check {
                check.rests = rests;
                if !rests {
                    check.due = in_rhythm(check.due, check.inter, now);
                }
            }
        }
    }

    pub(super) fn check(&mut self, at: At, agent: bool, now: Instant) -> Occurrence {
        let Some(pid) = self.current else { return Occurrence::RequestMoved };
        let apps = &self.apps;
        let Some(worker) = self.workers.get_mut(&pid) else { return Occurrence::RequestMoved };
        let entry = worker.entry(at);
        let app = apps.get(&entry).cloned().unwrap_or_default();
        if agent {
            worker.ask_agent(at, &app, now);
            return Occurrence::AgentAsked(entry);
        }
        worker.check(at, !app.unhealthy && !app.refuses, now);
        Occurrence::Checked(entry)
    }
}

/// Whether a check would have the same result as the one before and change no count.
fn is_settled(server: &Server, unhealthy: bool) -> bool {
    let last = server.check.as_ref().map_or(Checked::Never, |check| check.last);
    if unhealthy {
        last == Checked::Failed && server.health == 0 && server.op == Op::Stopped
    } else {
        let up = server.op == Op::Running || server.agent.as_ref().is_some_and(|agent| agent.health == 0);
        last == Checked::Passed && server.health == server.healthiest() && up
    }
}

fn in_rhythm(due: Instant, inter: Duration, now: Instant) -> Instant {
    if due >= now || inter.is_zero() {
        return due;
    }
    let missed = now.duration_since(due).as_nanos().div_ceil(inter.as_nanos());
    due + inter * u32::try_from(missed).unwrap_or(u32::MAX)
}

impl Worker {
    pub(super) fn check(&mut self, at: At, passed: bool, now: Instant) {
        let server = self.server_mut(at);
        let Some(check) = &mut server.check else { return };
        check.due = in_rhythm(check.due + check.inter, check.inter, now + Duration::from_nanos(1));
        check.last = if passed { Checked::Passed } else { Checked::Failed };
        if passed {
            if server.health < server.healthiest() {
                server.health += 1;
                if server.health >= server.rise {
                    server.health = server.healthiest();
                }
            }
            let agent_says_no = server.has_agent() && server.agent.as_ref().is_some_and(|agent| agent.health == 0);
            if server.health >= server.rise && server.op != Op::Running && !agent_says_no {
                self.operate(at, Op::Running, now);
            }
        } else {
            if server.health > 0 {
                server.counters.failed_checks += 1;
                server.health -= 1;
                if server.health < server.rise {
                    server.health = 0;
                }
            }
            if server.health == 0 {
                self.operate(at, Op::Stopped, now);
            }
        }
    }

    /// Obeys an agent: words for the administrative state and for health, and percentages for the weight.
    fn ask_agent(&mut self, at: At, app: &App, now: Instant) {
        let server = self.server_mut(at);
        let Some(agent) = &mut server.agent else { return };
        agent.due = in_rhythm(agent.due + agent.inter, agent.inter, now + Duration::from_nanos(1));
        let Some(words) = &app.agent else {
            agent.status = AgentStatus::Nothing;
            return;
        };
        agent.status = AgentStatus::Neutral;
        for word in words.split([' ', ',', '\t']).filter(|word| !word.is_empty()) {
            match word {
                "ready" | "drain" | "maint" => {
                    self.set_state(at, word, now);
                }
                "up" => self.hear(at, true, now),
                "down" | "fail" | "stopped" => self.hear(at, false, now),
                weight => {
                    let percent = weight.strip_suffix('%').and_then(|number| number.parse::<u32>().ok());
                    if let Some(percent) = percent {
                        let server = self.server_mut(at);
                        let weight = u32::from(server.setup.weight) * percent / 100;
                        server.weight = u16::try_from(weight.min(256)).unwrap_or(256);
                    }
                }
            }
        }
    }

    /// The agent reports a server up or down.
    pub(super) fn hear(&mut self, at: At, up: bool, now: Instant) {
        let server = self.server_mut(at);
        if let Some(agent) = &mut server.agent {
            agent.health = u32::from(up);
            agent.status = if up { AgentStatus::Up } else { AgentStatus::Down };
        }
        let healthy = !server.is_checked() || server.health >= server.rise;
        if !up {
            self.operate(at, Op::Stopped, now);
        } else if healthy && self.server(at).op == Op::Stopped {
            self.operate(at, Op::Running, now);
        }
    }

    /// The name of a line, as `BACKEND/SERVER`.
    pub(super) fn entry(&self, at: At) -> String {
        let backend = &self.backends[at.0];
        [&backend.setup.name, "/", &backend.servers[at.1].setup.name].concat()
    }

    pub(super) fn is_waiting(&self, id: u64) -> bool {
        use super::traffic::State;
        self.streams.get(&id).is_some_and(|stream| matches!(stream.state, State::Queued | State::QueuedFor(_)))
    }
}
