//! A refusal because too little would be left in service, with who is out already and what can be typed instead.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::Engine;
use crate::engine::error::EngineError;
use crate::engine::record::ledger::Ledger;
use crate::farm::{Entry, FarmName, InstanceName, Seen};
use crate::plan::{Strategy, Veto, out_of_service};

impl Engine {
    /// The refusal for these vetoes against taking `taken` out; with who is out already where one is about what is left.
    pub(crate) fn refusal(
        &self,
        vetoes: Vec<Veto>,
        taken: &BTreeSet<Entry>,
        seen: &BTreeMap<InstanceName, &Seen>,
        ledger: &Ledger,
        instead: &'static str,
    ) -> EngineError {
        let about =
            |veto: &Veto| matches!(veto, Veto::LastServers { .. } | Veto::MinAvailable { .. } | Veto::AllButMin { .. });
        if !vetoes.iter().any(about) {
            return EngineError::Vetoed(vetoes);
        }
        let named: BTreeSet<&FarmName> = vetoes.iter().filter_map(farm_of).collect();
        let farms = self.fleet.farms();
        let near = |entry: &Entry| {
            let beside = |it: &Entry| it.instance == entry.instance && it.server.backend == entry.server.backend;
            taken.iter().any(beside) || farms.values().any(|it| named.contains(&it.name) && it.has(&entry.server))
        };
        let out = out_of_service(near, taken, seen, ledger.state.holds.values());
        EngineError::Outage { vetoes, out, instead }
    }
}

fn farm_of(veto: &Veto) -> Option<&FarmName> {
    match veto {
        Veto::MinAvailable { farm, .. } | Veto::AllButMin { farm, .. } => Some(farm),
        _ => None,
    }
}

/// What can be typed where a run of a strategy is refused.
pub(crate) fn instead_of(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Rolling => {
            "bring back what is out, take fewer at once with `--batch`, or `--allow-outage` goes on all the same"
        }
        Strategy::Flip => "bring back what is out first: the side that gets the traffic has to carry it alone",
        Strategy::SeeSaw | Strategy::BlueGreen | Strategy::Canary => {
            "bring back what is out, lower min_available of the farm, or deploy with `--strategy rolling`, which takes \
             fewer out at a time and may be told `--allow-outage`"
        }
    }
}

/// What can be typed where servers are not taken out by hand.
pub(crate) const BY_HAND: &str = "`--allow-outage` takes them out all the same";

/// The same where the minimum is kept whatever is out already.
pub(crate) const ALL_BUT_MIN: &str =
    "wait until more are in service, or `--allow-outage` in place of `--all-but-min` takes them out all the same";
