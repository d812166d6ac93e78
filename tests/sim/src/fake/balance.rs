//! Balancing: the choice of a server of the backend for a request.

use teeter_lab::Dice;

use super::server::Op;
use super::setup::Balance;
use super::worker::Backend;

/// The result of balancing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    Server(usize),
    /// The request waits for this server and no other.
    QueueOf(usize),
    /// The request waits for the first server that has room.
    Queue,
    /// There is no server for it.
    Nowhere,
}

impl Backend {
    /// The servers that may get a request of a client that is not sticky. The first backup is one of them if no other
    /// server is usable.
    pub(super) fn usable(&self) -> impl Iterator<Item = usize> {
        let usable = |backup: bool| {
            let servers = self.servers.iter().enumerate().filter(|_| !self.setup.disabled);
            servers.filter(move |(_, server)| server.is_usable() && server.setup.backup == backup).map(|(at, _)| at)
        };
        let backups = if usable(false).next().is_none() { 1 } else { 0 };
        usable(false).chain(usable(true).take(backups))
    }

    /// Whether a server serves its sticky clients. It does so in drain, too.
    pub(super) fn persists(&self, server: usize) -> bool {
        self.servers.get(server).is_some_and(|server| server.op != Op::Stopped)
    }

    pub(super) fn choose(&mut self, stuck: Option<usize>, client: Option<u64>, dice: &mut Dice) -> Choice {
        if let Some(server) = stuck.filter(|server| self.persists(*server)) {
            let line = &self.servers[server];
            return if line.is_full() || !line.queue.is_empty() {
                Choice::QueueOf(server)
            } else {
                Choice::Server(server)
            };
        }
        let usable: Vec<usize> = self.usable().collect();
        if usable.is_empty() {
            return Choice::Nowhere;
        }
        if self.setup.balance == Balance::Source {
            let at = usable[usize::try_from(client.unwrap_or_else(|| dice.throw())).unwrap_or(0) % usable.len()];
            return if self.servers[at].is_full() { Choice::QueueOf(at) } else { Choice::Server(at) };
        }
        let room: Vec<usize> = usable.into_iter().filter(|server| !self.servers[*server].is_full()).collect();
        let chosen = match self.setup.balance {
            Balance::RoundRobin | Balance::StaticRr => self.take_turns(&room),
            Balance::First => room.first().copied(),
            Balance::LeastConn => room.iter().copied().min_by_key(|at| {
                let server = &self.servers[*at];
                (server.counters.scur * 1000 / u64::from(server.weight.max(1)), server.counters.lbtot)
            }),
            Balance::Random | Balance::Source => {
                let total: u64 = room.iter().map(|at| u64::from(self.servers[*at].weight)).sum();
                let mut left = if total == 0 { 0 } else { dice.within(0..total) };
                room.iter().copied().find(|at| {
                    let weight = u64::from(self.servers[*at].weight);
                    let here = left < weight;
                    left = left.saturating_sub(weight);
                    here
                })
            }
        };
        chosen.map_or(Choice::Queue, Choice::Server)
    }

    /// Round robin by weight: the server that is furthest behind its share is next.
    fn take_turns(&mut self, room: &[usize]) -> Option<usize> {
        let total: i64 = room.iter().map(|at| i64::from(self.servers[*at].weight)).sum();
        for at in room {
            let server = &mut self.servers[*at];
            server.turn += i64::from(server.weight);
        }
        let next = room.iter().copied().max_by_key(|at| (self.servers[*at].turn, std::cmp::Reverse(*at)))?;
        self.servers[next].turn -= total;
        Some(next)
    }
}
