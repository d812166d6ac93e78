//! The result of a run: its messages and its exit code.

use super::error::{CliError, going_on};
use super::{Context, clock, hold, print, run_text};
use crate::api::{Exit, RunFailure, RunStatus, RunView};

/// The exit code of a run that has ended.
pub(super) fn exit(run: &RunView) -> Exit {
    match (&run.state, &run.failure) {
        (RunStatus::Done, _) => Exit::Done,
        (RunStatus::Aborted, _) | (_, Some(RunFailure::Taken)) => Exit::Aborted,
        (_, Some(RunFailure::Deadline)) => Exit::TimedOut,
        (_, Some(RunFailure::Guard)) => Exit::Refused,
        (_, Some(RunFailure::Unreachable)) => Exit::Unreachable,
        _ => Exit::Failed,
    }
}

/// Prints how a run has ended, and gives the exit code.
///
/// # Errors
/// See [`print::out`].
pub(super) async fn conclude(context: &Context, run: &RunView) -> Result<Exit, CliError> {
    if context.json {
        print::json(run)?;
    } else if run.state == RunStatus::Done {
        summary(run)?;
    }
    explain(context, run).await;
    Ok(exit(run))
}

/// Prints on standard error why a run failed, the servers that are out, and the next command.
pub(super) async fn explain(context: &Context, run: &RunView) {
    match run.state {
        RunStatus::Done => return,
        RunStatus::Aborted => print::err(&format!("run {} was aborted", run.id)),
        RunStatus::RolledBack => {
            let why = run.rollback.as_deref().unwrap_or("no reason was given");
            print::err(&format!("run {} was rolled back: {why}", run.id));
        }
        _ => {
            let step = run.steps.get(run.cursor).map(|step| format!(" at `{}`", step.text)).unwrap_or_default();
            let why = run.why.as_deref().unwrap_or("no reason was given");
            print::err(&format!("run {} has failed{step}: {why}", run.id));
        }
    }
    if exit(run) == Exit::TimedOut && !run.out.is_empty() {
        hold::remaining(context, &run.out).await;
    }
    remarks(run);
    kept_out(run);
    if run.next.is_none() && run.state == RunStatus::Failed {
        print::err(&going_on(run.id));
    }
}

/// Prints on standard error the servers that are out, and the next command.
pub(super) fn kept_out(run: &RunView) {
    print::err(&match run.out.as_slice() {
        [] => format!("no server of {} is kept out", run.farm),
        out => format!("kept out of {}: {}", run.farm, out.join(" ")),
    });
    if let Some(next) = &run.next {
        print::err(&format!("next: {next}"));
    }
}

/// One line on a run that is done.
///
/// # Errors
/// See [`print::out`].
pub(super) fn summary(run: &RunView) -> Result<(), CliError> {
    let version = run_text::version(run);
    let took =
        run.finished.map(|at| format!(" in {}", clock::length(at.duration_since(run.started)))).unwrap_or_default();
    print::out(&format!("run {}: {} of {}{version} is done{took}", run.id, run.strategy, run.farm))?;
    notes(run);
    Ok(())
}

fn remarks(run: &RunView) {
    run.remarks.iter().for_each(|remark| print::err(&format!("note: {remark}")));
}

/// Prints on standard error the notes of a run that is done.
pub(super) fn notes(run: &RunView) {
    for (member, why) in &run.skipped {
        print::err(&format!("skipped: {member} ({why})"));
    }
    remarks(run);
    for (member, why) in &run.left_out {
        print::err(&format!("not deployed to: {member}: {why}"));
    }
    match &run.next {
        // Servers on standby are out as planned.
        Some(next) if run.strategy.leaves_standby() => print::err(next),
        _ if !run.out.is_empty() => kept_out(run),
        _ => {}
    }
}
