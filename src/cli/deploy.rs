//! `teeter deploy`: begins a run, does its work with the caller's hook, and stays until it ends.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::args::Deploy;
use super::attend::Attend;
use super::error::{CliError, going_on};
use super::follow::{Follow, Standing};
use super::hook::{Hook, Outcome};
use super::interrupt::Interrupt;
use super::{Context, clock, ending, look, print, shell, tables};
use crate::control::api::{Exit, RunView, WorkView};

/// `teeter deploy`.
pub(super) async fn deploy(context: &Context, args: Deploy) -> Result<Exit, CliError> {
    if args.options.dry_run {
        let run: RunView = context.client.post("/v1/runs", &args.request()).await?;
        return planned(context, &run);
    }
    let hooks = Hooks::find(&args, context.json)?;
    // From here on no signal ends this process before it has said what it leaves behind.
    let mut interrupt = Interrupt::listen()?;
    let mut run: RunView = context.client.post("/v1/runs", &args.request()).await?;
    let mut attend = Some(Attend::to(&context.client, run.id));
    let mut follow = Follow::new(context, &run);
    follow.progress.line(&look::header(&run));
    loop {
        follow.show(&run);
        match Standing::of(&run) {
            Standing::Ended => break,
            Standing::Going => {
                run = tokio::select! {
                    biased;
                    () = interrupt.received() => return left(context, &mut follow, &run),
                    next = follow.next() => next?,
                };
            }
            Standing::Work(work) => {
                follow.progress.clear();
                attend.get_or_insert_with(|| Attend::to(&context.client, run.id));
                let outcome = do_work(&hooks, &run, &work, &mut follow, &mut interrupt).await;
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
                run = follow.report(work.step, failed).await?;
                if interrupted && matches!(Standing::of(&run), Standing::Going) {
                    return left(context, &mut follow, &run);
                }
            }
        }
    }
    drop(attend);
    follow.progress.clear();
    if context.json {
        print::json(&run)?;
    } else if run.state == "done" {
        ending::summary(&run)?;
    }
    ending::explain(context, &run).await;
    Ok(ending::exit(&run))
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

async fn do_work(
    hooks: &Hooks,
    run: &RunView,
    work: &WorkView,
    follow: &mut Follow<'_>,
    interrupt: &mut Interrupt,
) -> Outcome {
    let Some((hook, per_server)) = hooks.of(&work.phase) else {
        return Outcome::Failed(format!("this command has no hook for {}", work.phase));
    };
    let parts = if per_server { shell::each_server(work) } else { vec![work.clone()] };
    for (index, part) in parts.into_iter().enumerate() {
        // Between two servers the run may have been aborted: the next one may take traffic again.
        let still = |run: &RunView| matches!(Standing::of(run), Standing::Work(at) if at.step == work.step);
        if index > 0 && follow.now().await.is_ok_and(|run| !still(&run)) {
            return Outcome::Left;
        }
        let elapsed = clock::elapsed(run.started, clock::now());
        follow.progress.line(&format!(
            "{elapsed}  {} for {}: {}",
            if work.phase == "deploy" { "hook" } else { &work.phase },
            part.group,
            part.servers.join(" ")
        ));
        match hook.run(&shell::variables(run, Some(&part)), interrupt, follow.left(work.step)).await {
            Outcome::Done => {}
            Outcome::Failed(why) if per_server => {
                return Outcome::Failed(format!("{why} on {}", part.servers.join(" ")));
            }
            outcome => return outcome,
        }
    }
    Outcome::Done
}

/// What the caller does, by phase.
struct Hooks {
    deploy: (Hook, bool),
    others: BTreeMap<&'static str, Hook>,
}

impl Hooks {
    fn find(args: &Deploy, stdout_to_stderr: bool) -> Result<Self, CliError> {
        let deploy = (Hook::find(&args.hook, stdout_to_stderr)?, args.per_server);
        let commands = [("before-out", &args.before_out), ("after-out", &args.after_out), ("after-in", &args.after_in)];
        let mut others = BTreeMap::new();
        for (phase, command) in commands {
            let Some(command) = command else { continue };
            let words = ["sh", "-c", command].map(OsString::from);
            others.insert(phase, Hook::find(&words, stdout_to_stderr)?);
        }
        Ok(Self { deploy, others })
    }

    /// The hook of a phase, and whether it is called once for each server.
    fn of(&self, phase: &str) -> Option<(&Hook, bool)> {
        match phase {
            "deploy" => Some((&self.deploy.0, self.deploy.1)),
            other => self.others.get(other).map(|hook| (hook, false)),
        }
    }
}

/// Says what becomes of a run whose deploy is asked to stop.
fn left(context: &Context, follow: &mut Follow<'_>, run: &RunView) -> Result<Exit, CliError> {
    follow.progress.clear();
    print::err(&format!(
        "interrupted: run {} stays; it goes on until it waits for work, and nobody does that now\n{}",
        run.id,
        going_on(run.id)
    ));
    if context.json {
        print::json(run)?;
    }
    Ok(Exit::Failed)
}
