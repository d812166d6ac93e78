//! `teeter begin`, `advance`, `abort` and others: a run step by step, for pipelines that do the work themselves.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;

use super::args::{Advance, Begin, Flip};
use super::deploy::planned;
use super::error::CliError;
use super::follow::{Awaiting, Follow};
use super::interrupt::{self, Interrupt};
use super::queries;
use super::{Context, print, result, shell};
use crate::api::{AdvanceRequest, Exit, Holds, IdleView, RollbackRequest, RunFailure, RunStatus, RunView, StatusView};
use crate::farm::{FarmName, InstanceName};

/// `teeter begin`.
pub(super) async fn begin(context: &Context, args: Begin) -> Result<Exit, CliError> {
    if args.options.dry_run {
        let run: RunView = context.client.post("/v1/runs", &args.request()).await?;
        return planned(context, &run);
    }
    let begun = async {
        let mut interrupt = Interrupt::listen()?;
        let run: RunView = context.client.post("/v1/runs", &args.request()).await?;
        wait_and_tell(context, run, &mut interrupt, false).await
    };
    print_failure_for_eval(context, begun.await)
}

/// `teeter flip`.
pub(super) async fn flip(context: &Context, args: Flip) -> Result<Exit, CliError> {
    let dry_run = args.dry_run;
    let mut interrupt = Interrupt::listen()?;
    let run: RunView = context.client.post("/v1/runs", &args.request()).await?;
    if dry_run {
        return planned(context, &run);
    }
    let mut follow = Follow::new(context, &run);
    if run.steps.is_empty() {
        follow.display.progress.line(&format!("nothing to do: the traffic of {} is on that side already", run.farm));
    }
    let Some(run) = followed(&mut follow, run, &mut interrupt, "goes on without this command").await? else {
        return Ok(interrupt::exit());
    };
    result::conclude(context, &run).await
}

/// `teeter advance`.
pub(super) async fn advance(context: &Context, args: Advance) -> Result<Exit, CliError> {
    let reports_failure = args.failed.is_some();
    let advanced = async {
        let mut interrupt = Interrupt::listen()?;
        let request = AdvanceRequest { step: args.step, failed: args.failed, key: None, force: args.force };
        let run: RunView = context.client.post(&format!("/v1/runs/{}/advance", args.run), &request).await?;
        wait_and_tell(context, run, &mut interrupt, reports_failure).await
    };
    print_failure_for_eval(context, advanced.await)
}

/// `teeter continue` at a watch that has ended without a verdict.
pub(super) async fn go_on_without_verdict(context: &Context, run: &RunView) -> Result<Exit, CliError> {
    let request = AdvanceRequest { step: Some(run.cursor), failed: None, key: None, force: false };
    let run: RunView = context.client.post(&format!("/v1/runs/{}/advance", run.id), &request).await?;
    if context.json {
        print::json(&run)?;
    } else {
        print::out(&format!("run {} goes on without a verdict", run.id))?;
    }
    Ok(Exit::Done)
}

/// `teeter idle`.
pub(super) async fn idle(context: &Context, farm: &FarmName, without: &[InstanceName]) -> Result<Exit, CliError> {
    let query: Vec<String> = without.iter().map(|name| format!("without_haproxy={name}")).collect();
    let idle = context.client.get(&format!("/v1/farms/{farm}/idle?{}", query.join("&"))).await;
    let printed = idle.map_err(CliError::from).and_then(|(idle, _): (IdleView, _)| {
        if context.json {
            print::json(&idle)?;
            return Ok(Exit::Done);
        }
        print::out(&shell::assignments(&[
            ("TEETER_FARM", idle.farm),
            ("TEETER_GROUP", idle.idle),
            ("TEETER_SERVERS", idle.servers.join(" ")),
            ("TEETER_ADDRESSES", idle.addresses.join(" ")),
        ]))?;
        Ok(Exit::Done)
    });
    print_failure_for_eval(context, printed)
}

