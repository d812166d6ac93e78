//! The state that each server should have, worked out from the holds.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::farm::model::baseline::Baseline;
use crate::farm::model::hold::{Hold, Stage, Verification, VerifyPhase};
use crate::farm::names::{Entry, InstanceName};
use crate::farm::settings::drift::OnDrift;
use crate::haproxy::{AdminState, ServerRef};

/// The wanted states of one HAProxy, for each server that teeter holds or brings back.
pub type Wanted = BTreeMap<ServerRef, WantedServer>;

/// The wanted state of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedServer {
    /// The administrative state.
    pub state: AdminState,
    /// Whether the agent check was enabled, and is enabled again after the last hold. During a hold it is disabled,
    /// because a `ready` of the agent would undo the hold.
    pub agent: bool,
    /// Whether the agent reported down before the first hold. This counts until the agent reports otherwise.
    pub agent_down: bool,
    /// Whether the server was DOWN by its checks before the first hold. Then it leaves maintenance as DOWN: HAProxy
    /// would take it for UP until the next check.
    pub down: bool,
    /// The weight to set; `None` where HAProxy's own weight stays.
    pub weight: Option<u16>,
    /// If set, the checks must start again from "down". The time is the beginning of the verification and identifies
    /// it, so that the checks start once for each verification in a process.
    pub new_checks_since: Option<Timestamp>,
    /// Whether the server has a hold; otherwise it is brought back.
    pub held: bool,
    /// Whether the server goes out before others come in.
    pub first_out: bool,
    /// Whether one of the holds is an operator's.
    pub by_operator: bool,
    /// What happens when the state is changed outside teeter.
    pub on_drift: OnDrift,
    /// The state that the server would have without holds.
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
    for (entry, baseline) in baselines {
        let servers = all.entry(entry.instance.clone()).or_default();
        servers.insert(entry.server.clone(), WantedServer::without_holds(Some(baseline)));
    }
    for hold in holds {
        for entry in &hold.entries {
            let baseline = baselines.get(entry);
            let servers = all.entry(entry.instance.clone()).or_default();
            let server = servers.entry(entry.server.clone()).or_insert_with(|| WantedServer::without_holds(baseline));
            server.held = true;
            server.first_out |= hold.first_out;
            server.by_operator |= hold.owner.run().is_none();
            server.state = server.state.max(hold.wanted_state());
            if let Stage::Shared { weights } = &hold.stage {
                server.weight = weights.get(entry).copied().or(server.weight);
            }
            if let Stage::Verifying(Verification { since, phase: VerifyPhase::Checks { afresh: true }, .. }) =
                hold.stage
            {
                // Of two verifications of one server, the checks of the later one count for both.
                server.new_checks_since = server.new_checks_since.max(Some(since));
            }
        }
    }
    for (entry, overruled) in baselines.iter().filter_map(|(entry, baseline)| Some((entry, baseline.overruled?))) {
        let server = all.get_mut(&entry.instance).and_then(|servers| servers.get_mut(&entry.server));
        if let Some(server) = server.filter(|server| server.held && server.state != overruled.state) {
            server.state = overruled.state;
            // The server may get traffic, so teeter does not set it DOWN.
            server.new_checks_since = None;
        }
    }
    // Checks are paused in maintenance, so no check can pass while a stricter hold keeps the server in maintenance.
    for server in all.values_mut().flat_map(BTreeMap::values_mut) {
        if server.state == AdminState::Maint {
            server.new_checks_since = None;
        }
    }
    all
}

impl WantedServer {
    /// The wanted state of a server without holds.
    pub(in crate::farm) fn without_holds(baseline: Option<&Baseline>) -> Self {
        Self {
            state: baseline.map_or(AdminState::Ready, |baseline| baseline.state),
            agent: baseline.is_some_and(|baseline| baseline.agent),
            agent_down: baseline.is_some_and(|baseline| baseline.agent_down),
            down: baseline.is_some_and(|baseline| baseline.down),
            weight: baseline.filter(|baseline| baseline.weighed).map(|baseline| baseline.weight),
            new_checks_since: None,
            held: false,
            first_out: false,
            by_operator: false,
            on_drift: OnDrift::default(),
            before: baseline.map_or(AdminState::Ready, |baseline| baseline.state),
        }
    }
}
