//! `teeter continue`: the one command that lets a stopped run go on, or names the command that does.

use super::error::CliError;
use super::{Context, print, runs};
use crate::api::{Exit, RunStatus, RunView, WorkView};

/// `teeter continue`: resumes a paused run, and tries the failed step of another again.
///
/// # Errors
/// The run has ended, or waits for work that this command does not do.
pub(super) async fn continue_run(context: &Context, id: u64) -> Result<Exit, CliError> {
    let (run, _): (RunView, _) = context.client.get(&format!("/v1/runs/{id}")).await?;
    match (&run.state, &run.work) {
        (RunStatus::Done | RunStatus::Aborted | RunStatus::RolledBack, _) => Err(CliError::Refused {
            text: format!("run {id} has ended ({})", run.state),
            hint: format!("`teeter show {id}` shows how it ended"),
        }),
        (RunStatus::Aborting, _) => goes_on(context, &run),
        (RunStatus::Failed, _) => {
            let step = run.steps.get(run.cursor);
            if step.is_some_and(|step| step.phase.is_some()) {
                return Err(needs_a_hook(&run, None));
            }
            if run.paused {
                let _ = runs::pause(context, id, "resume").await?;
            }
            runs::retry(context, id).await
        }
        _ if run.paused => runs::pause(context, id, "resume").await,
        _ if run.watches.iter().any(|watch| watch.waits) => runs::go_on_without_verdict(context, &run).await,
        (_, Some(work)) if run.attendant.is_none() => Err(needs_a_hook(&run, Some(work))),
        _ => goes_on(context, &run),
    }
}

/// Prints that a run needs no command.
fn goes_on(context: &Context, run: &RunView) -> Result<Exit, CliError> {
    if context.json {
        print::json(run)?;
        return Ok(Exit::Done);
    }
    let step = run.steps.get(run.cursor).map(|step| format!(" at `{}`", step.text)).unwrap_or_default();
    let waits = match (&run.attendant, &run.waiting) {
        (Some(attendant), _) if run.work.is_some() => format!(": {}", attendant.text),
        (_, Some(waiting)) => format!(": {waiting}"),
        _ => String::new(),
    };
    print::out(&format!("run {} goes on by itself{step}{waits}", run.id))?;
    Ok(Exit::Done)
}

/// The refusal where a hook must be run, or the work reported.
fn needs_a_hook(run: &RunView, work: Option<&WorkView>) -> CliError {
    let id = run.id;
    let step = run.steps.get(run.cursor);
    let text = match (work, step) {
        (Some(work), _) => {
            format!("run {id} waits for the {} on group {}: {}", work.phase, work.group, work.servers.join(" "))
        }
        (None, Some(step)) => format!("run {id} has failed at `{}`, which is work of its caller", step.text),
        (None, None) => format!("run {id} waits for its caller"),
    };
    let hint = format!(
        "`teeter deploy --resume {id} -- HOOK` runs the hook again and does the rest; if the work is done, \
         `teeter advance {id} --step {}` reports that",
        run.cursor
    );
    CliError::Refused { text, hint }
}
