//! Requests of clients: where a new one goes, and how it ends.

use teeter_lab::Dice;
use tokio::time::Instant;

use super::Fake;
use super::host::{Due, Host, Occurrence};
use super::setup::Route;
use super::stick::Stuck;
use super::traffic::{NewStream, State};
use super::truth::Place;
use super::worker::Worker;

/// A request that HAProxy has accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its number. No other request has it.
    pub id: u64,
    /// The process that has it.
    pub pid: u32,
    /// The backend that it was routed to.
    pub backend: String,
    /// The server that has it or that it waits for. `None`: it waits for any server.
    pub server: Option<String>,
    /// Whether it waits, in a queue or for a retry.
    pub waits: bool,
}

/// The reason why a request gets no server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// HAProxy is down.
    Down,
    /// HAProxy hangs and does not answer.
    Hung,
    /// There is no such frontend.
    NoFrontend,
    /// 503: no server, or no backend.
    Unavailable,
}

impl Fake {
    /// Begins a request. A client that has a number keeps its cookies and is known to stick tables.
    ///
    /// # Errors
    /// It got no server.
    pub fn begin(&self, frontend: &str, client: Option<u64>) -> Result<Request, Refused> {
        self.with(|host, now| {
            let taken = host.begin(frontend, client, now);
            let change = taken.is_ok() || taken == Err(Refused::Unavailable);
            (taken, change.then_some(Occurrence::RequestBegan))
        })
    }

    /// Ends a request with status 200.
    pub fn end(&self, request: Request) {
        self.end_with(request, Some(200));
    }

    /// Ends a request with this status, or without one, as when it is cut off.
    pub fn end_with(&self, request: Request, status: Option<u16>) {
        self.with(|host, now| {
            // A stopped process notices it later.
            if let Some(until) = host.hung(now) {
                host.at(until, Due::Finish(request.pid, request.id, status));
                return ((), None);
            }
            let Some(worker) = host.workers.get_mut(&request.pid) else { return ((), None) };
            worker.finish(request.id, status, now);
            ((), Some(host.moved(request.pid)))
        });
    }

    /// Where a request is now, as it may have waited at first. `None`: it has ended.
    pub fn locate(&self, request: &Request) -> Option<Request> {
        self.with(|host, _| {
            let worker = host.workers.get(&request.pid);
            (worker.and_then(|worker| worker.request(request.id)), None)
        })
    }

    /// Every server that may get the next request of a client that is not sticky.
    pub fn eligible(&self, frontend: &str) -> Vec<Place> {
        self.with(|host, _| {
            let Some(worker) = host.current() else { return (Vec::new(), None) };
            let Some(frontend) = worker.setup.frontends.iter().find(|known| known.name == frontend) else {
                return (Vec::new(), None);
            };
            let mut places = Vec::new();
            for backend in worker.routes(&frontend.route) {
                let target = &worker.backends[backend];
                places.extend(target.usable().map(|server| worker.place((backend, server))));
            }
            (places, None)
        })
    }
}

impl Host {
    fn begin(&mut self, frontend: &str, client: Option<u64>, now: Instant) -> Result<Request, Refused> {
        if self.hung(now).is_some() {
            return Err(Refused::Hung);
        }
        let pid = self.current.ok_or(Refused::Down)?;
        let worker = self.workers.get_mut(&pid).ok_or(Refused::Down)?;
        let number =
            worker.setup.frontends.iter().position(|known| known.name == frontend).ok_or(Refused::NoFrontend)?;
        let route = worker.setup.frontends[number].route.clone();
        let backend = worker.route(&route, client, &self.jar, &mut self.dice).ok_or(Refused::Unavailable)?;
        let target = &worker.backends[backend];
        let cookie = target.setup.cookie.clone().zip(client);
        let value = cookie.as_ref().and_then(|(name, client)| self.jar.get(&(*client, name.clone())));
        let by_cookie = value
            .and_then(|value| target.servers.iter().position(|server| server.setup.cookie.as_ref() == Some(value)));
        let by_table = client.and_then(|client| target.table.get(&client)).filter(|stuck| stuck.until > now);
        let stuck = by_cookie.or(by_table.map(|stuck| stuck.server)).filter(|server| target.persists(*server));
        let refusing = self.apps.values().any(|app| app.refuses);
        let names: Vec<String> = if refusing {
            (0..target.servers.len()).map(|server| worker.entry((backend, server))).collect()
        } else {
            Vec::new()
        };
        let apps = &self.apps;
        let refuses = |server: usize| names.get(server).and_then(|name| apps.get(name)).is_some_and(|app| app.refuses);
        let id = self.next_stream;
        self.next_stream += 1;
        let new = NewStream { frontend: number, backend, client, stuck, refuses: &refuses };
        let state = worker.take(id, &new, now, &mut self.dice).ok_or(Refused::Unavailable)?;
        let queue_timeout = worker.backends[backend].setup.queue_timeout;
        match state {
            State::Queued | State::QueuedFor(_) => self.at(now + queue_timeout, Due::QueueTimeout(pid, id)),
            State::TurnAround { again, .. } => self.at(again, Due::Retry(pid, id)),
            State::Served(_) => {}
        }
        self.remember(pid, id, cookie, &route, now);
        self.workers.get(&pid).and_then(|worker| worker.request(id)).ok_or(Refused::Unavailable)
    }

