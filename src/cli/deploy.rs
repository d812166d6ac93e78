//! `teeter deploy`: begins a run, does its work with the caller's hook, and stays until it ends.

use super::args::Deploy;
use super::attend::{Attend, Identity};
use super::error::{CliError, going_on};
use super::follow::{Follow, Standing};
use super::hook::Outcome;
use super::hooks::Hooks;
use super::interrupt::Interrupt;
use super::keep::Keep;
use super::output::Output;
use super::work::work;
use super::{Context, ending, look, manifest, print, tables};
use crate::api::{Exit, RunRequest, RunStatus, RunView};

/// `teeter deploy`.
pub(super) async fn deploy(context: &Context, args: Deploy) -> Result<Exit, CliError> {
    if let (Some(path), Some(environment)) = (&args.manifest, &args.environment) {
        return manifest::deploy(context, (path, environment), &args.options).await;
    }
    let no_farm = || CliError::Usage { text: "name a farm, or a file with --manifest".to_owned() };
    let request = args.request().ok_or_else(no_farm)?;
    if args.options.dry_run {
        let run: RunView = context.client.post("/v1/runs", &request).await?;
        return planned(context, &run);
    }
    let hooks = Hooks::find(&args.hook, &args.hooks)?;
    // From here on no signal ends this process before it has said what it leaves behind.
    let mut interrupt = Interrupt::listen()?;
    let run = match carry_out(context, &request, &hooks, &mut interrupt).await? {
        CarriedOut::Ended(run) => run,
        CarriedOut::Left(run) => {
            if context.json {
                print::json(&run)?;
            }
            return Ok(Exit::Failed);
        }
    };
    if context.json {
        print::json(&run)?;
    } else if run.state == RunStatus::Done {
        ending::summary(&run)?;
    }
    ending::explain(context, &run).await;
    Ok(ending::exit(&run))
}

/// What became of a deploy.
pub(super) enum CarriedOut {
    /// Its run has ended, well or not.
    Ended(RunView),
    /// The caller was asked to stop: the run stays as it is.
    Left(RunView),
}

/// Begins a run, and does its work until it ends.
///
/// # Errors
/// The run is refused, or teeterd is away for good.
pub(super) async fn carry_out(
    context: &Context,
    request: &RunRequest,
    hooks: &Hooks,
    interrupt: &mut Interrupt,
) -> Result<CarriedOut, CliError> {
    let mut run: RunView = context.client.post("/v1/runs", request).await?;
    let identity = Identity::new(format!("`teeter deploy` with {}", hooks.program()));
    let mut attend = Some(Attend::to(&context.client, run.id, &identity));
    let output = Output::new(Keep::of_run(&context.client, run.id), context.json);
    let mut follow = Follow::new(context, &run);
    follow.progress.line(&look::header(&run));
    loop {
        follow.show(&run);
        match Standing::of(&run) {
            Standing::Ended => break,
            Standing::Going => {
                run = tokio::select! {
                    biased;
                    () = interrupt.received() => return Ok(left(&mut follow, run)),
                    next = follow.next() => next?,
                };
            }
            Standing::Work(wanted) => {
                follow.progress.clear();
                attend.get_or_insert_with(|| Attend::to(&context.client, run.id, &identity));
                let outcome = work(context, hooks, &run, &wanted, &mut follow, interrupt, &output).await;
                if outcome == Outcome::Left {
                    // Whoever brings the servers back waits for this.
                    attend = None;
                    run = follow.now().await?;
                    continue;
                }
                let (failed, interrupted) = match outcome {
                    Outcome::Done | Outcome::Left => (None, false),
                    Outcome::Failed(why) => (Some(why), false),
                    Outcome::Interrupted => (Some("the deploy was interrupted and its hook ended".to_owned()), true),
                };
                run = follow.report(wanted.step, failed, identity.key()).await?;
                if interrupted && matches!(Standing::of(&run), Standing::Going) {
                    return Ok(left(&mut follow, run));
                }
            }
        }
    }
    drop(attend);
    follow.progress.clear();
    Ok(CarriedOut::Ended(run))
}

/// Prints a plan that is not carried out.
///
/// # Errors
/// See [`print::out`].
pub(super) fn planned(context: &Context, run: &RunView) -> Result<Exit, CliError> {
    if context.json {
        print::json(run)?;
    } else {
        print::out(&format!("{}\n\n{}\n\nnothing was begun", look::header(run), tables::steps(run)))?;
    }
    Ok(Exit::Done)
}

/// Says what becomes of a run whose deploy is asked to stop.
fn left(follow: &mut Follow<'_>, run: RunView) -> CarriedOut {
    follow.progress.clear();
    print::err(&format!(
        "interrupted: run {} stays; it goes on until it waits for work, and nobody does that now\n{}",
        run.id,
        going_on(run.id)
    ));
    CarriedOut::Left(run)
}
