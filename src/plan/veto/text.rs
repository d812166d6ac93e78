//! The text of each veto, and the command that helps.

use std::fmt;

use super::Veto;
use crate::farm::{GroupName, MemberName};

impl Veto {
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
                write!(
                    f,
                    "farm {farm} would have {left} members in service, and min_available = {setting} asks for \
                    {needed}: "
                )?;
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
                write!(f, "{} held by {owner}, on the way back and not verified yet", members.join(", "))
            }
            Self::Running { run, status } => write!(f, "run {run} {status}"),
            Self::Groups { found } => {
                let found = found.iter().map(GroupName::as_str).collect::<Vec<_>>().join(", ");
                let found = if found.is_empty() { "none".to_owned() } else { found };
                write!(
                    f,
                    "this strategy needs two groups (groups = {{ a = […], b = […] }} or halves = \"auto\"); \
                     configured: {found}"
                )
            }
            Self::NoSuchGroup { asked, found } => {
                let found = found.iter().map(GroupName::as_str).collect::<Vec<_>>().join(", ");
                write!(f, "there is no group {asked}: the groups are {found}")
            }
            Self::NoBackendForAll => f.write_str(
                "the farm's route has no backend for all of it: add all = \"BACKEND\" to route, with every member in \
                 it",
            ),
            Self::OneSideLive { farm, live } => {
                write!(f, "only {live} of {farm} gets the traffic, and a see-saw begins with all")
            }
            Self::OnStandby { farm, groups } => {
                let groups = groups.iter().map(GroupName::as_str).collect::<Vec<_>>().join(", ");
                write!(f, "{groups} of {farm} is on standby, and a deploy begins with all")
            }
            Self::Batch { size, members } => {
                write!(f, "a batch of {size} is more than the farm, which has {members} members")
            }
            Self::SameProcess { found, write } => {
                write!(
                    f,
                    "{}: it would get requests while it is worked on. Write `{write}` into the farm's \
                    table",
                    found.join("; ")
                )
            }
            Self::NoPath { members, key } => {
                let members = members.iter().map(MemberName::as_str).collect::<Vec<_>>().join(", ");
                write!(
                    f,
                    "{key} needs an answer of each server, and HAProxy does not tell the path of a UNIX socket, on \
                     which {members} can be reached: remove the key, and HAProxy's health checks are what servers have \
                     to pass"
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
                "no member of {farm} tells its version now, so none could be seen to run {version} after the deploy: \
                 correct verify.http.version of the farm, or deploy without --to"
            ),
            Self::NothingLeft { group, why } => write!(f, "no member of group {group} can be worked on: {why}"),
            Self::ProbeFailsEverywhere { answers } => {
                let answers: Vec<String> = answers.iter().map(|(member, why)| format!("{member} {why}")).collect();
                write!(f, "no member passes verify.http now, so none could after the deploy: {}", answers.join("; "))
            }
        }
    }
}
