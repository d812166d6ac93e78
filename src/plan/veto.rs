//! Vetoes: why something must not be begun, in words.

mod text;

use std::collections::BTreeMap;

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
}
