//! The ways of flipping a farm that are compared, and the two halves it has. Nothing here runs anything.

use clap::ValueEnum;

/// One way of turning the traffic from one half of a farm to the other.
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
    /// `teeter flip` that turns one key of a map.
    TeeterRoute,
}

impl Way {
    /// Those that are measured unless told otherwise.
    pub(crate) const USUAL: [Self; 6] =
        [Self::Reload, Self::Socat, Self::AnsibleOrder, Self::Dataplane, Self::TeeterServers, Self::TeeterRoute];

    /// What a reader calls it.
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

    /// What exactly was done, in a sentence for below the table.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Reload => {
                "haproxy.cfg is rewritten, with `disabled` at the servers that go out, and the master gets SIGUSR2; \
                 the flip is over when the new worker answers on the stats socket. One change and one reload, \
                 without the check of the file that `systemctl reload` makes first. With short requests, as here, \
                 the old worker has accepted its last before the new one answers its first, so the versions do not \
                 mix. The price: connections closed under a request (resent), waits, and the loss of every state \
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
                "the commands of the Data Plane API for a PUT of the `admin_state` of each server: look, change, look \
                 again, every command on a connection of its own. Sent by this program, without the HTTP in front."
            }
            Self::TeeterServers => "`teeter flip web GROUP`, process included; `[farm.web.flip]` has mode \"servers\".",
            Self::TeeterRoute => "`teeter flip web GROUP`, process included; `[farm.web.flip]` has a route.",
        }
    }

    /// Is it teeter?
    pub(crate) fn is_teeter(self) -> bool {
        matches!(self, Self::TeeterServers | Self::TeeterRoute)
    }
}

/// A half of the farm, with a version for life: an answer's version tells which half gave it.
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

    /// As teeter's configuration calls the group.
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
