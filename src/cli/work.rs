//! The work on a group: the hook called for all of it, or for its servers, several at once.

use std::pin::pin;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;

use super::follow::{Follow, Standing};
use super::hook::{Hook, Outcome, Stop};
use super::hooks::Hooks;
use super::interrupt::Interrupt;
use super::output::Output;
use super::{Context, clock, print, shell};
use crate::api::{RunView, WorkPhase, WorkView};

/// Does the work that a run waits for.
pub(super) async fn work(
    context: &Context,
    hooks: &Hooks,
    run: &RunView,
    work: &WorkView,
    follow: &mut Follow<'_>,
    interrupt: &mut Interrupt,
    output: &Output,
) -> Outcome {
    let Some((hook, servers_at_once)) = hooks.of(&work.phase) else {
        return Outcome::Failed(format!("this command has no hook for {}", work.phase));
    };
    let (stop, stopped) = watch::channel(None);
    let calls = Calls { context, run, work, hook, also: hooks.also(), output, stopped };
    let mut left = pin!(follow.left(work.step));
    let mut calls = pin!(calls.make(servers_at_once));
    let mut stops = None;
    let outcome = loop {
        tokio::select! {
            biased;
            () = interrupt.received(), if stops.is_none() => {
                stops = Some(Stop::Interrupted);
                stop.send_replace(stops);
                print::err("ending the hook");
            }
            () = &mut left, if stops.is_none() => {
                stops = Some(Stop::Left);
                stop.send_replace(stops);
                print::err("the run has left this step (aborted, or reported on by somebody else): ending the hook");
            }
            outcome = &mut calls => break outcome,
        }
    };
    output.flush().await;
    outcome
}

struct Calls<'a> {
    context: &'a Context,
    run: &'a RunView,
    work: &'a WorkView,
    hook: &'a Hook,
    also: &'a [(&'static str, String)],
    output: &'a Output,
    stopped: watch::Receiver<Option<Stop>>,
}

impl Calls<'_> {
    /// Calls the hook for the group, or for its servers, so many at once. After the first that does not end well no
    /// more are begun; those under way go on to their end.
    async fn make(&self, servers_at_once: Option<usize>) -> Outcome {
        let Some(at_once) = servers_at_once else { return self.call(self.work.clone(), &self.work.group).await };
        let mut waiting = shell::each_server(self.work).into_iter().enumerate();
        let mut under_way = FuturesUnordered::new();
        let mut failures = Vec::new();
        let mut ended = Outcome::Done;
        loop {
            while ended == Outcome::Done && failures.is_empty() && under_way.len() < at_once {
                let Some((index, part)) = waiting.next() else { break };
                // Between two servers the run may have been aborted: the next one may take traffic again.
                if index > 0 && !self.is_wanted().await {
                    ended = Outcome::Left;
                    break;
                }
                let server = part.servers.join(" ");
                under_way.push(async move { (self.call(part, &server).await, server) });
            }
            match under_way.next().await {
                Some((Outcome::Done, _)) => {}
                Some((Outcome::Failed(why), server)) => failures.push(format!("{why} on {server}")),
                Some((other, _)) => ended = other,
                None if failures.is_empty() => return ended,
                // That others were told to end does not undo a failure, but it is the reason to stop.
                None if ended != Outcome::Done => return ended,
                None => return Outcome::Failed(failures.join("; ")),
            }
        }
    }

    async fn call(&self, part: WorkView, from: &str) -> Outcome {
        let elapsed = clock::elapsed(self.run.started, clock::now());
        let what = if part.phase == WorkPhase::Deploy { "hook" } else { part.phase.as_str() };
        print::err(&format!("{elapsed}  {what} for {}: {}", part.group, part.servers.join(" ")));
        let mut variables = shell::variables(self.run, Some(&part));
        variables.extend_from_slice(self.also);
        self.hook.run(&variables, from, self.output, self.stopped.clone()).await
    }

    /// Whether the run still waits for this work; a teeterd that is away says nothing about that.
    async fn is_wanted(&self) -> bool {
        if self.stopped.borrow().is_some() {
            return false;
        }
        let run = self.context.client.get::<RunView>(&format!("/v1/runs/{}", self.run.id)).await;
        run.map_or(true, |(run, _)| matches!(Standing::of(&run), Standing::Work(at) if at.step == self.work.step))
    }
}
