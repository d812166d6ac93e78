//! What the members of a hold must show before they come back.

use crate::engine::Engine;
use crate::farm::{Entry, Hold, Owner, VerifySettings};
use crate::state::State;

impl Engine {
    /// The verification of a line: that of its run, of its farm, or the default.
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
                deadline: self.fleet.default_hold_settings().verify_deadline,
                ..VerifySettings::default()
            },
            |farm| farm.settings.verify.clone(),
        )
    }
}
