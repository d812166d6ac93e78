//! `teeter wait`: waits until servers are empty, or take traffic.

use std::collections::BTreeSet;

use super::args::{Until, Wait};
use super::error::CliError;
use super::progress::Progress;
use super::watch::Watch;
use super::{Context, names, preview, print, queries};
use crate::api::{Exit, HoldStage, Holds, ServerView, StatusView};
use crate::farm::{InstanceName, Span};

/// `teeter wait`.
pub(super) async fn wait(context: &Context, args: Wait) -> Result<Exit, CliError> {
    match (&args.servers.haproxy, args.until) {
        (Some(name), _) => haproxy(context, name, args.timeout).await,
        // The grammar requires one of the two.
        (None, until) => servers(context, &args, until.unwrap_or(Until::Drained)).await,
    }
}

async fn servers(context: &Context, args: &Wait, until: Until) -> Result<Exit, CliError> {
    let named = args.servers.all();
    preview::print_servers(context, &named).await?;
    let progress = Progress::new();
    let mut watch = Watch::new(&context.client, queries::selecting("/v1/status", &named));
    let mut latest: Option<StatusView> = None;
    let reached = async {
        let mut answers = 0;
        loop {
            let view: StatusView = watch.next(&progress).await?;
            let mut missing = missing(&view, until);
            if missing.is_empty() && until == Until::Drained {
                missing = emptying(context, &view).await?;
            }
            answers = if missing.is_empty() { answers + 1 } else { 0 };
            latest = Some(view);
            if answers == needed(until) {
                return Ok::<(), CliError>(());
            }
            progress.waiting(if missing.is_empty() { "nothing in flight, looking again" } else { &missing });
        }
    };
    let outcome = tokio::time::timeout(args.timeout.duration(), reached).await;
    progress.clear();
    let reached = match outcome {
        Ok(outcome) => outcome.map(|()| true)?,
        Err(_) => false,
    };
    if let (true, Some(view)) = (context.json, &latest) {
        print::json(view)?;
    }
    if reached {
        if !context.json {
            print::out(match until {
                Until::Drained => "drained: nothing is in flight",
                Until::Up => "up: every server takes traffic",
            })?;
        }
        return Ok(Exit::Done);
    }
    let missing = latest.as_ref().map(|view| missing(view, until)).unwrap_or_default();
    let what = match (until, missing.is_empty()) {
        (_, true) => "teeterd gave no second answer",
        (Until::Drained, false) => "not drained",
        (Until::Up, false) => "not up",
    };
    print::err(&format!("after {}: {what}: {missing}", args.timeout));
    Ok(Exit::TimedOut)
}

/// Waits until a HAProxy answers and agrees with the stored state.
async fn haproxy(context: &Context, name: &InstanceName, timeout: Span) -> Result<Exit, CliError> {
    let progress = Progress::new();
    let mut watch = Watch::new(&context.client, "/v1/status".to_owned());
    let mut missing = "teeterd has not answered".to_owned();
    let reached = async {
        loop {
            let view: StatusView = watch.next(&progress).await?;
            let Some(instance) = view.instances.iter().find(|instance| instance.name == name.as_str()) else {
                let known: Vec<&str> = view.instances.iter().map(|instance| instance.name.as_str()).collect();
                let text = format!("there is no HAProxy {name}: teeterd is configured with {}", known.join(", "));
                return Err(CliError::NotFound { text, hint: None });
            };
            if instance.reachable && instance.agrees {
                return Ok(view);
            }
            let what = if instance.reachable { "does not agree with the stored state yet" } else { "does not answer" };
            let why = instance.trouble.iter().map(|trouble| format!(": {trouble}")).collect::<String>();
            missing = format!("HAProxy {name} {what}{why}");
            progress.waiting(&missing);
        }
    };
    let outcome = tokio::time::timeout(timeout.duration(), reached).await;
    progress.clear();
    let Ok(view) = outcome else {
        print::err(&format!("after {timeout}: {missing}"));
        return Ok(Exit::TimedOut);
    };
    let view = view?;
    if context.json {
        print::json(&view)?;
    } else {
        print::out(&format!("HAProxy {name} answers and agrees with the stored state"))?;
    }
    Ok(Exit::Done)
}

/// The number of samples in a row: one empty sample may fall between two requests.
fn needed(until: Until) -> u32 {
    match until {
        Until::Drained => 2,
        Until::Up => 1,
    }
}

/// What the holds on these servers still wait for. teeterd checks more than the current counters, which may be zero
/// while requests are on their way.
async fn emptying(context: &Context, view: &StatusView) -> Result<String, CliError> {
    let on_them: BTreeSet<u64> = view.servers.iter().flat_map(|server| server.holds.iter().copied()).collect();
    if on_them.is_empty() {
        return Ok(String::new());
    }
    let (view, _): (Holds, _) = context.client.get("/v1/holds").await?;
    let emptying =
        view.holds.into_iter().filter(|hold| on_them.contains(&hold.id) && hold.stage == HoldStage::Draining);
    Ok(emptying.map(|hold| hold.waiting.unwrap_or_else(|| hold.stage.to_string())).collect::<Vec<_>>().join(", "))
}

/// The servers that have not reached the state, with reasons; empty if all have.
fn missing(view: &StatusView, until: Until) -> String {
    let several = view.instances.len() > 1;
    let away = |server: &ServerView| {
        view.instances.iter().any(|instance| instance.name == server.instance && !instance.reachable)
    };
    let texts = view.servers.iter().filter_map(|server| {
        let name = names::line_name(server, several);
        match until {
            // The state last seen may be outdated.
            _ if away(server) => Some(format!("{name} unknown, HAProxy does not answer")),
            Until::Drained if server.in_service => Some(format!("{name} takes traffic")),
            Until::Drained if server.in_flight > 0 => Some(format!("{name} {} in flight", server.in_flight)),
            Until::Up if !server.in_service && server.held_by.is_empty() => Some(format!("{name} {}", server.status)),
            Until::Up if !server.in_service => Some(format!("{name} out: {}", server.held_by.join(", "))),
            Until::Drained | Until::Up => None,
        }
    });
    texts.collect::<Vec<_>>().join(", ")
}
