//! `show stat`.

use std::fmt::Write as _;

use tokio::time::Instant;

use super::commands::Reply;
use super::server::{AgentStatus, Checked, Counters, Op, Server, admin};
use super::setup::Series;
use super::tables::FIRST_ID;
use super::texts::Texts;
use super::worker::{At, Worker};

impl Worker {
    /// `show stat [PROXY TYPES -1]`: frontends are 1, backends 2, servers 4.
    pub(super) fn show_stat(&self, texts: &Texts, filter: &[&str], now: Instant, out: &mut String) -> Reply {
        let only = self.proxy_id(filter.first().unwrap_or(&"-1")).ok_or("No such proxy.\n")?;
        let wanted = |id: usize| only == -1 || usize::try_from(only) == Ok(id);
        let types: i64 = filter.get(1).and_then(|types| types.parse().ok()).unwrap_or(-1);
        out.push_str(&texts.stat);
        // An old process of 2.2 lists no proxies.
        if self.stopping && self.setup.series == Series::V2_2 {
            return Ok(());
        }
        for number in (0..self.setup.frontends.len()).filter(|number| types & 1 != 0 && wanted(FIRST_ID + number)) {
            self.stat_of_frontend(texts, number, out);
        }
        for number in (0..self.backends.len()).filter(|number| wanted(self.backend_id(*number))) {
            // A disabled backend is not listed, but it has a number.
            if self.backends[number].setup.disabled {
                continue;
            }
            if types & 4 != 0 {
                for server in self.servers_of(number) {
                    self.stat_of_server(texts, (number, server), now, out);
                }
            }
            if types & 2 != 0 {
                self.stat_of_backend(texts, number, now, out);
            }
        }
        Ok(())
    }

