//! Why something waits. Every wait has one of these reasons; the command line, the API and the log print the same text.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::farm::{Entry, GroupName, InstanceName, MemberName};

/// Why a hold or a run does not go on yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "for")]
pub enum Wait {
    /// HAProxy has not confirmed the change yet.
    Confirmation {
        /// The HAProxy instances that have not confirmed it.
        instances: Vec<InstanceName>,
        /// The error of the last attempt, if it failed.
        trouble: Option<String>,
    },
    /// Requests are in flight.
    InFlight {
        /// The number on each member.
        requests: BTreeMap<MemberName, u64>,
        /// When the deadline passes.
        until: Timestamp,
    },
    /// Nothing was in flight in the last sample; another sample must agree.
    SecondSample {
        /// The earliest time of that sample; `None` where no connection was being retried.
        not_before: Option<Timestamp>,
    },
    /// Nothing is in flight, but HAProxy keeps connections open for the next request.
    Idle {
        /// The number to each member.
        connections: BTreeMap<MemberName, u64>,
        /// When the deadline passes.
        until: Timestamp,
    },
    /// Nothing is in flight, but sticky clients may go on until the grace ends.
    StickyClients {
        /// When the grace ends.
        until: Timestamp,
    },
    /// The caller's work.
    Work {
        /// The group that is worked on.
        group: GroupName,
        /// When the caller left that had begun it; `None` while it is there, or if there never was one.
        #[serde(default)]
        gone: Option<Timestamp>,
    },
    /// An operator has paused the run.
    Paused,
    /// The caller has been asked to stop working, and has not stopped yet.
    Caller {
        /// When the time to stop is over.
        until: Timestamp,
    },
    /// The caller has not stopped in time: the servers that it works on stay out until its process has ended.
    CallerStays {
        /// The caller, in words.
        caller: String,
    },
    /// Servers have been asked and have not answered yet.
    Asking {
        /// The members that have not answered.
        members: Vec<MemberName>,
        /// When the deadline passes.
        until: Timestamp,
    },
    /// Servers do not answer the probe as they should.
    Probes {
        /// The last answer of each.
        members: BTreeMap<MemberName, String>,
        /// When the deadline passes.
        until: Timestamp,
    },
    /// The answers of servers are not fast enough yet.
    WarmUp {
        /// How far each has come.
        members: BTreeMap<MemberName, String>,
        /// When the deadline passes.
        until: Timestamp,
    },
    /// HAProxy's checks have not passed yet.
    Checks {
        /// HAProxy's word for each server's status.
        entries: BTreeMap<Entry, String>,
        /// When the deadline passes.
        until: Timestamp,
    },
    /// Servers are released but not up.
    Up {
        /// HAProxy's word for each server's status.
        entries: BTreeMap<Entry, String>,
        /// When the deadline passes.
        until: Timestamp,
    },
    /// Servers were set to less than the hold wants, outside teeter, and the configuration says to leave them so.
    Overruled {
        /// The state that was set on each line.
        entries: BTreeMap<Entry, String>,
        /// When the deadline passes.
        until: Timestamp,
    },
    /// Too few members would be left in service.
    Others {
        /// Members that would be left.
        left: usize,
        /// Members that must be left.
        needed: usize,
        /// When the deadline passes.
        until: Timestamp,
    },
    /// A backend would be left without a server.
    LastServer {
        /// The HAProxy and the backend, as `edge:app`.
        backend: String,
        /// When the deadline passes.
        until: Timestamp,
    },
    /// The servers get time to settle after the work.
    Settling {
        /// When that time is over.
        until: Timestamp,
    },
    /// The side that has just got the traffic is watched.
    Baking {
        /// Requests that it has got so far.
        requests: u64,
        /// The comparison so far, in words; `None` if nothing is compared.
        #[serde(default)]
        so_far: Option<String>,
        /// When the watch is over.
        until: Timestamp,
    },
    /// The time of a watch is over without a verdict.
    Verdict {
        /// The comparison so far, and what is missing.
        missing: String,
        /// When the run stops waiting for a verdict; `None` if it waits for an operator.
        until: Option<Timestamp>,
    },
    /// A hold has expired, and its servers cannot be verified while HAProxy does not answer.
    Answer {
        /// The HAProxy instances that do not answer.
        instances: Vec<InstanceName>,
        /// The error of the last attempt.
        trouble: Option<String>,
    },
    /// The run waits for one of its holds.
    Hold,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Confirmation { instances, trouble } => {
                write!(f, "waiting for HAProxy {} to confirm", list(instances))?;
                trouble.iter().try_for_each(|trouble| write!(f, ": {trouble}"))
            }
            Self::Answer { instances, trouble } => {
                write!(f, "expired, waiting for HAProxy {} to answer", list(instances))?;
                trouble.iter().try_for_each(|trouble| write!(f, ": {trouble}"))
            }
            Self::InFlight { requests, .. } => {
                let total: u64 = requests.values().sum();
                write!(f, "{total} in flight ({})", pairs(requests))
            }
            Self::SecondSample { not_before: None } => f.write_str("nothing in flight, looking again"),
            Self::SecondSample { not_before: Some(_) } => {
                f.write_str("nothing in flight, but connections were retried: looking again after the time of a retry")
            }
            Self::Idle { connections, .. } => {
                write!(f, "nothing in flight, waiting until HAProxy closes idle connections ({})", pairs(connections))
            }
            Self::StickyClients { .. } => {
                f.write_str("nothing in flight, sticky clients may go on until the grace ends")
            }
            Self::Work { group, gone: None } => write!(f, "waiting for the work on group {group}"),
            Self::Work { group, gone: Some(_) } => {
                write!(f, "waiting for the work on group {group}; the caller has gone")
            }
            Self::Paused => f.write_str("paused until `teeter continue`"),
            Self::Caller { .. } => f.write_str("waiting until the caller has stopped working"),
            Self::CallerStays { caller } => {
                write!(f, "its caller has not stopped working, and what the run holds stays out until it has: {caller}")
            }
            Self::Asking { members, .. } => write!(f, "asking {}", list(members)),
            Self::Probes { members, .. } => write!(f, "not healthy yet: {}", pairs(members)),
            Self::WarmUp { members, .. } => write!(f, "warming up: {}", pairs(members)),
            Self::Checks { entries, .. } => write!(f, "HAProxy's checks have not passed yet: {}", pairs(entries)),
            Self::Up { entries, .. } => write!(f, "not up yet: {}", pairs(entries)),
            Self::Overruled { entries, .. } => write!(f, "overridden outside teeter: {}", pairs(entries)),
            Self::Others { left, needed, .. } => {
                write!(f, "only {left} members would be left in service, and {needed} are needed")
            }
            Self::LastServer { backend, .. } => {
                write!(f, "it has the last server of backend {backend} that is up, and goes out once another one is")
            }
            Self::Settling { .. } => f.write_str("letting it settle"),
            Self::Baking { requests, so_far: None, .. } => write!(f, "watching, {requests} requests so far"),
            Self::Baking { so_far: Some(so_far), .. } => write!(f, "watching: {so_far}"),
            Self::Verdict { missing, .. } => write!(f, "no verdict yet: {missing}"),
            Self::Hold => f.write_str("waiting for the servers to settle"),
        }
    }
}

