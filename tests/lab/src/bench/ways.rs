//! The ways to flip that are compared, and the two halves of the farm.

use clap::ValueEnum;

/// One way to switch the traffic from one half of a farm to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Way {
    /// The configuration rewritten, and HAProxy reloaded.
    Reload,
    /// A shell script with a socat process for each command.
    Socat,
    /// The commands of Ansible's haproxy module in its order, without its processes.
    AnsibleOrder,
    /// ansible-playbook with the real module: only where `--ansible` names one.
    Ansible,
    /// The commands of the Data Plane API in its order, without its HTTP.
    Dataplane,
    /// `teeter flip` that changes the states of servers.
    TeeterServers,
    /// `teeter flip` that switches one key of a map.
    TeeterRoute,
}

impl Way {
    /// The ways that are measured by default.
    pub(crate) const USUAL: [Self; 6] =
        [Self::Reload, Self::Socat, Self::AnsibleOrder, Self::Dataplane, Self::TeeterServers, Self::TeeterRoute];

    /// Its name in the report.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Reload => "sed + reload",
            Self::Socat => "socat per server",
            Self::AnsibleOrder => "Ansible order",
            Self::Ansible => "Ansible module",
            Self::Dataplane => "Data Plane API order",
            Self::TeeterServers => "teeter servers",
            Self::TeeterRoute => "teeter route",
        }
    }

    /// The exact method, for the text below the table.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Reload => {
                "haproxy.cfg is rewritten, with `disabled` at the servers that go out, and the master gets SIGUSR2; \
                 the flip has ended when the new worker answers on the stats socket. One change and one reload, \
                 without the check of the file that `systemctl reload` makes first. With short requests, as here, \
                 the old worker has accepted its last request before the new one answers its first, so the versions do \
                 not mix. The price: connections closed under a request (resent), waits, and the loss of every state \
                 that was set at run time."
            }
            Self::Socat => {
                "one shell script: a line `echo \"set server … state ready\" | socat stdio …` for each server that \
                 comes in, then a line with `drain` for each that goes out."
            }
            Self::AnsibleOrder => {
                "the commands of community.general.haproxy for `state: enabled` on each server that comes in, then \
                 `state: drain` on each that goes out, every command on a connection of its own. Sent by this program \
                 and not by Ansible, without the start of a process for each server: the real module is slower."
            }
            Self::Ansible => {
                "ansible-playbook with the real community.general.haproxy: a task that loops over the servers that \
                 come in, `state: enabled`, then one over those that go out, `state: drain`. Its \
                 processes share the cores with the load."
            }
            Self::Dataplane => {
                "the commands of the Data Plane API for a PUT of the `admin_state` of each server: read, change, read \
                 again, every command on a connection of its own. Sent by this program, without the HTTP in front."
            }
            Self::TeeterServers => "`teeter flip web GROUP`, process included; `[farm.web.flip]` has mode \"servers\".",
            Self::TeeterRoute => "`teeter flip web GROUP`, process included; `[farm.web.flip]` has a route.",
        }
    }

    /// Whether it uses teeter.
    pub(crate) fn is_teeter(self) -> bool {
        matches!(self, Self::TeeterServers | Self::TeeterRoute)
    }
}

/// A half of the farm. Each half always runs the same version, so that an answer shows its half.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Half {
    A,
    B,
}

impl Half {
    /// The half that goes out when this one comes in.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// The name of the group in teeter's configuration.
    pub(crate) fn group(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }

    pub(crate) fn version(self) -> &'static str {
        match self {
            Self::A => "v1",
            Self::B => "v2",
        }
    }

    pub(crate) fn servers(self) -> [&'static str; 2] {
        match self {
            Self::A => ["web01", "web02"],
            Self::B => ["web03", "web04"],
        }
    }
}
