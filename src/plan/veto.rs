//! Vetoes: why something must not be begun, in words.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::farm::{FarmName, GroupName, MemberName, RunId, Side};

/// A reason why something must not be begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "veto")]
pub enum Veto {
    /// A backend would be left without a server that takes traffic.
    LastServers {
        /// The HAProxy and the backend, as `edge:app`.
        backend: String,
        /// The backend's servers that would be taken out.
        taken: Vec<String>,
    },
    /// Fewer members would be in service than the farm must have.
    MinAvailable {
        /// The farm's name.
        farm: FarmName,
        /// Members that would be left in service.
        left: usize,
        /// Members that must be in service.
        needed: usize,
        /// The setting `min_available` as configured.
        setting: String,
    },
    /// Fewer members would be in service than the request asks to keep, counting all that are out already.
    AllButMin {
        /// The farm's name.
        farm: FarmName,
        /// Members that would be left in service.
        left: usize,
        /// Members that must be in service.
        needed: usize,
        /// The setting `min_available` as configured.
        setting: String,
        /// Members in service that could go now.
        may_go: usize,
    },
    /// A minimum is to be kept, but the farm does not fit HAProxy, so its members in service cannot be counted.
    Uncounted {
        /// What does not fit.
        problem: String,
    },
    /// A process would be worked on while it gets requests through another line.
    SameProcess {
        /// What was found, a sentence for each process.
        found: Vec<String>,
        /// What to write into the farm's table.
        write: String,
    },
    /// teeter is configured to send servers requests, and cannot reach them.
    NoPath {
        /// The members that cannot be asked.
        members: Vec<MemberName>,
        /// The configuration key that cannot work.
        key: String,
    },
    /// Another user or run holds members already.
    Held {
        /// The hold's owner.
        owner: String,
        /// The members that are held.
        members: Vec<MemberName>,
        /// The hold's reason.
        reason: String,
    },
    /// An operator's hold is about to end, and its servers are on their way back.
    ComingBack {
        /// The operator.
        owner: String,
        /// The members on their way back.
        members: Vec<MemberName>,
    },
    /// The farm is being deployed to.
    Running {
        /// The run's number.
        run: RunId,
        /// What it does, as the end of a sentence.
        status: String,
    },
    /// The farm does not have the groups that the strategy needs.
    Groups {
        /// The farm's groups.
        found: Vec<GroupName>,
    },
    /// No member of a group can be worked on.
    NothingLeft {
        /// The group.
        group: GroupName,
        /// Why its members are skipped.
        why: String,
    },
    /// The farm has no group of this name.
    NoSuchGroup {
        /// The side that was asked for.
        asked: Side,
        /// The farm's groups.
        found: Vec<GroupName>,
    },
    /// The farm's route cannot be switched to all.
    NoBackendForAll,
    /// Only one side of the farm gets the traffic.
    OneSideLive {
        /// The farm's name.
        farm: FarmName,
        /// That side.
        live: Side,
    },
    /// A flip has left groups on standby.
    OnStandby {
        /// The farm's name.
        farm: FarmName,
        /// The groups on standby.
        groups: Vec<GroupName>,
    },
    /// The farm's route does not fit HAProxy.
    Route {
        /// What is wrong, with what to do.
        problem: String,
    },
    /// A batch is larger than the farm.
    Batch {
        /// The size of a batch.
        size: usize,
        /// The members of the farm.
        members: usize,
    },
    /// No member is in service.
    NoneInService {
        /// The farm's name.
        farm: FarmName,
    },
    /// Every group of the farm gets traffic.
    NoneIdle {
        /// The farm's name.
        farm: FarmName,
        /// Its groups.
        groups: Vec<GroupName>,
    },
    /// A server that is to come back runs another version than those in service.
    OtherVersion {
        /// The member that is to come back.
        member: MemberName,
        /// The version that it runs.
        version: String,
        /// The versions of the members in service.
        serving: Vec<String>,
    },
    /// A share of the traffic cannot be given.
    Share {
        /// Why, with what to do.
        problem: String,
    },
    /// A watch after a flip could never see anything.
    Watch {
        /// Why, with what to do.
        problem: String,
    },
    /// No member tells its version, so the new version could not be verified.
    VersionUntold {
        /// The farm's name.
        farm: FarmName,
        /// The version to deploy.
        version: String,
    },
    /// No member passes the probe that is to verify the new version.
    ProbeFailsEverywhere {
        /// What each member answered.
        answers: BTreeMap<MemberName, String>,
    },
}