/// `teeter pause` and `teeter resume`.
pub(super) async fn pause(context: &Context, run: u64, what: &str) -> Result<Exit, CliError> {
    let nothing = serde_json::Map::new();
    let run: RunView = context.client.post(&format!("/v1/runs/{run}/{what}"), &nothing).await?;
    if context.json {
        print::json(&run)?;
    } else {
        let step = run.steps.get(run.cursor).map(|step| format!(" at `{}`", step.text)).unwrap_or_default();
        let how = if run.paused { "is paused" } else { "goes on" };
        print::out(&format!("run {} {how}{step}", run.id))?;
    }
    Ok(Exit::Done)
}

/// `teeter retry`.
pub(super) async fn retry(context: &Context, run: u64) -> Result<Exit, CliError> {
    let retried = async {
        let mut interrupt = Interrupt::listen()?;
        let nothing = serde_json::Map::new();
        let run: RunView = context.client.post(&format!("/v1/runs/{run}/retry"), &nothing).await?;
        wait_and_tell(context, run, &mut interrupt, false).await
    };
    print_failure_for_eval(context, retried.await)
}

/// `teeter rollback`.
pub(super) async fn rollback(context: &Context, run: u64, reason: Option<String>) -> Result<Exit, CliError> {
    let mut interrupt = Interrupt::listen()?;
    let run: RunView = context.client.post(&format!("/v1/runs/{run}/rollback"), &RollbackRequest { reason }).await?;
    let mut follow = Follow::new(context, &run);
    let Some(run) = followed(&mut follow, run, &mut interrupt, "goes on rolling back without this command").await?
    else {
        return Ok(interrupt::exit());
    };
    if context.json {
        print::json(&run)?;
    }
    if run.state != RunStatus::RolledBack {
        result::explain(context, &run).await;
        return Ok(result::exit(&run));
    }
    if !context.json {
        print::out(&format!("run {} is rolled back: the traffic of {} is on the previous side", run.id, run.farm))?;
        result::kept_out(&run);
    }
    Ok(Exit::Done)
}

/// `teeter abort`.
pub(super) async fn abort(context: &Context, run: u64) -> Result<Exit, CliError> {
    let mut interrupt = Interrupt::listen()?;
    let nothing = serde_json::Map::new();
    let run: RunView = context.client.post(&format!("/v1/runs/{run}/abort"), &nothing).await?;
    let mut follow = Follow::new(context, &run);
    let mut now = run;
    // A failed run and a running one both go on here: only the end counts.
    while !matches!(now.state, RunStatus::Aborted | RunStatus::RolledBack | RunStatus::Done) {
        follow.show(&now);
        if let (RunStatus::Aborting, Some(next)) = (&now.state, &now.next) {
            follow.display.progress.clear();
            print::err(&format!(
                "run {} is not aborted yet: {}\nkept out of {}: {}\nnext: {next}",
                now.id,
                now.waiting.as_deref().unwrap_or("it waits"),
                now.farm,
                now.out.join(" ")
            ));
            return Ok(Exit::TimedOut);
        }
        follow.going(&now);
        now = tokio::select! {
            biased;
            () = interrupt.received() => {
                follow.display.progress.clear();
                print::err(&format!("the abort of run {0} goes on without this command\nnext: teeter show {0}", now.id));
                return Ok(interrupt::exit());
            }
            next = follow.next() => next?,
        };
    }
    follow.display.progress.clear();
    if context.json {
        print::json(&now)?;
    } else {
        print::out(&aftermath(context, &now).await?)?;
    }
    Ok(if now.state == RunStatus::Done { Exit::Failed } else { Exit::Done })
}

