//! Requests in a process: where they go, how they wait, and how they end.

use teeter_lab::Dice;
use tokio::time::Instant;

use super::balance::Choice;
use super::server::Op;
use super::setup::{BackendSetup, Series};
use super::worker::{At, Worker};

/// A request in a process.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    pub(super) frontend: usize,
    pub(super) backend: usize,
    pub(super) client: Option<u64>,
    pub(super) begun: Instant,
    pub(super) state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// In the queue of its backend.
    Queued,
    /// In the queue of one server.
    QueuedFor(usize),
    /// In the second between a refused connection and its retry. No counter of the server has it then.
    TurnAround { server: usize, again: Instant, tries: u32 },
    /// Served.
    Served(usize),
}

impl Stream {
    pub(super) fn server(&self) -> Option<usize> {
        match self.state {
            State::Queued => None,
            State::QueuedFor(server) | State::TurnAround { server, .. } | State::Served(server) => Some(server),
        }
    }
}

/// A new request.
pub(super) struct NewStream<'a> {
    pub(super) frontend: usize,
    pub(super) backend: usize,
    pub(super) client: Option<u64>,
    pub(super) stuck: Option<usize>,
    /// Whether a server refuses connections.
    pub(super) refuses: &'a dyn Fn(usize) -> bool,
}

impl Worker {
    /// Accepts a request. `None`: it is answered with 503.
    pub(super) fn take(&mut self, id: u64, new: &NewStream<'_>, now: Instant, dice: &mut Dice) -> Option<State> {
        let NewStream { frontend, backend, client, stuck, refuses } = *new;
        let target = &mut self.backends[backend];
        target.counters.stot += 1;
        let choice = target.choose(stuck, client, dice);
        let state = match choice {
            Choice::Server(server) if refuses(server) => {
                let counters = &mut self.server_mut((backend, server)).counters;
                counters.wretr += 1;
                counters.lbtot += 1;
                State::TurnAround { server, again: now + TURN_AROUND, tries: 1 }
            }
            Choice::Server(server) => State::Served(server),
            Choice::QueueOf(server) => State::QueuedFor(server),
            Choice::Queue => State::Queued,
            Choice::Nowhere => {
                target.counters.responses[4] += 1;
                return None;
            }
        };
        let counters = &mut self.backends[backend].counters;
        counters.scur += 1;
        counters.smax = counters.smax.max(counters.scur);
        counters.lbtot += 1;
        self.requests += 1;
        self.streams.insert(id, Stream { frontend, backend, client, begun: now, state });
        match state {
            State::Served(server) => self.occupy((backend, server), stuck != Some(server)),
            State::QueuedFor(server) => {
                let server = self.server_mut((backend, server));
                server.queue.push_back(id);
                server.counters.qmax = server.counters.qmax.max(server.queue.len() as u64);
            }
            State::Queued => {
                let backend = &mut self.backends[backend];
                backend.queue.push_back(id);
                backend.counters.qmax = backend.counters.qmax.max(backend.queue.len() as u64);
            }
            State::TurnAround { .. } => {}
        }
        Some(state)
    }

    fn occupy(&mut self, at: At, balanced: bool) {
        let counters = &mut self.server_mut(at).counters;
        counters.scur += 1;
        counters.smax = counters.smax.max(counters.scur);
        counters.stot += 1;
        counters.lbtot += u64::from(balanced);
    }

    /// Ends a request with a status, or without one, as when it is cut off.
    pub(super) fn finish(&mut self, id: u64, status: Option<u16>, now: Instant) {
        let Some(stream) = self.streams.remove(&id) else { return };
        let took = u64::try_from(now.duration_since(stream.begun).as_millis()).unwrap_or(u64::MAX);
        let backend = &mut self.backends[stream.backend];
        backend.counters.scur = backend.counters.scur.saturating_sub(1);
        backend.queue.retain(|queued| *queued != id);
        let class = status.map(|status| usize::from(status / 100).clamp(1, 5) - 1);
        if let Some(class) = class {
            backend.counters.responses[class] += 1;
        }
        let Some(server) = stream.server() else { return };
        let at = (stream.backend, server);
        let line = self.server_mut(at);
        line.queue.retain(|queued| *queued != id);
        if stream.state == State::Served(server) {
            line.counters.scur = line.counters.scur.saturating_sub(1);
            if let Some(class) = class {
                line.counters.responses[class] += 1;
                let (average, count) = line.counters.rtime;
                let count = (count + 1).min(1024);
                line.counters.rtime = ((average * (count - 1) + took) / count, count);
            }
            self.work_off(at, now);
        }
    }

