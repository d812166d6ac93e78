//! HAProxys that are away, and what holds do not reach.

use crate::engine::fleet::reports::Reports;

use super::{ok, unreachable, warning};
use crate::api::FindingView;
use crate::engine::Engine;
use crate::farm::InstanceName;
use crate::haproxy::Error;

use crate::state::State;

/// One that does not answer.
pub(super) fn away(name: &InstanceName, may_be: bool, trouble: &Error) -> FindingView {
    let about = format!("HAProxy {name}");
    if may_be {
        let text = format!("away, as may_be_away allows: it is told what is stored as soon as it answers ({trouble})");
        return ok(about, text);
    }
    let text = format!(
        "{trouble}; until it answers, drains and deploys are refused, or go on without it by `--without-haproxy {name}` \
         (`may_be_away = true` under [[haproxy]] where it is stopped on purpose from time to time)"
    );
    unreachable(about, text)
}

impl Engine {
    /// Lines and HAProxys that holds do not reach.
    pub(super) fn of_holds(&self, state: &State, reports: &Reports) -> Vec<FindingView> {
        let of = |(id, hold)| Some(warning(format!("hold {id}"), self.not_reached(hold, state, reports)?));
        state.holds.iter().filter_map(of).collect()
    }
}
