//! Conditions of a scenario under which an invariant does not apply. They follow from its farm and its acts.

use std::collections::BTreeSet;

use crate::scenario::{Call, Fault, Scenario, Verb};

/// The conditions that hold in one scenario.
#[derive(Debug)]
pub(super) struct Excuses {
    /// No act can leave a request without a server.
    pub(super) all_served: bool,
    /// No act can keep teeterd from sending a HAProxy its commands within [`super::UPDATE_TAKES`].
    pub(super) always_updated: bool,
    /// Operators take servers out. A rollback does not wait for these as long as one is left.
    pub(super) operators_take: bool,
    /// Members that become unhealthy and that operators take out. teeter allows that while they are down,
    /// because no request loses its server.
    pub(super) unhealthy_and_taken: BTreeSet<String>,
    /// Members that an operator puts in maintenance, which gives their clients no grace.
    pub(super) maintained: BTreeSet<String>,
    /// Members that one operator repairs and another makes ready.
    pub(super) given_back: BTreeSet<String>,
}

impl Excuses {
    pub(super) fn from_scenario(scenario: &Scenario) -> Self {
        let shape = &scenario.shape;
        let faults = || scenario.acts.iter().map(|act| &act.fault);
        let verbs = || {
            faults().filter_map(|fault| match fault {
                Fault::Call(Call { verb, .. }) => Some(*verb),
                _ => None,
            })
        };
        let is_unhealthy =
            |number: usize| faults().any(|fault| matches!(fault, Fault::Unhealthy(server, _) if *server == number));
        let is_made_ready = |number: usize| verbs().any(|verb| matches!(verb, Verb::Ready(server) if server == number));
        let members = |number_of: &dyn Fn(Verb) -> Option<usize>| -> BTreeSet<String> {
            verbs().filter_map(number_of).map(|number| shape.member(number)).collect()
        };
        let taken = |verb: Verb| match verb {
            Verb::Drain(number, _) | Verb::Maint(number, _) | Verb::Repair(number) => Some(number),
            _ => None,
        };
        let gap = !shape.route && shape.order == "gap";
        Self {
            all_served: !gap && !shape.leader && !faults().any(takes_servers),
            always_updated: !faults().any(delays_updates),
            operators_take: verbs().any(|verb| taken(verb).is_some()),
            unhealthy_and_taken: members(&|verb| taken(verb).filter(|number| is_unhealthy(*number))),
            maintained: members(&|verb| match verb {
                Verb::Maint(number, _) => Some(number),
                _ => None,
            }),
            given_back: members(&|verb| match verb {
                Verb::Repair(number) if is_made_ready(number) => Some(number),
                _ => None,
            }),
        }
    }
}

/// Whether a request may find no server because of this.
fn takes_servers(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::KillHaproxy(_)
            | Fault::Hang(_)
            | Fault::Unhealthy(..)
            | Fault::ByHand(..)
            | Fault::AddAgain { .. }
            | Fault::Remove { .. }
    )
}

/// Whether HAProxy may get its commands late because of this.
fn delays_updates(fault: &Fault) -> bool {
    let haproxy = matches!(fault, Fault::Hang(_) | Fault::Slow(_) | Fault::Crowd(..));
    let store = matches!(fault, Fault::DiskFull(_) | Fault::DiskStalls(_) | Fault::DiskLies);
    haproxy || store || fault.restarts_teeterd()
}
