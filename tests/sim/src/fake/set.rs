//! The commands that change a server.

use std::time::Duration;

use tokio::time::Instant;

use super::commands::Reply;
use super::host::{Due, Host};
use super::server::{Op, admin};
use super::setup::Series;
use super::worker::{At, Worker};

impl Worker {
    /// Refuses a change of a server in an old process, and in a disabled backend.
    pub(super) fn in_service(&self, at: At) -> Reply {
        let disabled = self.stopping || self.backends[at.0].setup.disabled;
        if disabled { Err("Proxy is disabled.\n") } else { Ok(()) }
    }

    pub(super) fn set_server(&mut self, words: &[&str], now: Instant) -> Reply {
        let word = |at: usize| words.get(at).copied().unwrap_or_default();
        let at = self.find(word(0))?;
        self.in_service(at)?;
        match (word(1), word(2)) {
            ("state", state) if self.set_state(at, state, now) => Ok(()),
            ("state", _) => Err("'set server <srv> state' expects 'ready', 'drain' and 'maint'.\n"),
            ("weight", weight) => self.set_weight(at, weight, now),
            ("health", health) => self.set_health(at, health, now),
            ("agent", agent) => self.set_agent(at, agent, now),
            _ => {
                if self.setup.series == Series::V2_2 {
                    return Err(
                        "'set server <srv>' only supports 'agent', 'health', 'state', 'weight', 'addr', 'fqdn' and \
                         'check-port'.\n",
                    );
                }
                Err("usage: set server <backend>/<server> addr | agent | agent-addr | agent-port | agent-send | \
                     check-addr | check-port | fqdn | health | ssl | state | weight\n")
            }
        }
    }

    fn set_health(&mut self, at: At, health: &str, now: Instant) -> Reply {
        let server = self.server_mut(at);
        if server.track.is_some() {
            return Err("cannot change health on a tracking server.\n");
        }
        let (health, op) = match health {
            "up" => (server.healthiest(), Op::Running),
            "stopping" => (server.healthiest(), Op::Stopping),
            "down" => (0, Op::Stopped),
            _ => return Err("'set server <srv> health' expects 'up', 'stopping', or 'down'.\n"),
        };
        server.health = health;
        self.operate(at, op, now);
        Ok(())
    }

    fn set_agent(&mut self, at: At, state: &str, now: Instant) -> Reply {
        if !self.server(at).has_agent() {
            return Err("agent checks are not enabled on this server.\n");
        }
        match state {
            "up" => self.hear(at, true, now),
            "down" => self.hear(at, false, now),
            _ => return Err("'set server <srv> agent' expects 'up' or 'down'.\n"),
        }
        Ok(())
    }

    fn set_weight(&mut self, at: At, text: &str, now: Instant) -> Reply {
        let lacks_newline = self.setup.series <= Series::V2_6;
        let digits = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
        let (number, rest) = text.split_at(digits);
        let Ok(number) = number.parse::<u64>() else {
            return Err(if lacks_newline { GARBAGE.trim_end() } else { GARBAGE });
        };
        let initial = u64::from(self.server(at).setup.weight);
        let weight = match rest {
            "" if number > 256 => return Err("Absolute weight can only be between 0 and 256 inclusive.\n"),
            "" => number,
            "%" => (initial * number / 100).min(256),
            _ => return Err(if lacks_newline { TRAILING.trim_end() } else { TRAILING }),
        };
        if self.backends[at.0].setup.balance.is_static() && weight != 0 && weight != initial {
            return Err("Backend is using a static LB algorithm and only accepts weights '0%' and '100%'.\n");
        }
        let server = self.server_mut(at);
        let was_usable = server.is_usable();
        server.weight = u16::try_from(weight).unwrap_or(256);
        if !was_usable && server.is_usable() {
            self.work_off(at, now);
        }
        Ok(())
    }

    /// `enable` and `disable` of agents, checks and servers.
    pub(super) fn switch(&mut self, on: bool, what: &str, name: &str, now: Instant) -> Reply {
        let at = self.find(name)?;
        self.in_service(at)?;
        let refuses = self.setup.series > Series::V2_2;
        let server = self.server_mut(at);
        match (what, on) {
            ("server", true) => {
                let _ = self.set_state(at, "ready", now);
            }
            ("server", false) => self.administer(at, admin::FORCED_MAINT, 0, now),
            ("agent", _) => match &mut server.agent {
                Some(agent) => agent.enabled = on,
                None if on => return Err("Agent was not configured on this server, cannot enable.\n"),
                None => {}
            },
            _ => match &mut server.check {
                Some(check) => check.enabled = on,
                None if on && refuses => {
                    return Err("Health check was not configured on this server, cannot enable.\n");
                }
                None => {}
            },
        }
        Ok(())
    }
}

impl Host {
    /// The sessions of a server end shortly after the answer.
    pub(super) fn end_sessions(&mut self, pid: u32, at: At, now: Instant) {
        let soon = now + Duration::from_millis(self.dice.within(0..200));
        self.at(soon, Due::Kill(pid, at));
    }
}

const GARBAGE: &str = "Empty weight string empty or preceded by garbage\n";
const TRAILING: &str = "Trailing garbage in weight string\n";
