//! Carries out a run: starts it, does its work with the caller's hooks, and follows it to its end.

use super::attend::{Attend, Identity};
use super::error::{CliError, going_on};
use super::follow::{Awaiting, Follow};
use super::hook::Outcome;
use super::hooks::Hooks;
use super::interrupt::Interrupt;
use super::output::Output;
use super::upload::Upload;
use super::work::work;
use super::{Context, print, queries};
use crate::api::{RunRequest, RunView};

/// How a deploy ended.
pub(super) enum CarriedOut {
    /// Its run has ended, successfully or not.
    Ended(RunView),
    /// The caller was asked to stop: the run stays as it is.
    Left(RunView),
}

/// Starts a run, and does its work until it ends.
///
/// # Errors
/// The run is refused, or teeterd is away for too long.
pub(super) async fn carry_out(
    context: &Context,
    request: &RunRequest,
    hooks: &Hooks,
    interrupt: &mut Interrupt,
) -> Result<CarriedOut, CliError> {
    let run: RunView = context.client.post("/v1/runs", request).await?;
    let identity = Identity::new(format!("`teeter deploy` with {}", hooks.program()));
    let attend = Attend::to(&context.client, run.id, &identity);
    carry_on(context, run, hooks, interrupt, Attending { attend, identity }).await
}

/// How this process attends to a run.
pub(super) struct Attending {
    pub(super) attend: Attend,
    pub(super) identity: Identity,
}

/// Does the work of a run until it ends.
///
/// # Errors
/// teeterd is away for too long, or refuses a report.
pub(super) async fn carry_on(
    context: &Context,
    mut run: RunView,
    hooks: &Hooks,
    interrupt: &mut Interrupt,
    attending: Attending,
) -> Result<CarriedOut, CliError> {
    let Attending { attend, identity } = attending;
    let mut attend = Some(attend);
    let mut follow = Follow::new(context, &run);
    let output = Output::new(Upload::of_run(&context.client, run.id), context.json, follow.display.hook.clone());
    follow.display.progress.line(&queries::header(&run));
    loop {
        follow.show(&run);
        match Awaiting::by(&run) {
            Awaiting::Ended => break,
            Awaiting::Nothing => {
                run = tokio::select! {
                    biased;
                    () = interrupt.received() => return Ok(left(&mut follow, run)),
                    next = follow.next() => next?,
                };
            }
            Awaiting::Work(wanted) => {
                attend.get_or_insert_with(|| Attend::to(&context.client, run.id, &identity));
                let outcome = work(context, hooks, &run, &wanted, &mut follow, interrupt, &output).await;
                if outcome == Outcome::Left {
                    // An abort waits for this disconnect before it brings the servers back.
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
                if interrupted && matches!(Awaiting::by(&run), Awaiting::Nothing) {
                    return Ok(left(&mut follow, run));
                }
            }
        }
    }
    drop(attend);
    follow.display.progress.clear();
    Ok(CarriedOut::Ended(run))
}

/// Prints what happens to a run whose deploy is asked to stop.
fn left(follow: &mut Follow<'_>, run: RunView) -> CarriedOut {
    follow.display.progress.clear();
    print::err(&format!(
        "interrupted: run {} stays; it goes on until it waits for work, which this command does not do any more\n{}",
        run.id,
        going_on(run.id)
    ));
    CarriedOut::Left(run)
}
