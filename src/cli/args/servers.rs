//! The arguments that name servers: selectors, or the address of a machine.

use clap::Args;
use clap_complete::ArgValueCompleter;

use crate::cli::complete;
use crate::farm::{Host, InstanceName, Selector};

/// Servers, at least one.
#[derive(Debug, Args)]
pub(in crate::cli) struct Servers {
    /// Servers: BACKEND/SERVER or SERVER, with shell globs, and with HAPROXY: in front for one HAProxy only; farm:FARM,
    /// farm:FARM/GROUP or host:ADDRESS.
    #[arg(value_name = "SEL", add = ArgValueCompleter::new(complete::servers), required_unless_present = "hosts")]
    selectors: Vec<Selector>,
    /// All servers with this address and, if given, port; the same as host:ADDRESS.
    #[arg(long = "host", value_name = "ADDRESS")]
    hosts: Vec<Host>,
}

/// Servers, at least one, unless the command is about a HAProxy.
#[derive(Debug, Args)]
pub(in crate::cli) struct Waited {
    /// Servers: BACKEND/SERVER or SERVER, with shell globs, and with HAPROXY: in front for one HAProxy only; farm:FARM,
    /// farm:FARM/GROUP or host:ADDRESS.
    #[arg(
        value_name = "SEL",
        add = ArgValueCompleter::new(complete::servers),
        required_unless_present_any = ["hosts", "haproxy"]
    )]
    selectors: Vec<Selector>,
    /// All servers with this address and, if given, port; the same as host:ADDRESS.
    #[arg(long = "host", value_name = "ADDRESS")]
    hosts: Vec<Host>,
    /// Instead of servers: wait until this HAProxy answers and agrees with the stored state.
    #[arg(
        long,
        value_name = "NAME",
        add = ArgValueCompleter::new(complete::haproxys),
        conflicts_with_all = ["selectors", "hosts", "until"]
    )]
    pub(in crate::cli) haproxy: Option<InstanceName>,
}

/// Servers; all if none is named.
#[derive(Debug, Args)]
pub(in crate::cli) struct AnyServers {
    /// Servers: BACKEND/SERVER or SERVER, with shell globs, and with HAPROXY: in front for one HAProxy only; farm:FARM,
    /// farm:FARM/GROUP or host:ADDRESS. All servers if none is given.
    #[arg(value_name = "SEL", add = ArgValueCompleter::new(complete::servers))]
    selectors: Vec<Selector>,
    /// All servers with this address and, if given, port; the same as host:ADDRESS.
    #[arg(long = "host", value_name = "ADDRESS")]
    hosts: Vec<Host>,
}

impl Servers {
    /// Selectors and hosts, as selectors.
    pub(in crate::cli) fn all(&self) -> Vec<Selector> {
        all(&self.selectors, &self.hosts)
    }
}

impl Waited {
    /// Selectors and hosts, as selectors.
    pub(in crate::cli) fn all(&self) -> Vec<Selector> {
        all(&self.selectors, &self.hosts)
    }
}

impl AnyServers {
    /// Selectors and hosts, as selectors.
    pub(in crate::cli) fn all(&self) -> Vec<Selector> {
        all(&self.selectors, &self.hosts)
    }
}

fn all(selectors: &[Selector], hosts: &[Host]) -> Vec<Selector> {
    selectors.iter().cloned().chain(hosts.iter().copied().map(Selector::from)).collect()
}
