//! `add server` and `del server`: server lines that come and go while HAProxy runs.

use std::time::Duration;

use tokio::time::Instant;

use super::commands::Reply;
use super::server::Server;
use super::setup::{CheckSetup, Series, ServerSetup};
use super::worker::{At, Worker};

impl Worker {
    /// `add server BACKEND/SERVER ADDRESS [KEYWORD...]`. The new line is in maintenance and its checks are off, as in
    /// HAProxy.
    pub(super) fn add_server(&mut self, words: &[&str], out: &mut String, now: Instant) -> Reply {
        let series = self.setup.series;
        let (name, rest) = words.split_first().unwrap_or((&"", &[]));
        let (backend_name, server_name) = name.split_once('/').ok_or(self.message("Require 'backend/server'.\n"))?;
        let number = self.backend(backend_name).ok_or(self.message("No such backend.\n"))?;
        let setup = &self.backends[number].setup;
        if setup.balance.is_static() || setup.disabled {
            if series < Series::V3_4 {
                return Err(self.message("Backend must use a dynamic load balancing to support dynamic servers.\n"));
            }
            out.push_str(&format!(
                "Backend does not support dynamic servers : backend '{backend_name}' uses a non dynamic load balancing \
                 method.\n"
            ));
            return Err("");
        }
        let exists = self.find(name).is_ok();
        if exists && (series >= Series::V3_4 || !rest.is_empty()) {
            return Err("Already exists a server with the same name in backend.\n");
        }
        let (address, keywords) = rest.split_first().ok_or(NO_ADDRESS)?;
        let setup = match parse(ServerSetup { weight: 1, ..ServerSetup::new(server_name, address) }, keywords, series) {
            Ok(setup) => setup,
            Err(text) => {
                out.push_str(&text);
                return Err("");
            }
        };
        let tracked = match &setup.track {
            None => None,
            Some(tracked) => match self.find(tracked) {
                Ok(at) => Some(at),
                Err(_) => {
                    let (backend, server) = tracked.split_once('/').unwrap_or_default();
                    let missing = match self.backend(backend) {
                        None => format!("proxy '{backend}'"),
                        Some(_) => format!("server '{server}'"),
                    };
                    out.push_str(&format!("unable to find required {missing} for tracking.\n"));
                    return Err("");
                }
            },
        };
        let at = self.place_for(number, Server::added(&setup, tracked, now));
        if let Some(tracked) = tracked {
            let tracked = self.server_mut(tracked);
            tracked.trackers.push(at);
            tracked.is_referenced = true;
        }
        out.push_str("New server registered.\n");
        Ok(())
    }

    /// Puts a new line where a deleted one of the same name was, so that stick tables find it again, or at the end.
    fn place_for(&mut self, number: usize, server: Server) -> At {
        let servers = &mut self.backends[number].servers;
        match servers.iter().position(|line| line.is_deleted && line.setup.name == server.setup.name) {
            Some(place) => {
                servers[place] = server;
                (number, place)
            }
            None => {
                servers.push(server);
                (number, servers.len() - 1)
            }
        }
    }

    /// Up to 2.6 these messages lack their newline.
    fn message(&self, text: &'static str) -> &'static str {
        if self.setup.series <= Series::V2_6 { text.trim_end() } else { text }
    }

    /// `del server BACKEND/SERVER`: only in maintenance, without connections, and never once another line has tracked
    /// it.
    pub(super) fn delete_server(&mut self, name: &str, out: &mut String) -> Reply {
        let at = self.find(name).map_err(|text| self.message(text))?;
        let server = self.server(at);
        if server.is_referenced {
            return Err(self.message(REFERENCED));
        }
        if !server.in_maint() {
            return Err(self.message("Only servers in maintenance mode can be deleted.\n"));
        }
        if !self.on(at).is_empty() || !server.queue.is_empty() {
            return Err(self.message("Server still has connections attached to it, cannot remove it.\n"));
        }
        if let Some(tracked) = server.track {
            self.server_mut(tracked).trackers.retain(|tracker| *tracker != at);
        }
        self.server_mut(at).is_deleted = true;
        out.push_str(self.message("Server deleted.\n"));
        Ok(())
    }
}

/// The setup of a dynamic server from its keywords, or HAProxy's message about a keyword.
fn parse(mut setup: ServerSetup, keywords: &[&str], series: Series) -> Result<ServerSetup, String> {
    // HAProxy's own defaults.
    let mut check = CheckSetup { inter: Duration::from_secs(2), fall: 3, rise: 2 };
    let (mut is_checked, mut words) = (false, keywords.iter());
    while let Some(keyword) = words.next() {
        let mut value = || words.next().copied().unwrap_or_default();
        match *keyword {
            "check" => is_checked = true,
            "inter" => {
                let text = value();
                let millis = text.strip_suffix("ms").unwrap_or(text).parse();
                check.inter = Duration::from_millis(millis.map_err(|_| unknown(text))?);
            }
            "fall" => check.fall = value().parse().map_err(|_| unknown(keyword))?,
            "rise" => check.rise = value().parse().map_err(|_| unknown(keyword))?,
            "weight" => setup.weight = value().parse().map_err(|_| unknown(keyword))?,
            "maxconn" => setup.maxconn = value().parse().map_err(|_| unknown(keyword))?,
            "track" => setup.track = Some(value().to_owned()),
            "cookie" if series <= Series::V2_6 => {
                return Err("'cookie' option is not accepted for dynamic server\n".to_owned());
            }
            "cookie" => setup.cookie = Some(value().to_owned()),
            other => return Err(unknown(other)),
        }
    }
    setup.check = is_checked.then_some(check);
    Ok(setup)
}

fn unknown(keyword: &str) -> String {
    format!("unknown keyword '{keyword}'.\n")
}

const NO_ADDRESS: &str = "'server' expects <name> and <addr>[:<port>] as arguments.\n";
const REFERENCED: &str =
    "This server cannot be removed at runtime due to other configuration elements pointing to it.\n";
