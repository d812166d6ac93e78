//! Conditions of a scenario under which an invariant does not apply. They follow from its farm and its acts.

use std::collections::BTreeSet;

use crate::scenario::{Call, Fault, Scenario, Verb};

/// The conditions that hold in one scenario.
#[derive(Debug)]
pub(super) struct Excuses {
    /// No act can leave a request without a server.
    pub(super) all_served: bool,
    /// No act can keep teeterd from telling a HAProxy within [`super::TELLING_TAKES`].
    pub(super) all_told: bool,
    /// Operators take servers out. A rollback does not wait for these as long as one is left.
    pub(super) operators_take: bool,
    /// Members that fall ill and that operators take out. teeter allows it while they are down, because no request loses its
    /// server.
    pub(super) taken_ill: BTreeSet<String>,
    /// Members that an operator puts in maintenance, which gives their clients no grace.
    pub(super) maintained: BTreeSet<String>,
    /// Members that one operator repairs and another makes ready.
    pub(super) given_back: BTreeSet<String>,
}

impl Excuses {
    pub(super) fn of(scenario: &Scenario) -> Self {
        let shape = &scenario.shape;
        let faults = || scenario.acts.iter().map(|act| &act.fault);
        let verbs = || {
            faults().filter_map(|fault| match fault {
                Fault::Call(Call { verb, .. }) => Some(*verb),
                _ => None,
            })
        };
        let is_sick = |number: usize| faults().any(|fault| matches!(fault, Fault::Sick(one, _) if *one == number));
        let is_made_ready = |number: usize| verbs().any(|verb| matches!(verb, Verb::Ready(one) if one == number));
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
            all_told: !faults().any(delays_telling),
            operators_take: verbs().any(|verb| taken(verb).is_some()),
            taken_ill: members(&|verb| taken(verb).filter(|number| is_sick(*number))),
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
            | Fault::Sick(..)
            | Fault::ByHand(..)
            | Fault::AddAgain { .. }
            | Fault::Remove { .. }
    )
}

/// Whether teeterd may be late in telling HAProxy because of this.
fn delays_telling(fault: &Fault) -> bool {
    let haproxy = matches!(fault, Fault::Hang(_) | Fault::Slow(_) | Fault::Crowd(..));
    let store = matches!(fault, Fault::DiskFull(_) | Fault::DiskStalls(_) | Fault::DiskLies);
    haproxy || store || fault.restarts_teeterd()
}
