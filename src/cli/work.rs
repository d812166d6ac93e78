//! The work on a group: one call of the hook for the group, or parallel calls for its servers.

use std::pin::pin;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;

use super::follow::{Awaiting, Follow};
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
    let Some((hook, servers_at_once)) = hooks.for_phase(&work.phase) else {
        return Outcome::Failed(format!("this command has no hook for {}", work.phase));
    };
    let (stop, stopped) = watch::channel(None);
    let calls = Calls { context, run, work, hook, also: hooks.also(), output, stopped };
    let running = follow.display.hook.clone();
    running.begin(clock::now());
    let mut left = pin!(follow.left_step(work.step));
    let mut calls = pin!(calls.run(servers_at_once));
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
                print::err("the run has left this step (aborted, or reported on by another caller): ending the hook");
            }
            outcome = &mut calls => break outcome,
        }
    };
    running.end();
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
    /// Calls the hook for the group, or for its servers, `servers_at_once` in parallel. After the first failure no more
    /// calls are started; running calls go on to their end.
    async fn run(&self, servers_at_once: Option<usize>) -> Outcome {
        let Some(at_once) = servers_at_once else { return self.call(self.work.clone(), &self.work.group).await };
        let mut waiting = shell::each_server(self.work).into_iter().enumerate();
        let mut under_way = FuturesUnordered::new();
        let mut failures = Vec::new();
        let mut ended = Outcome::Done;
        loop {
            while ended == Outcome::Done && failures.is_empty() && under_way.len() < at_once {
                let Some((index, part)) = waiting.next() else { break };
                // The run may have been aborted meanwhile: the next server may take traffic again.
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
                // The request to stop takes precedence over failures of other calls.
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

    /// Whether the run still waits for this work; true if teeterd is away.
    async fn is_wanted(&self) -> bool {
        if self.stopped.borrow().is_some() {
            return false;
        }
        let run = self.context.client.get::<RunView>(&format!("/v1/runs/{}", self.run.id)).await;
        run.map_or(true, |(run, _)| matches!(Awaiting::by(&run), Awaiting::Work(at) if at.step == self.work.step))
    }
}
