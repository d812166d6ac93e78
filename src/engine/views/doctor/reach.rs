//! HAProxys that do not answer, and what holds do not reach.

use super::{ok, unreachable, warning};
use crate::api::FindingView;
use crate::engine::Engine;
use crate::engine::fleet::reports::Reports;
use crate::farm::InstanceName;
use crate::haproxy::Error;
use crate::state::State;

/// The finding about a HAProxy that does not answer.
pub(super) fn silent(name: &InstanceName, may_be_away: bool, trouble: &Error) -> FindingView {
    let about = format!("HAProxy {name}");
    if may_be_away {
        let text = format!("away, as may_be_away allows: it gets what is stored as soon as it answers ({trouble})");
        return ok(about, text);
    }
    let text = format!(
        "{trouble}; until it answers, drains and deploys are refused, or go on without it by `--without-haproxy \
         {name}` (set `may_be_away = true` under [[haproxy]] if it is stopped on purpose from time to time)"
    );
    unreachable(about, text)
}

impl Engine {
    /// Lines and HAProxys that holds do not reach.
    pub(super) fn beyond_holds(&self, state: &State, reports: &Reports) -> Vec<FindingView> {
        let finding = |(id, hold)| Some(warning(format!("hold {id}"), self.not_reached(hold, state, reports)?));
        state.holds.iter().filter_map(finding).collect()
    }
}
