//! Waiting until HAProxy has confirmed a step's change.

use jiff::Timestamp;

use super::outcome::{Action, Confirmation, Facts, Outcome};
use super::transition::fail;
use crate::farm::{InstanceName, Span};
use crate::plan::run::{FailureKind, Run};
use crate::plan::wait::Wait;

/// Goes on when HAProxy has confirmed the step's change. Fails and undoes the change when HAProxy refuses it, or does
/// not answer in time.
pub(super) fn confirmed(run: &Run, facts: &Facts<'_>, now: Timestamp, then: impl FnOnce(&Run) -> Outcome) -> Outcome {
    match &facts.confirmation {
        Confirmation::Agreed => then(run),
        Confirmation::Refused(words) => fail(run, FailureKind::Refused, words.clone(), vec![Action::Undo]),
        Confirmation::Pending { instances, trouble } if now < CONFIRMATION_TAKES.after(run.step.since) => {
            Outcome::Wait(Wait::Confirmation { instances: instances.clone(), trouble: trouble.clone() })
        }
        Confirmation::Pending { instances, trouble } => {
            let names: Vec<&str> = instances.iter().map(InstanceName::as_str).collect();
            let trouble = trouble.as_deref().unwrap_or("no answer");
            let why = format!("HAProxy {} did not confirm within {CONFIRMATION_TAKES}: {trouble}", names.join(", "));
            fail(run, FailureKind::Unreachable, why, vec![Action::Undo])
        }
    }
}

/// HAProxy answers in milliseconds; a reload takes some tenths of a second. After this time HAProxy counts as away.
pub(super) const CONFIRMATION_TAKES: Span = Span::from_secs(30);
