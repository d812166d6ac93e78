//! `teeter drain` and `teeter maint`: take servers out and wait until nothing is in flight on them.

use std::time::Duration;

use super::args::Take;
use super::error::CliError;
use super::interrupt::{self, Interrupt};
use super::limit::{self, Limit};
use super::progress::Progress;
use super::watch::Watch;
use super::{Context, clock, names, preview, print, queries, shell, tables};
use crate::api::{Exit, HoldMode, HoldStage, HoldView};
use crate::farm::OnDeadline;

/// How the wait for a hold ended.
enum Ended {
    Out,
    Stuck,
    /// The time of the hold ended before the servers were empty.
    Over,
    Vanished,
    /// The servers are being brought back already.
    Returning,
    /// It has taken longer than a command waits.
    Overdue(Duration),
    Interrupted,
}

/// `teeter drain` and `teeter maint`.
pub(super) async fn take(context: &Context, mode: HoldMode, args: Take) -> Result<Exit, CliError> {
    let mut interrupt = Interrupt::listen()?;
    let named = args.servers.all();
    preview::print_servers(context, &named).await?;
    let mut hold: HoldView = context.client.post("/v1/holds", &args.request(mode)).await?;
    let progress = Progress::new();
    let ended = if args.no_wait {
        None
    } else {
        progress.line(&format!("hold {}: {} is going out", hold.id, names::servers(&hold)));
        let restores = args.drain.on_deadline == Some(OnDeadline::Restore);
        Some(settle(context, &mut hold, restores, &mut interrupt, &progress).await?)
    };
    progress.clear();
    if context.json {
        print::json(&hold)?;
    }
    let selectors = shell::words(&named);
    let (id, servers) = (hold.id, names::servers(&hold));
    let exit = match ended {
        None | Some(Ended::Out) => {
            if !context.json {
                print::out(&out_message(&hold, ended.is_some(), &selectors))?;
                hold.note.iter().for_each(|note| print::err(&format!("hold {id}: {note}")));
            }
            Exit::Done
        }
        Some(Ended::Stuck) => {
            let note = hold.note.as_deref().unwrap_or("the remaining sessions are not known");
            print::err(&format!("hold {id}: the deadline has passed and {servers} is not drained: {note}"));
            print::err(&format!("{servers} gets no new requests and stays held"));
            if hold.in_flight.is_empty() && note.contains("idle connection") {
                print::err(&format!(
                    "next: teeter maint {selectors} --reason TEXT   HAProxy closes idle connections in maintenance\n      \
                           teeter ready {selectors}                 bring it back"
                ));
            } else {
                remaining(context, &named).await;
                print::err(&format!(
                    "next: teeter wait {selectors} --until drained   wait on\n      \
                           teeter why {selectors}                    list the remaining sessions\n      \
                           teeter ready {selectors}                  bring it back"
                ));
            }
            Exit::TimedOut
        }
        Some(Ended::Over) => {
            print::err(&format!(
                "hold {id}: its time is over and {servers} was not empty; it comes back if healthy\n\
                 next: teeter wait {selectors} --until up   until it takes traffic"
            ));
            Exit::TimedOut
        }
        Some(Ended::Vanished) if args.drain.on_deadline == Some(OnDeadline::Restore) => {
            print::err(&format!("hold {id} has ended: the deadline passed and {servers} takes traffic again"));
            Exit::TimedOut
        }
        Some(Ended::Vanished) => {
            print::err(&format!("hold {id} was ended before {servers} was empty; `teeter events` shows the user"));
            Exit::Aborted
        }
        Some(Ended::Returning) => {
            print::err(&format!(
                "hold {id} is ended: {servers} is brought back before it was empty; `teeter events` shows the user\n\
                 next: teeter wait {selectors} --until up   until it takes traffic"
            ));
            Exit::Aborted
        }
        Some(Ended::Overdue(after)) => {
            let waiting = hold.waiting.as_deref().unwrap_or(hold.stage.as_str());
            print::err(&format!(
                "hold {id}: after {} {servers} is not known to be empty: {waiting}\n\
                 hold {id} stays and goes on without this command\n\
                 next: teeter wait {selectors} --until drained   wait on\n      \
                       teeter ready {selectors}                  bring it back",
                clock::seconds(after.as_secs())
            ));
            Exit::TimedOut
        }
        Some(Ended::Interrupted) => {
            print::err(&format!(
                "hold {id} stays and goes on without this command\n\
                 next: teeter wait {selectors} --until drained   wait on\n      \
                       teeter ready {selectors}                  bring it back"
            ));
            interrupt::exit()
        }
    };
    Ok(exit)
}

/// The sessions that are left, on standard error.
pub(super) async fn remaining(context: &Context, selectors: &[impl std::fmt::Display]) {
    match queries::sessions_on(context, selectors).await {
        Ok(view) => print::err(&tables::sessions(&view.sessions)),
        Err(error) => print::err(&format!("the sessions cannot be listed: {error}")),
    }
}

async fn settle(
    context: &Context,
    hold: &mut HoldView,
    restores: bool,
    interrupt: &mut Interrupt,
    progress: &Progress,
) -> Result<Ended, CliError> {
    let mut watch = Watch::known(&context.client, format!("/v1/holds/{}", hold.id));
    let mut limit = Limit::default();
    loop {
        match hold.stage {
            HoldStage::Out => return Ok(Ended::Out),
            HoldStage::Stuck => return Ok(Ended::Stuck),
            HoldStage::Verifying if hold.expires.is_some_and(|at| at <= clock::now()) => return Ok(Ended::Over),
            // What was drained with `restore` comes back by itself.
            HoldStage::Verifying if !restores => return Ok(Ended::Returning),
            _ => {}
        }
        let until = limit.waits(hold.stage.to_string(), hold.within_s, limit::OWN);
        progress.waiting(&format!("{} ({until})", hold.waiting.as_deref().unwrap_or(hold.stage.as_str())));
        let next = tokio::select! {
            biased;
            () = interrupt.received() => return Ok(Ended::Interrupted),
            next = watch.next(progress) => next,
            after = limit.passed() => return Ok(Ended::Overdue(after)),
        };
        match next {
            Ok(next) => *hold = next,
            Err(error) if error.is_not_found() => return Ok(Ended::Vanished),
            Err(error) => return Err(error.into()),
        }
    }
}

fn out_message(hold: &HoldView, waited: bool, selectors: &str) -> String {
    let (id, servers) = (hold.id, names::servers(hold));
    let what = match (waited, hold.left) {
        (false, _) => format!("hold {id}: {servers} is going out ({})", hold.stage),
        (true, 0) => format!("hold {id}: {servers} is out, nothing is in flight"),
        (true, left) => format!("hold {id}: {servers} is out, though {left} requests were left at the deadline"),
    };
    let owner = if waited { String::new() } else { format!("wait: teeter wait {selectors} --until drained\n") };
    format!("{what}\n{owner}back: teeter ready {selectors}")
}