    /// Gives the free places of a server to waiting requests: those that wait for it and, if it is usable, for any
    /// server.
    pub(super) fn work_off(&mut self, at: At, now: Instant) {
        let _ = now;
        loop {
            let server = self.server(at);
            if server.is_full() {
                return;
            }
            let usable = server.is_usable();
            let own = server.queue.front().copied();
            let any = self.backends[at.0].queue.front().copied().filter(|_| usable);
            // The oldest request is first.
            let id = match (own, any) {
                (Some(own), Some(any)) => own.min(any),
                (Some(id), None) | (None, Some(id)) => id,
                (None, None) => return,
            };
            self.server_mut(at).queue.retain(|queued| *queued != id);
            self.backends[at.0].queue.retain(|queued| *queued != id);
            if let Some(stream) = self.streams.get_mut(&id) {
                stream.state = State::Served(at.1);
                self.occupy(at, true);
            }
        }
    }

    /// Handles the queue of a server that is taken out.
    pub(super) fn redistribute(&mut self, at: At, now: Instant) {
        let redispatch = self.backends[at.0].setup.redispatch;
        let queue: Vec<u64> = self.server(at).queue.iter().copied().collect();
        if queue.is_empty() {
            return;
        }
        let gone = self.server(at).op == Op::Stopped;
        match (self.setup.series >= Series::V3_0, redispatch) {
            // They go to the same server, beyond its limit, even in maintenance.
            (true, true) => {
                self.server_mut(at).queue.clear();
                for id in queue {
                    if let Some(stream) = self.streams.get_mut(&id) {
                        stream.state = State::Served(at.1);
                        self.occupy(at, true);
                    }
                }
            }
            (true, false) if !gone => {}
            (false, false) => {}
            (true, false) | (false, true) => {
                self.server_mut(at).queue.clear();
                for id in queue {
                    if let Some(stream) = self.streams.get_mut(&id) {
                        stream.state = State::Queued;
                        self.backends[at.0].queue.push_back(id);
                    }
                }
                for server in self.backends[at.0].usable().collect::<Vec<_>>() {
                    self.work_off((at.0, server), now);
                }
            }
        }
    }

    /// Retries a refused connection on the same server, whatever its state is. With `option redispatch`, the last
    /// retry may go to another server. Gives the time of the next retry.
    pub(super) fn retry(
        &mut self,
        id: u64,
        now: Instant,
        dice: &mut Dice,
        refuses: &dyn Fn(At) -> bool,
    ) -> Option<Instant> {
        let stream = self.streams.get(&id)?.clone();
        let State::TurnAround { server, tries, .. } = stream.state else { return None };
        let BackendSetup { retries, redispatch, .. } = self.backends[stream.backend].setup;
        let mut server = server;
        if redispatch
            && tries >= retries
            && let Choice::Server(other) = self.backends[stream.backend].choose(None, stream.client, dice)
        {
            self.server_mut((stream.backend, server)).counters.wredis += 1;
            server = other;
        }
        let at = (stream.backend, server);
        let state = if !refuses(at) {
            self.occupy(at, false);
            State::Served(server)
        } else if tries >= retries {
            self.server_mut(at).counters.econ += 1;
            self.server_mut(at).counters.responses[4] += 1;
            self.finish(id, Some(503), now);
            return None;
        } else {
            self.server_mut(at).counters.wretr += 1;
            State::TurnAround { server, again: now + TURN_AROUND, tries: tries + 1 }
        };
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.state = state;
        }
        matches!(state, State::TurnAround { .. }).then_some(now + TURN_AROUND)
    }

    /// The requests that a server has, or that wait for it.
    pub(super) fn on(&self, at: At) -> Vec<u64> {
        let here = |stream: &Stream| stream.backend == at.0 && stream.server() == Some(at.1);
        self.streams.iter().filter(|(_, stream)| here(stream)).map(|(id, _)| *id).collect()
    }

    pub(super) fn kill_streams(&mut self, at: At, now: Instant) {
        let served =
            |worker: &Self, id| worker.streams.get(&id).is_some_and(|stream| stream.state == State::Served(at.1));
        for id in self.on(at).into_iter().filter(|id| served(self, *id)).collect::<Vec<_>>() {
            self.finish(id, None, now);
        }
    }
}

/// The time between a refused connection and its retry.
pub(super) const TURN_AROUND: std::time::Duration = std::time::Duration::from_secs(1);