impl Veto {
    /// Whether it ends by itself when another user or run has finished.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Held { .. } | Self::ComingBack { .. } | Self::Running { .. })
    }

    /// What the caller can do about it, such as a command to type.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::ComingBack { members, .. } => {
                let members = members.iter().map(MemberName::as_str).collect::<Vec<_>>().join(" ");
                Some(format!("`teeter wait {members} --until up`, and deploy then"))
            }
            Self::Running { run, .. } => Some(format!("`teeter show {run}` shows what it waits for")),
            Self::OneSideLive { farm, .. } | Self::OnStandby { farm, .. } => {
                Some(format!("switch the traffic first: `teeter flip {farm} all`"))
            }
            Self::NoneInService { farm } => Some(format!("`teeter status farm:{farm}` shows its servers")),
            Self::NoneIdle { farm, groups } => {
                let live = groups.first().map_or("GROUP", GroupName::as_str);
                Some(format!("`teeter flip {farm} {live}` puts the other group on standby"))
            }
            Self::OtherVersion { member, .. } => {
                Some(format!("deploy to it, or bring it back as it is with `teeter ready {member} --force`"))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Veto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LastServers { backend, taken } => {
                write!(f, "backend {backend} would be left without a server in service (taking {})", taken.join(", "))
            }
            Self::MinAvailable { farm, left, needed, setting } => write!(
                f,
                "farm {farm} would have {left} members in service, and min_available = {setting} asks for {needed}"
            ),
            Self::AllButMin { farm, left, needed, setting, may_go } => {
                write!(f, "farm {farm} would have {left} members in service, and min_available = {setting} asks for {needed}: ")?;
                match may_go {
                    0 => f.write_str("none of those in service can go now"),
                    1 => f.write_str("one of those in service could go now"),
                    more => write!(f, "{more} of those in service could go now"),
                }
            }
            Self::Uncounted { problem } => write!(f, "{problem}, so its members in service cannot be counted"),
            Self::Held { owner, members, reason } => {
                let members = members.iter().map(MemberName::as_str).collect::<Vec<_>>().join(", ");
                write!(f, "{members} held by {owner}: {reason}")
            }
            Self::ComingBack { owner, members } => {
                let members = members.iter().map(MemberName::as_str).collect::<Vec<_>>();
                write!(
                    f,
                    "{} held by {owner}, on the way back and not verified yet",
                    members.join(", ")
                )
            }
            Self::Running { run, status } => write!(f, "run {run} {status}"),
            Self::Groups { found } => {
                let found = found.iter().map(GroupName::as_str).collect::<Vec<_>>().join(", ");
                let found = if found.is_empty() { "none".to_owned() } else { found };
                write!(
                    f,
                    "this strategy needs two groups (groups = {{ a = […], b = […] }} or halves = \"auto\"); configured: {found}"
                )
            }
            Self::NoSuchGroup { asked, found } => {
                let found = found.iter().map(GroupName::as_str).collect::<Vec<_>>().join(", ");
                write!(f, "there is no group {asked}: the groups are {found}")
            }
            Self::NoBackendForAll => f.write_str(
                "the farm's route has no backend for all of it: add all = \"BACKEND\" to route, with every member in it",
            ),
            Self::OneSideLive { farm, live } => write!(
                f,
                "only {live} of {farm} gets the traffic, and a see-saw begins with all"
            ),
            Self::OnStandby { farm, groups } => {
                let groups = groups.iter().map(GroupName::as_str).collect::<Vec<_>>().join(", ");
                write!(f, "{groups} of {farm} is on standby, and a deploy begins with all")
            }
            Self::Batch { size, members } => {
                write!(f, "a batch of {size} is more than the farm, which has {members} members")
            }
            Self::SameProcess { found, write } => {
                write!(f, "{}: it would get requests while it is worked on. Write `{write}` into the farm's table", found.join("; "))
            }
            Self::NoPath { members, key } => {
                let members = members.iter().map(MemberName::as_str).collect::<Vec<_>>().join(", ");
                write!(
                    f,
                    "{key} needs an answer of each server, and HAProxy does not tell the path of a UNIX socket, on which \
                     {members} can be reached: remove the key, and HAProxy's health checks are what servers have to pass"
                )
            }
            Self::NoneInService { farm } => {
                write!(f, "no member of {farm} is in service, so there is nothing to roll over")
            }
            Self::NoneIdle { farm, groups } => {
                let names = groups.iter().map(GroupName::as_str).collect::<Vec<_>>().join(" and ");
                write!(f, "{names} of {farm} both get traffic, so neither can be worked on")
            }
            Self::Route { problem } | Self::Share { problem } | Self::Watch { problem } => f.write_str(problem),
            Self::OtherVersion { member, version, serving } => write!(
                f,
                "{member} runs {version}, and the servers in service run {}, so clients would get both versions",
                serving.join(" and ")
            ),
            Self::VersionUntold { farm, version } => write!(
                f,
                "no member of {farm} tells its version now, so none could be seen to run {version} after the deploy: correct \
                 verify.http.version of the farm, or deploy without --to"
            ),
            Self::NothingLeft { group, why } => write!(f, "no member of group {group} can be worked on: {why}"),
            Self::ProbeFailsEverywhere { answers } => {
                let answers: Vec<String> = answers.iter().map(|(member, why)| format!("{member} {why}")).collect();
                write!(f, "no member passes verify.http now, so none could after the deploy: {}", answers.join("; "))
            }
        }
    }
}
