//! What HAProxy should be told, worked out from the holds.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::farm::model::baseline::Baseline;
use crate::farm::model::hold::{Hold, Stage, Verification, VerifyPhase};
use crate::farm::names::{Entry, InstanceName};
use crate::farm::settings::drift::OnDrift;
use crate::haproxy::{AdminState, ServerRef};

/// What one HAProxy should be told, for each server that teeter has, or had, a hand in.
pub type Wanted = BTreeMap<ServerRef, WantedServer>;

/// What HAProxy should be told about one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedServer {
    /// The state to set.
    pub state: AdminState,
    /// Whether its agent check was on and is to be on again when nobody holds it. While somebody does, the agent is
    /// muted: its `ready` would undo the hold.
    pub agent: bool,
    /// Whether its agent check said that it is down: that holds until it says otherwise.
    pub agent_down: bool,
    /// Whether its checks said DOWN before it was taken out: out of maintenance it is told so, because HAProxy would take
    /// it for up until it has checked it.
    pub down: bool,
    /// The weight to set, where it is to be another than HAProxy has it.
    pub weight: Option<u16>,
    /// Where set, its checks must pass afresh: the time names the proof, so that each is begun once per process.
    pub afresh: Option<Timestamp>,
    /// Whether a hold wants this; otherwise it is being given back.
    pub held: bool,
    /// Whether it goes out before others come in.
    pub first_out: bool,
    /// Whether an operator is among those who want it out.
    pub asked: bool,
    /// What happens when somebody else changes it.
    pub on_drift: OnDrift,
    /// The state that it would have if nobody held it.
    pub before: AdminState,
}

/// Works out what each HAProxy should be told.
///
/// A server that somebody else had put in maintenance or drain is never made less strict than they left it.
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
            server.state = server.state.max(hold.wants());
            if let Stage::Shared { weights } = &hold.stage {
                server.weight = weights.get(entry).copied().or(server.weight);
            }
            if let Stage::Verifying(Verification { since, phase: VerifyPhase::Checks { afresh: true }, .. }) =
                hold.stage
            {
                // Of two that want it shown, the later one's proof is good enough for both.
                server.afresh = server.afresh.max(Some(since));
            }
        }
    }
    for (entry, overruled) in baselines.iter().filter_map(|(entry, was)| Some((entry, was.overruled?))) {
        let server = all.get_mut(&entry.instance).and_then(|servers| servers.get_mut(&entry.server));
        if let Some(server) = server.filter(|server| server.held && server.state != overruled.state) {
            server.state = overruled.state;
            // It may be in traffic: it is not told to be down.
            server.afresh = None;
        }
    }
    // Checks are paused in maintenance: nothing can be proven while somebody else wants that.
    for server in all.values_mut().flat_map(BTreeMap::values_mut) {
        if server.state == AdminState::Maint {
            server.afresh = None;
        }
    }
    all
}

impl WantedServer {
    /// What a server is told that nobody holds.
    pub(in crate::farm) fn given_back(was: Option<&Baseline>) -> Self {
        Self {
            state: was.map_or(AdminState::Ready, |was| was.state),
            agent: was.is_some_and(|was| was.agent),
            agent_down: was.is_some_and(|was| was.agent_down),
            down: was.is_some_and(|was| was.down),
            weight: was.filter(|was| was.weighed).map(|was| was.weight),
            afresh: None,
            held: false,
            first_out: false,
            asked: false,
            on_drift: OnDrift::default(),
            before: was.map_or(AdminState::Ready, |was| was.state),
        }
    }
}
