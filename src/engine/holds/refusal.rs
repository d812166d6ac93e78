//! A refusal because too few servers would be left: it names those that are out already, and what to type instead.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::Engine;
use crate::engine::error::EngineError;
use crate::engine::record::ledger::Ledger;
use crate::farm::{Entry, FarmName, InstanceName, Seen};
use crate::plan::{Strategy, Veto, out_of_service};

impl Engine {
    /// The refusal for these vetoes against taking `taken` out. If a veto is about what would be left in service, the
    /// refusal also names the servers that are out already.
    pub(crate) fn refusal(
        &self,
        vetoes: Vec<Veto>,
        taken: &BTreeSet<Entry>,
        seen: &BTreeMap<InstanceName, &Seen>,
        ledger: &Ledger,
        instead: &'static str,
    ) -> EngineError {
        let counts =
            |veto: &Veto| matches!(veto, Veto::LastServers { .. } | Veto::MinAvailable { .. } | Veto::AllButMin { .. });
        if !vetoes.iter().any(counts) {
            return EngineError::Vetoed(vetoes);
        }
        let named: BTreeSet<&FarmName> = vetoes.iter().filter_map(farm_of).collect();
        let farms = self.fleet.farms();
        let near = |entry: &Entry| {
            let same_backend =
                |other: &Entry| other.instance == entry.instance && other.server.backend == entry.server.backend;
            let farm_named = farms.values().any(|farm| named.contains(&farm.name) && farm.has(&entry.server));
            taken.iter().any(same_backend) || farm_named
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

/// What to type when a run of a strategy is refused.
pub(crate) fn instead_of(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Rolling => {
            "bring back what is out, take fewer at once with `--batch`, or go on regardless with `--allow-outage`"
        }
        Strategy::Flip => "bring back what is out first: the side that gets the traffic has to carry it alone",
        Strategy::SeeSaw | Strategy::BlueGreen | Strategy::Canary => {
            "bring back what is out, lower min_available of the farm, or deploy with `--strategy rolling`, which takes \
             fewer out at a time and accepts `--allow-outage`"
        }
    }
}

/// What to type when a drain by hand is refused.
pub(crate) const BY_HAND: &str = "`--allow-outage` takes them out regardless";

/// What to type when `--all-but-min` is refused.
pub(crate) const ALL_BUT_MIN: &str =
    "wait until more are in service, or `--allow-outage` in place of `--all-but-min` takes them out regardless";
