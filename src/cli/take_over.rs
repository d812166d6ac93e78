//! `teeter deploy --resume`: takes over a run at the step where it is, and does the rest of its work.

use std::collections::BTreeSet;

use super::attend::{Attend, Identity};
use super::carry_out::{Attending, CarriedOut, carry_on};
use super::error::CliError;
use super::hooks::Hooks;
use super::interrupt::Interrupt;
use super::{Context, print};
use crate::api::{RunStatus, RunView, WorkPhase};

/// Takes over a run, and does its work until it ends. A failed step is tried again, and a paused run goes on.
///
/// # Errors
/// The run has ended, or is being aborted; another caller attends to it; a hook for one of its steps is missing;
/// teeterd refuses, or is away for too long.
pub(super) async fn take_over(
    context: &Context,
    id: u64,
    hooks: &Hooks,
    interrupt: &mut Interrupt,
) -> Result<CarriedOut, CliError> {
    let path = format!("/v1/runs/{id}");
    let (run, _): (RunView, _) = context.client.get(&path).await?;
    check(&run, hooks)?;
    let identity = Identity::new(format!("`teeter deploy --resume {id}` with {}", hooks.program()));
    let attend = Attend::at_once(&context.client, id, &identity).await?;
    if let (Some(_), Some(work)) = (&run.caller, &run.work) {
        print::err(&format!(
            "note: the command that did the {} on group {} has ended without a report; what it started may still run",
            work.phase, work.group
        ));
    }
    let nothing = serde_json::Map::new();
    let mut run = run;
    if run.paused {
        run = context.client.post(&format!("{path}/resume"), &nothing).await?;
    }
    if run.state == RunStatus::Failed {
        run = context.client.post(&format!("{path}/retry"), &nothing).await?;
    }
    carry_on(context, run, hooks, interrupt, Attending { attend, identity }).await
}

/// Refuses a run that cannot be taken over.
fn check(run: &RunView, hooks: &Hooks) -> Result<(), CliError> {
    let id = run.id;
    let refuse = |text: String, hint: String| Err(CliError::Refused { text, hint });
    match run.state {
        RunStatus::Running | RunStatus::Failed => {}
        RunStatus::Aborting => {
            return refuse(
                format!("run {id} is being aborted: it cannot be resumed"),
                format!("`teeter show {id}` shows what it waits for"),
            );
        }
        _ => {
            let hint =
                format!("`teeter show {id}` shows how it ended; `teeter deploy {} …` starts a new run", run.farm);
            return refuse(format!("run {id} has ended ({}): nothing is left to resume", run.state), hint);
        }
    }
    let wanted: BTreeSet<WorkPhase> = run.steps.iter().filter_map(|step| step.phase.clone()).collect();
    let given: BTreeSet<WorkPhase> = hooks.phases().collect();
    let names = |phases: &[&WorkPhase]| phases.iter().map(|phase| format!("--{phase}")).collect::<Vec<_>>().join(", ");
    let to_do = run.steps.iter().skip(run.cursor).filter_map(|step| step.phase.clone()).collect::<BTreeSet<_>>();
    let missing: Vec<&WorkPhase> = to_do.difference(&given).collect();
    if !missing.is_empty() {
        let text = format!("run {id} has steps for hooks that are not given: {}", names(&missing));
        return Err(CliError::Usage { text });
    }
    let unknown: Vec<&WorkPhase> = given.difference(&wanted).filter(|phase| **phase != WorkPhase::Deploy).collect();
    if !unknown.is_empty() {
        let text = format!("run {id} was begun without {}: it has no step for that hook", names(&unknown));
        return Err(CliError::Usage { text });
    }
    Ok(())
}
