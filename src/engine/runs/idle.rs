//! The group of a farm that gets no traffic.

use std::collections::BTreeSet;

use crate::api::IdleView;
use crate::engine::Engine;
use crate::engine::error::{EngineError, Message};
use crate::engine::fleet::reach::Reached;
use crate::engine::runs::begin::check_route;
use crate::engine::runs::ended::{standby, with_kept_halves};
use crate::farm::{Entry, FarmName, InstanceName, natural};
use crate::plan::blue_green::{Sides, sides};

impl Engine {
    /// Finds the group of a farm that gets no traffic: the one to deploy to. HAProxys of `without` may be away.
    ///
    /// # Errors
    /// There is no such farm, HAProxy does not answer, or no group is without traffic.
    pub async fn idle(&self, name: &FarmName, without: &BTreeSet<InstanceName>) -> Result<IdleView, EngineError> {
        let farm = self.fleet.farm(name)?;
        let Reached { reports, .. } = self.fleet.reached(self.fleet.read_all().await, without, |_| true)?;
        let seen = reports.seen();
        let layout = farm.layout(&seen).map_err(|error| EngineError::Usage(Message::new(error.to_string())))?;
        let live = check_route(&farm, &layout, &seen, &self.fleet.maps).await?;
        let state = self.record.state();
        let layout = with_kept_halves(&farm, layout, &state);
        let live = state.live(name).or(live);
        let Sides { live, idle } = sides(&farm, &layout, live.as_ref(), &standby(name, &state))
            .map_err(|veto| EngineError::Vetoed(vec![veto]))?;
        let address = |entry: &Entry| {
            let server = seen.get(&entry.instance)?.servers.get(&entry.server)?;
            (!server.address.is_empty()).then(|| server.endpoint())
        };
        let mut members: Vec<_> = layout.groups.get(&idle).into_iter().flatten().collect();
        members.sort_by(|one, other| natural(one.as_str(), other.as_str()));
        let (servers, addresses) = members
            .into_iter()
            .filter_map(|member| {
                let entries = layout.members.get(member)?;
                Some((member.to_string(), entries.iter().find_map(address).unwrap_or_default()))
            })
            .unzip();
        Ok(IdleView { farm: name.to_string(), idle: idle.to_string(), live: live.to_string(), servers, addresses })
    }
}
