//! How a command names servers: by selectors, or by the address of a machine.

use clap::Args;

use crate::farm::{Host, InstanceName, Selector};

/// Servers, at least one.
#[derive(Debug, Args)]
pub(in crate::cli) struct Servers {
    /// Which servers: BACKEND/SERVER or SERVER, with shell globs, and HAPROXY: before it for one HAProxy only; farm:FARM,
    /// farm:FARM/GROUP or host:ADDRESS.
    #[arg(value_name = "SEL", required_unless_present = "hosts")]
    selectors: Vec<Selector>,
    /// Every server with this address, or with a port that one; the same as host:ADDRESS.
    #[arg(long = "host", value_name = "ADDRESS")]
    hosts: Vec<Host>,
}

/// Servers, at least one, unless the command is about a HAProxy.
#[derive(Debug, Args)]
pub(in crate::cli) struct Waited {
    /// Which servers: BACKEND/SERVER or SERVER, with shell globs, and HAPROXY: before it for one HAProxy only; farm:FARM,
    /// farm:FARM/GROUP or host:ADDRESS.
    #[arg(value_name = "SEL", required_unless_present_any = ["hosts", "haproxy"])]
    selectors: Vec<Selector>,
    /// Every server with this address, or with a port that one; the same as host:ADDRESS.
    #[arg(long = "host", value_name = "ADDRESS")]
    hosts: Vec<Host>,
    /// Instead of servers: until this HAProxy answers and has been told all that is stored.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["selectors", "hosts", "until"])]
    pub(in crate::cli) haproxy: Option<InstanceName>,
}

/// Servers; all where none is named.
#[derive(Debug, Args)]
pub(in crate::cli) struct AnyServers {
    /// Which servers: BACKEND/SERVER or SERVER, with shell globs, and HAPROXY: before it for one HAProxy only; farm:FARM,
    /// farm:FARM/GROUP or host:ADDRESS. All where none is given.
    #[arg(value_name = "SEL")]
    selectors: Vec<Selector>,
    /// Every server with this address, or with a port that one; the same as host:ADDRESS.
    #[arg(long = "host", value_name = "ADDRESS")]
    hosts: Vec<Host>,
}

impl Servers {
    /// All of them, as selectors.
    pub(in crate::cli) fn all(&self) -> Vec<Selector> {
        all(&self.selectors, &self.hosts)
    }
}

impl Waited {
    /// All of them, as selectors.
    pub(in crate::cli) fn all(&self) -> Vec<Selector> {
        all(&self.selectors, &self.hosts)
    }
}

impl AnyServers {
    /// All of them, as selectors.
    pub(in crate::cli) fn all(&self) -> Vec<Selector> {
        all(&self.selectors, &self.hosts)
    }
}

fn all(selectors: &[Selector], hosts: &[Host]) -> Vec<Selector> {
    selectors.iter().cloned().chain(hosts.iter().copied().map(Selector::from)).collect()
}
