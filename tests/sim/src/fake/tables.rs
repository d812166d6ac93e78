//! `show info`, `show servers state`, `show servers conn`. They are written column by column into one text, because a
//! simulated deploy reads them a thousand times.

use std::fmt::Write as _;

use tokio::time::Instant;

use super::commands::Reply;
use super::server::{Checked, Server};
use super::setup::Series;
use super::texts::{Field, Texts};
use super::worker::{At, Worker};

/// The number of the first proxy of the configuration.
pub(super) const FIRST_ID: usize = 2;

impl Worker {
    pub(super) fn show_info(&self, texts: &Texts, base: Instant, now: Instant, out: &mut String) -> Reply {
        let up = now.duration_since(self.started).as_secs();
        for (text, field) in &texts.info {
            out.push_str(text);
            let Some(field) = field else { continue };
            let _ = match field {
                Field::Pid => write!(out, "{}", self.pid),
                Field::Uptime => {
                    let (days, hours, minutes) = (up / 86_400, up / 3600 % 24, up / 60 % 60);
                    write!(out, "{days}d {hours}h{minutes:02}m{:02}s", up % 60)
                }
                Field::UptimeSec => write!(out, "{up}"),
                Field::CurrConns => write!(out, "{}", self.streams.len() + self.cli),
                Field::CumConns | Field::CumReq | Field::CumStreams => write!(out, "{}", self.requests),
                Field::Stopping => write!(out, "{}", u8::from(self.stopping)),
                Field::StartTime => {
                    write!(out, "{}", 1_790_000_000 + self.started.duration_since(base).as_secs())
                }
                Field::CurrStreams => write!(out, "{}", self.streams.len() + self.cli),
            };
        }
        Ok(())
    }

    /// The number of a backend. GLOBAL and the frontends have the numbers before.
    pub(super) fn backend_id(&self, backend: usize) -> usize {
        FIRST_ID + self.setup.frontends.len() + backend
    }

    pub(super) fn show_state(&self, texts: &Texts, only: Option<&&str>, now: Instant, out: &mut String) -> Reply {
        let only = self.only(only)?;
        out.push_str("1\n");
        out.push_str(&texts.state);
        for (at, line) in self.listed(only) {
            let (address, port) = line.setup.address.rsplit_once(':').unwrap_or((&line.setup.address, "0"));
            let backend = &self.backends[at.0].setup.name;
            let (id, server) = (self.backend_id(at.0), self.server_id(at));
            let _ = write!(out, "{id} {backend} {server} {} {address} ", line.setup.name);
            let changed = now.duration_since(line.changed).as_secs();
            let _ = write!(out, "{} {} {} {} {changed} ", line.op as u8, line.admin, line.weight, line.setup.weight);
            let (status, result) = match line.check.as_ref().map(|check| check.last) {
                None | Some(Checked::Never) => (1, 0),
                Some(Checked::Passed) => (15, 3),
                Some(Checked::Failed) => (17, 2),
            };
            let (check, agent) = (line.check_state(), line.agent_state());
            let _ = write!(out, "{status} {result} {} {check} {agent} 0 0 - {port} -", line.health);
            if self.setup.series > Series::V2_2 {
                out.push_str(if line.agent.is_some() { " 0 0 - - 1" } else { " 0 0 - - 0" });
            }
            out.push('\n');
        }
        if let Some(id) = self.process(only) {
            let up = now.duration_since(self.started).as_secs();
            let _ = writeln!(out, "{id} MASTER 1 cur-1 - 2 0 0 0 {up} 1 0 0 0 0 0 0 - 0 -");
        }
        Ok(())
    }

    pub(super) fn show_conn(&self, texts: &Texts, only: Option<&&str>, out: &mut String) -> Reply {
        let only = self.only(only)?;
        out.push_str(&texts.conn);
        for (at, line) in self.listed(only) {
            let (address, port) = line.setup.address.rsplit_once(':').unwrap_or((&line.setup.address, "0"));
            let backend = &self.backends[at.0].setup.name;
            let (id, server) = (self.backend_id(at.0), self.server_id(at));
            let _ = write!(out, "{backend}/{} {id}/{server} {address} {port} - 5000 ", line.setup.name);
            let (now, most) = (line.counters.scur, line.counters.smax);
            let _ = if self.setup.series < Series::V3_4 {
                write!(out, "{now} {most} {most} 0 0 -1 0")
            } else {
                // With `served` and `idle_sess`. Here each request has a connection of its own, and none is idle.
                write!(out, "{now} {now} {most} {most} 0 0 0 -1 0")
            };
            // For a disabled backend, some series leave out the columns of the threads.
            let disabled = self.backends[at.0].setup.disabled;
            let short = disabled && matches!(self.setup.series, Series::V2_2 | Series::V3_4);
            out.push_str(if short { "\n" } else { " 0 0\n" });
        }
        if let Some(id) = self.process(only) {
            let _ = writeln!(out, "MASTER/cur-1 {id}/1 - 0 - 0 0 0 0 0 0 0 0");
        }
        Ok(())
    }

    /// The servers of one backend or of all, in the order of the tables. Those of a disabled backend are in reverse
    /// order.
    fn listed(&self, only: Option<usize>) -> Vec<(At, &Server)> {
        let mut all: Vec<(At, &Server)> = self.all().filter(|(at, _)| only.is_none_or(|only| only == at.0)).collect();
        all.sort_by_key(|((backend, server), _)| {
            let place = i64::try_from(*server).unwrap_or(i64::MAX);
            (*backend, if self.backends[*backend].setup.disabled { -place } else { place })
        });
        all
    }

    /// The number of a server in its backend. In a disabled backend it is 0.
    fn server_id(&self, at: At) -> usize {
        if self.backends[at.0].setup.disabled { 0 } else { at.1 + 1 }
    }

    /// Up to 2.4, a worker lists the processes of its master among its servers.
    fn process(&self, only: Option<usize>) -> Option<usize> {
        let has = self.setup.series == Series::V2_2 && self.setup.master && only.is_none();
        has.then(|| self.backend_id(self.backends.len()))
    }

    fn only(&self, name: Option<&&str>) -> Result<Option<usize>, &'static str> {
        name.map(|name| self.backend(name).ok_or("Can't find backend.\n")).transpose()
    }

    pub(super) fn get_weight(&self, server: &str, out: &mut String) -> Reply {
        let server = self.server(self.find(server)?);
        let _ = writeln!(out, "{} (initial {})", server.weight, server.setup.weight);
        Ok(())
    }
}
