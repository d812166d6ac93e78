//! Which server lines lead to the same application process, or to another port of the same machine that belongs to it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::site::Site;
use crate::farm::SeenServer;
use crate::haproxy::{AdminBits, BackendName, ServerRef};

/// The lines of one process, ordered by name.
pub(super) type Process = Vec<ServerRef>;

/// A fact about a line. Lines that share one belong together.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    /// The address and port where the process listens.
    At(IpAddr, u16),
    /// The name, the machine and the mode of the backend: an application often has a port for pages and another one for
    /// websockets. Backends of the modes `http` and `tcp` are of different applications.
    Named(String, IpAddr, bool),
    /// The address in haproxy.cfg, where HAProxy reports none: a UNIX socket, or a name without an address.
    Written(String),
    /// The line itself, for the lines that track it.
    Line(ServerRef),
}

/// Every process with a line in use. Lines that are not in use are in no process: spare slots often share an address.
pub(super) fn processes(site: &Site) -> Vec<Process> {
    let in_use = |name: &&ServerRef| site.seen.unused(name).is_none();
    let lines: Vec<&ServerRef> = site.seen.servers.keys().filter(in_use).collect();
    let mut sets = Sets((0..lines.len()).collect());
    let mut first_with: BTreeMap<Mark, usize> = BTreeMap::new();
    for (index, name) in lines.iter().enumerate() {
        let Some(line) = site.line(name) else { continue };
        for mark in marks(site, name, line) {
            let first = *first_with.entry(mark).or_insert(index);
            sets.join(first, index);
        }
    }
    let mut found: BTreeMap<usize, Process> = BTreeMap::new();
    for (index, name) in lines.iter().enumerate() {
        found.entry(sets.root(index)).or_default().push((*name).clone());
    }
    found.into_values().collect()
}

fn marks(site: &Site, name: &ServerRef, line: &SeenServer) -> Vec<Mark> {
    let address = line.address.parse::<IpAddr>().ok().map(|address| address.to_canonical());
    // A server at 0.0.0.0 gets each connection at the address that the client used.
    let address = address.filter(|address| !address.is_unspecified());
    let mut marks = vec![Mark::Line(name.clone())];
    if let Some(address) = address {
        if line.port > 0 {
            marks.push(Mark::At(address, line.port));
        }
        // On the machine of HAProxy itself, one name often stands for many applications.
        if !address.is_loopback() {
            marks.push(Mark::Named(name.server.to_string(), address, site.is_http(&name.backend)));
        }
    } else if let Some(written) = site.cfg_server(name) {
        marks.push(Mark::Written(written.address.clone()));
    }
    if let Some(tracked) = &line.tracked
        && site.line(tracked).is_some_and(|tracked| tracked.address == line.address)
    {
        marks.push(Mark::Line(tracked.clone()));
    }
    marks
}

/// Lines of `backup` servers that only stand in for a whole backend, such as one that answers "we are sorry": the
/// backend has two other servers at least, and the process is a backup everywhere.
pub(super) fn stands_in(site: &Site, process: &Process) -> bool {
    let is_backup = |name: &ServerRef| site.line(name).is_some_and(|line| line.backup);
    let others = |backend: &BackendName| {
        let lines = site.seen.servers.in_backend(backend);
        lines.filter(|(name, line)| !line.backup && site.seen.unused(name).is_none()).count()
    };
    process.iter().all(|name| is_backup(name) && others(&name.backend) >= 2)
}

/// Whether a line is a slot that waits for a server: `disabled` in haproxy.cfg, or without an address.
pub(super) fn is_slot(site: &Site, name: &ServerRef) -> bool {
    let slot = AdminBits::CONFIG_MAINT | AdminBits::RESOLUTION_MAINT;
    site.line(name).is_some_and(|line| line.admin.0 & slot != 0 && site.seen.unused(name).is_some())
}

/// Disjoint sets of numbers.
struct Sets(Vec<usize>);

impl Sets {
    fn root(&mut self, mut of: usize) -> usize {
        while self.0[of] != of {
            self.0[of] = self.0[self.0[of]];
            of = self.0[of];
        }
        of
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.root(one), self.root(other));
        self.0[one.max(other)] = one.min(other);
    }
}