/// The run once it waits for its caller or has ended; `None` if the caller was interrupted, after a message about the
/// run.
async fn followed(
    follow: &mut Follow<'_>,
    run: RunView,
    interrupt: &mut Interrupt,
    becomes: &str,
) -> Result<Option<RunView>, CliError> {
    let id = run.id;
    let run = tokio::select! {
        biased;
        () = interrupt.received() => {
            follow.display.progress.clear();
            print::err(&format!("interrupted: run {id} {becomes}\nnext: teeter show {id}"));
            return Ok(None);
        }
        run = follow.until_awaiting(run) => run?,
    };
    follow.display.progress.clear();
    Ok(Some(run))
}

async fn wait_and_tell(
    context: &Context,
    run: RunView,
    interrupt: &mut Interrupt,
    reports_failure: bool,
) -> Result<Exit, CliError> {
    let mut follow = Follow::new(context, &run);
    let Some(run) = followed(&mut follow, run, interrupt, "goes on until it waits for work").await? else {
        return Ok(interrupt::exit());
    };
    let work = if let Awaiting::Work(work) = Awaiting::by(&run) { Some(work) } else { None };
    // The caller reported this failure, so the command succeeded.
    let recorded = reports_failure && run.failure == Some(RunFailure::Work);
    let exit = if recorded || work.is_some() { Exit::Done } else { result::exit(&run) };
    if context.json {
        print::json(&run)?;
    } else if exit == Exit::Done {
        print::out(&shell::assignments(&shell::variables(&run, work.as_ref())))?;
    }
    if run.state == RunStatus::Done {
        print::err(&format!("run {} is done", run.id));
    } else if work.is_none() {
        result::explain(context, &run).await;
    }
    Ok(exit)
}

/// Prints the exit code of a failure as text for `eval "$(teeter …)"`, which loses the exit code itself; not on a
/// terminal.
fn print_failure_for_eval(context: &Context, outcome: Result<Exit, CliError>) -> Result<Exit, CliError> {
    let exit = outcome.as_ref().map_or_else(CliError::exit, |exit| *exit);
    if exit != Exit::Done && !context.json && !std::io::stdout().is_terminal() {
        print::out(&shell::failed(exit))?;
    }
    outcome
}

async fn aftermath(context: &Context, run: &RunView) -> Result<String, CliError> {
    let selectors = [format!("farm:{}", run.farm)];
    let view = match context.client.get::<StatusView>(&queries::selecting("/v1/status", &selectors)).await {
        Ok((view, _)) => Some(view),
        Err(error) if error.is_away() => return Err(error.into()),
        // The run has ended anyway. Its farm may have been removed from the configuration, or changed.
        Err(error) => {
            print::err(&format!("the servers of farm {} cannot be shown: {error}", run.farm));
            None
        }
    };
    let (mut back, mut not): (BTreeSet<&str>, BTreeSet<&str>) = (BTreeSet::new(), BTreeSet::new());
    for server in view.iter().flat_map(|view| &view.servers) {
        let set = if server.in_service { &mut back } else { &mut not };
        set.insert(server.server.as_str());
    }
    let back: Vec<&str> = back.difference(&not).copied().collect();
    let ended = if run.state == RunStatus::RolledBack { "rolled back" } else { "aborted" };
    let mut text = format!("run {} is {ended}", run.id);
    if !back.is_empty() {
        text.push_str(&format!("\nin service: {}", back.join(" ")));
    }
    let (holds, _): (Holds, _) = context.client.get("/v1/holds").await?;
    let owner = format!("run {}", run.id);
    for hold in holds.holds.iter().filter(|hold| hold.owner == owner) {
        let why = hold.note.as_deref().map(|note| format!(": {note}")).unwrap_or_default();
        text.push_str(&format!("\nstill out: {}{why}", hold.members.join(" ")));
    }
    match (run.out.as_slice(), &run.next) {
        (_, Some(next)) => text.push_str(&format!("\nnext: {next}")),
        ([], None) => {}
        (out, None) => text.push_str(&format!("\nnext: teeter ready {}   when they are healthy", shell::words(out))),
    }
    Ok(text)
}