impl Wait {
    /// The longest remaining time in seconds, if it is known.
    pub fn within_s(&self, now: Timestamp) -> Option<u64> {
        self.until().map(|until| u64::try_from(until.duration_since(now).as_secs()).unwrap_or_default())
    }

    /// When the wait ends at the latest, if that is known.
    pub fn until(&self) -> Option<Timestamp> {
        match self {
            Self::InFlight { until, .. }
            | Self::Idle { until, .. }
            | Self::StickyClients { until }
            | Self::Asking { until, .. }
            | Self::Probes { until, .. }
            | Self::WarmUp { until, .. }
            | Self::Checks { until, .. }
            | Self::Up { until, .. }
            | Self::Others { until, .. }
            | Self::LastServer { until, .. }
            | Self::Settling { until }
            | Self::Caller { until }
            | Self::Baking { until, .. }
            | Self::Overruled { until, .. } => Some(*until),
            Self::SecondSample { not_before } => *not_before,
            Self::Verdict { until, .. } => *until,
            _ => None,
        }
    }
}

fn list(items: &[impl fmt::Display]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn pairs(map: &BTreeMap<impl fmt::Display, impl fmt::Display>) -> String {
    map.iter().map(|(key, value)| format!("{key} {value}")).collect::<Vec<_>>().join(", ")
}
