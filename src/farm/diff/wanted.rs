//! The state that each server should have, worked out from the holds.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::farm::model::baseline::Baseline;
use crate::farm::model::hold::{Hold, Stage, Verification, VerifyPhase};
use crate::farm::names::{Entry, InstanceName};
use crate::farm::settings::drift::OnDrift;
use crate::haproxy::{AdminState, ServerRef};

/// The wanted states of one HAProxy, for each server that teeter holds or is giving back.
pub type Wanted = BTreeMap<ServerRef, WantedServer>;

/// The wanted state of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedServer {
    /// The administrative state.
    pub state: AdminState,
    /// Whether its agent check was enabled, and is enabled again after the last hold. During a hold the agent is muted,
    /// because its `ready` would undo the hold.
    pub agent: bool,
    /// Whether its agent check reported it down. That holds until the agent reports otherwise.
    pub agent_down: bool,
    /// Whether its checks reported it DOWN before it was taken out. Then it leaves maintenance as DOWN: HAProxy would
    /// take it for UP until its next check.
    pub down: bool,
    /// The weight to set; `None` where HAProxy's own weight stays.
    pub weight: Option<u16>,
    /// If set, its checks must start again from "down". The time is the beginning of the verification and identifies it,
    /// so that the checks start once for each verification in a process.
    pub new_checks_since: Option<Timestamp>,
    /// Whether a hold wants this; otherwise the server is being given back.
    pub held: bool,
    /// Whether it goes out before others come in.
    pub first_out: bool,
    /// Whether an operator's hold is among those that want it out.
    pub asked: bool,
    /// What happens when its state is changed outside teeter.
    pub on_drift: OnDrift,
    /// The state that it would have without holds.
    pub before: AdminState,
}

/// Works out the wanted state of each server.
///
/// A server that was in maintenance or drain before its first hold keeps at least that state.
pub fn wanted<'a>(
    holds: impl IntoIterator<Item = &'a Hold>,
    baselines: &BTreeMap<Entry, Baseline>,
) -> BTreeMap<InstanceName, Wanted> {
    let mut all: BTreeMap<InstanceName, Wanted> = BTreeMap::new();
    for (entry, was) in baselines {
        let servers = all.entry(entry.instance.clone()).or_default();
        servers.insert(entry.server.clone(), WantedServer::given_back(Some(was)));
    }
    for hold in holds {
        for entry in &hold.entries {
            let was = baselines.get(entry);
            let servers = all.entry(entry.instance.clone()).or_default();
            let server = servers.entry(entry.server.clone()).or_insert_with(|| WantedServer::given_back(was));
            server.held = true;
            server.first_out |= hold.first_out;
            server.asked |= hold.owner.run().is_none();
            server.state = server.state.max(hold.wanted_state());
            if let Stage::Shared { weights } = &hold.stage {
                server.weight = weights.get(entry).copied().or(server.weight);
            }
            if let Stage::Verifying(Verification { since, phase: VerifyPhase::Checks { afresh: true }, .. }) =
                hold.stage
            {
                // Of two verifications of one server, the later one serves both.
                server.new_checks_since = server.new_checks_since.max(Some(since));
            }
        }
    }
    for (entry, overruled) in baselines.iter().filter_map(|(entry, was)| Some((entry, was.overruled?))) {
        let server = all.get_mut(&entry.instance).and_then(|servers| servers.get_mut(&entry.server));
        if let Some(server) = server.filter(|server| server.held && server.state != overruled.state) {
            server.state = overruled.state;
            // The server may get traffic, so it is not set DOWN.
            server.new_checks_since = None;
        }
    }
    // Checks are paused in maintenance, so nothing can be verified while a stricter hold keeps the server there.
    for server in all.values_mut().flat_map(BTreeMap::values_mut) {
        if server.state == AdminState::Maint {
            server.new_checks_since = None;
        }
    }
    all
}

impl WantedServer {
    /// The wanted state of a server without holds.
    pub(in crate::farm) fn given_back(was: Option<&Baseline>) -> Self {
        Self {
            state: was.map_or(AdminState::Ready, |was| was.state),
            agent: was.is_some_and(|was| was.agent),
            agent_down: was.is_some_and(|was| was.agent_down),
            down: was.is_some_and(|was| was.down),
            weight: was.filter(|was| was.weighed).map(|was| was.weight),
            new_checks_since: None,
            held: false,
            first_out: false,
            asked: false,
            on_drift: OnDrift::default(),
            before: was.map_or(AdminState::Ready, |was| was.state),
        }
    }
}
