//! What the members of a hold must show before they come back.

use crate::engine::Engine;
use crate::farm::{Entry, Hold, Owner, VerifySettings};
use crate::state::State;

impl Engine {
    /// What a member has to show before it comes back: what its run or its farm says.
    pub(crate) fn verify_settings(&self, state: &State, hold: &Hold, entry: &Entry) -> VerifySettings {
        if let Owner::Run(id) = hold.owner
            && let Some(run) = state.runs.get(&id)
        {
            return run.plan.verify.clone();
        }
        let farms = self.fleet.farms();
        let farm = farms.values().find(|farm| farm.has(&entry.server));
        farm.map_or_else(
            || VerifySettings {
                deadline: self.fleet.of_holds_elsewhere().verify_deadline,
                ..VerifySettings::default()
            },
            |farm| farm.settings.verify.clone(),
        )
    }
}