    /// The number of the proxy that a word means: the number after `#`; or the first proxy of that name in the
    /// configuration, where frontends are before backends; or else the number that the word begins with, whether or
    /// not a proxy has it. -1 means every proxy.
    fn proxy_id(&self, word: &str) -> Option<i64> {
        if let Some(id) = word.strip_prefix('#') {
            let ids = FIRST_ID..self.backend_id(self.backends.len());
            return id.parse().ok().filter(|id| ids.contains(id)).and_then(|id| i64::try_from(id).ok());
        }
        let frontend =
            self.setup.frontends.iter().position(|frontend| frontend.name == word).map(|number| FIRST_ID + number);
        let named = frontend.or_else(|| self.backend(word).map(|number| self.backend_id(number)));
        let (sign, rest) = match word.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, word.strip_prefix('+').unwrap_or(word)),
        };
        let digits = rest.find(|char: char| !char.is_ascii_digit()).unwrap_or(rest.len());
        let number = || rest[..digits].parse::<i64>().ok().map(|number| sign * number).filter(|number| *number != 0);
        named.and_then(|id| i64::try_from(id).ok()).or_else(number)
    }

    /// The server that the health of a server is taken from: itself, or the one that it tracks.
    fn reference(&self, at: At) -> &Server {
        let mut server = self.server(at);
        while let Some(tracked) = server.track {
            server = self.server(tracked);
        }
        server
    }

    fn stat_of_frontend(&self, texts: &Texts, number: usize, out: &mut String) {
        let (name, id) = (&self.setup.frontends[number].name, FIRST_ID + number);
        let sessions = self.streams.values().filter(|stream| stream.frontend == number).count();
        let columns = texts.stat.trim_start_matches("# ").trim_end().split(',');
        let values = columns.map(|column| match column {
            "pxname" => name.clone(),
            "svname" => "FRONTEND".to_owned(),
            "scur" => sessions.to_string(),
            "status" => "OPEN".to_owned(),
            "iid" => id.to_string(),
            "pid" => "1".to_owned(),
            "sid" | "type" => "0".to_owned(),
            "mode" => "http".to_owned(),
            _ => String::new(),
        });
        out.push_str(&values.collect::<Vec<_>>().join(","));
        out.push('\n');
    }

    fn stat_of_server(&self, texts: &Texts, at: At, now: Instant, out: &mut String) {
        let (backend, server) = (&self.backends[at.0], self.server(at));
        let (counters, setup) = (&server.counters, &server.setup);
        let _ = write!(out, "{},{},{},{},", backend.setup.name, setup.name, server.queue.len(), counters.qmax);
        let _ = write!(out, "{},{},", counters.scur, counters.smax);
        if setup.maxconn > 0 {
            let _ = write!(out, "{}", setup.maxconn);
        }
        let Counters { stot, econ, eresp, wretr, wredis, .. } = counters;
        let _ = write!(out, ",{stot},0,0,,0,,{econ},{eresp},{wretr},{wredis},");
        self.status(at, out);
        let changed = now.duration_since(server.changed).as_secs();
        let backup = u8::from(setup.backup);
        let _ = write!(out, ",{},{},{backup},", server.weight, 1 - backup);
        // These columns are empty unless checks are enabled.
        let checked = server.is_checked();
        if checked {
            let _ = write!(out, "{},{}", counters.failed_checks, counters.downs);
        } else {
            out.push(',');
        }
        let _ = write!(
            out,
            ",{changed},{},,1,{},{},,{},",
            if checked { "0" } else { "" },
            self.backend_id(at.0),
            at.1 + 1,
            counters.lbtot
        );
        out.push_str(setup.track.as_deref().unwrap_or_default());
        out.push_str(",2,0,,0,");
        let last = server.check.as_ref().filter(|check| check.enabled && !server.paused).map(|check| check.last);
        out.push_str(match last {
            None => ",,",
            Some(Checked::Never) => "INI,,",
            Some(Checked::Passed) => "L7OK,200,0",
            Some(Checked::Failed) => "L7STS,503,0",
        });
        let [one, two, three, four, five] = counters.responses;
        let _ = write!(out, ",{one},{two},{three},{four},{five},0,,,,{},0,0,,,,,", counters.stot);
        let _ = write!(out, "{},,,0,0,{},0,", if counters.stot == 0 { -1 } else { 0 }, counters.rtime.0);
        self.agent_columns(server, out);
        let _ = write!(out, "{},", setup.address);
        out.push_str(setup.cookie.as_deref().unwrap_or_default());
        let used = counters.scur;
        let _ = write!(out, ",http,,,,,,,,0,{},0,,,0,,0,0,0,0,0,0,0,{used},{used},", counters.stot);
        if self.setup.series > Series::V2_2 {
            let _ = write!(out, "{},{}", server.weight, texts.server_tail);
        }
        out.push('\n');
    }

    /// The columns from `agent_status` to `agent_health`.
    fn agent_columns(&self, server: &Server, out: &mut String) {
        let agent = server.agent.as_ref().filter(|agent| agent.enabled);
        let duration = if self.setup.series > Series::V2_2 { "0" } else { "" };
        match agent.map(|agent| agent.status) {
            None => out.push_str(",,"),
            Some(AgentStatus::Never) => out.push_str(&["INI,,", duration].concat()),
            Some(AgentStatus::Nothing) => out.push_str("L4CON,,0"),
            Some(AgentStatus::Neutral) => out.push_str("L7OK,0,0"),
            Some(AgentStatus::Up) => out.push_str("L7OK,0,0"),
            Some(AgentStatus::Down) => out.push_str("L7STS,0,0"),
        }
        out.push_str(
            match server.check.as_ref().filter(|check| check.enabled && !server.paused).map(|check| check.last) {
                None => ",",
                Some(Checked::Never) => ",Initializing",
                Some(Checked::Passed) => ",Layer7 check passed",
                Some(Checked::Failed) => ",Layer7 wrong status",
            },
        );
        out.push_str(match agent.map(|agent| agent.status) {
            None => ",,",
            Some(AgentStatus::Never) => ",Initializing,",
            Some(AgentStatus::Nothing) => ",Layer4 connection problem,",
            Some(AgentStatus::Neutral | AgentStatus::Up) => ",Layer7 check passed,",
            Some(AgentStatus::Down) => ",Layer7 wrong status,",
        });
        if server.is_checked() && !server.paused {
            let _ = write!(out, "{},{},{},", server.rise, server.fall, server.health);
        } else {
            out.push_str(",,,");
        }
        match agent {
            Some(agent) => {
                let _ = write!(out, "1,1,{},", agent.health);
            }
            None => out.push_str(",,,"),
        }
    }

    fn status(&self, at: At, out: &mut String) {
        let (server, reference) = (self.server(at), self.reference(at));
        if server.in_maint() {
            out.push_str("MAINT");
            if server.admin & admin::INHERITED_MAINT != 0 {
                let _ = write!(out, " (via {})", server.setup.track.as_deref().unwrap_or_default());
            }
            return;
        }
        let full = !reference.is_checked() || reference.health == reference.healthiest();
        let counting = match server.op {
            Op::Stopped => {
                if reference.has_agent() && reference.agent.as_ref().is_some_and(|agent| agent.health == 0) {
                    out.push_str("DOWN (agent)");
                    return;
                }
                out.push_str("DOWN");
                let counts = if reference.is_checked() { reference.health > 0 } else { reference.has_agent() };
                counts.then_some((reference.health, reference.rise))
            }
            op => {
                if server.in_drain() {
                    if server.has_agent() {
                        out.push_str("DRAIN (agent)");
                        return;
                    }
                    out.push_str("DRAIN");
                } else if op == Op::Stopping {
                    out.push_str("NOLB");
                } else if full && !reference.is_checked() {
                    out.push_str("no check");
                } else {
                    out.push_str("UP");
                }
                (!full).then(|| ((reference.health + 1).saturating_sub(reference.rise), reference.fall))
            }
        };
        if let Some((passed, needed)) = counting {
            let _ = write!(out, " {passed}/{needed}");
        }
    }

    fn stat_of_backend(&self, texts: &Texts, number: usize, now: Instant, out: &mut String) {
        let backend = &self.backends[number];
        let counters = &backend.counters;
        let up = backend.servers.is_empty() || backend.servers.iter().any(Server::is_usable);
        let active = backend.servers.iter().filter(|server| server.is_usable() && !server.setup.backup);
        let backups = backend.servers.iter().filter(|server| server.is_usable() && server.setup.backup).count();
        let (act, weight) = active.fold((0, 0), |(act, weight), server| (act + 1, weight + u32::from(server.weight)));
        let _ = write!(out, "{},BACKEND,{},{},", backend.setup.name, backend.queue.len(), counters.qmax);
        let Counters { scur, smax, stot, lbtot, .. } = counters;
        let sum =
            |count: fn(&Counters) -> u64| backend.servers.iter().map(|server| count(&server.counters)).sum::<u64>();
        let (econ, wretr) = (sum(|counters| counters.econ), sum(|counters| counters.wretr));
        let (eresp, wredis) = (sum(|counters| counters.eresp), sum(|counters| counters.wredis));
        let _ = write!(out, "{scur},{smax},1,{stot},0,0,0,0,,{econ},{eresp},{wretr},{wredis},");
        out.push_str(if up { "UP" } else { "DOWN" });
        let changed = now.duration_since(backend.changed).as_secs();
        let id = self.backend_id(number);
        let _ = write!(out, ",{weight},{act},{backups},,0,{changed},0,,1,{id},0,,{lbtot},,1,0,,0,,,,");
        let [one, two, three, four, five] = counters.responses;
        let _ = write!(out, "{one},{two},{three},{four},{five},0,,,,{stot},0,0,0,0,0,0,");
        let last = if *stot == 0 { -1 } else { 0 };
        let _ = write!(
            out,
            "{last},,,0,0,0,0,,,,,,,,,,,,,,http,{},,,,,,,0,{stot},0,0,0,,,0,0,0,0,0,,,,,",
            backend.setup.balance.name()
        );
        if self.setup.series > Series::V2_2 {
            let _ = write!(out, "{weight},{}", texts.backend_tail);
        }
        out.push('\n');
    }
}