    /// Keeps the cookies of the answer for the client, and its server in the stick table.
    fn remember(&mut self, pid: u32, id: u64, cookie: Option<(String, u64)>, route: &Route, now: Instant) {
        let Some(worker) = self.workers.get_mut(&pid) else { return };
        let Some(stream) = worker.streams.get(&id) else { return };
        let (backend, client, server) = (stream.backend, stream.client, stream.server());
        if let (Route::Pin { file, key, versions, .. }, Some(client)) = (route, client) {
            let name = &worker.backends[backend].setup.name;
            let version = versions.iter().find(|(backend, _)| backend == name).map(|(_, version)| version);
            let pinned = version.and_then(|version| worker.maps.get(&file.display().to_string())?.look_up(version));
            if let Some(release) = pinned {
                self.jar.insert((client, format!("release of {key}")), release.to_owned());
            }
        }
        let Some(server) = server else { return };
        if let Some((name, client)) = cookie
            && let Some(value) = &worker.backends[backend].servers[server].setup.cookie
        {
            self.jar.insert((client, name), value.clone());
        }
        if let Some(client) = client
            && let Some(expire) = worker.backends[backend].setup.stick
        {
            worker.backends[backend].table.insert(client, Stuck { server, until: now + expire });
        }
    }
}

impl Worker {
    /// The backend of a request.
    fn route(
        &self,
        route: &Route,
        client: Option<u64>,
        jar: &std::collections::BTreeMap<(u64, String), String>,
        dice: &mut Dice,
    ) -> Option<usize> {
        let default = |default: &Option<String>| default.as_deref().and_then(|name| self.backend(name));
        match route {
            Route::To(backend) => self.backend(backend),
            Route::Map { file, key, default: other } => {
                let live = self.look_up(file, key).and_then(|name| self.backend(name));
                live.or_else(|| default(other))
            }
            Route::Canary { file, key, default: other } => {
                let bucket = client.unwrap_or_else(|| dice.throw()) % 100;
                let share = self.look_up(file, &format!("{key}.share")).and_then(|share| share.parse::<u64>().ok());
                let trial = self.look_up(file, &format!("{key}.trial")).and_then(|name| self.backend(name));
                let trial = trial.filter(|_| bucket < share.unwrap_or(0));
                let live = || self.look_up(file, key).and_then(|name| self.backend(name));
                trial.or_else(live).or_else(|| default(other))
            }
            Route::Pin { file, key, default: other, .. } => {
                let had = client.and_then(|client| jar.get(&(client, format!("release of {key}"))));
                let kept = had.and_then(|had| self.look_up(file, &format!("{key}@{had}")));
                let kept = kept.and_then(|name| self.backend(name));
                let kept = kept.filter(|backend| self.backends[*backend].usable().next().is_some());
                let live = || self.look_up(file, key).and_then(|name| self.backend(name));
                kept.or_else(live).or_else(|| default(other))
            }
        }
    }

    /// Every backend that the next request may be routed to.
    fn routes(&self, route: &Route) -> Vec<usize> {
        let none = std::collections::BTreeMap::new();
        let mut all: Vec<usize> = Vec::new();
        let clients: &[u64] = if matches!(route, Route::Canary { .. }) { &[0, 99] } else { &[0] };
        for client in clients {
            all.extend(self.route(route, Some(*client), &none, &mut Dice::new(0)));
        }
        all.dedup();
        all
    }

    fn look_up(&self, file: &std::path::Path, key: &str) -> Option<&str> {
        self.maps.get(file.to_str()?)?.look_up(key)
    }

    fn request(&self, id: u64) -> Option<Request> {
        let stream = self.streams.get(&id)?;
        let backend = &self.backends[stream.backend];
        Some(Request {
            id,
            pid: self.pid,
            backend: backend.setup.name.clone(),
            server: stream.server().map(|server| backend.servers[server].setup.name.clone()),
            waits: !matches!(stream.state, State::Served(_)),
        })
    }
}
