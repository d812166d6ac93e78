//! `teeter ready`: ends holds, and waits until the servers are verified.

use std::collections::BTreeMap;

use super::args::Ready;
use super::error::CliError;
use super::interrupt::{self, Interrupt};
use super::limit::{self, Limit};
use super::progress::Progress;
use super::queries;
use super::watch::Watch;
use super::{Context, clock, names, preview, print, shell};
use crate::api::{Exit, HoldStage, HoldView, Holds, ReleaseRequest, StatusView};

/// `teeter ready`.
pub(super) async fn ready(context: &Context, args: Ready) -> Result<Exit, CliError> {
    let request = ReleaseRequest {
        selectors: args.servers.all().into(),
        verify: !args.no_verify,
        deadline: args.deadline,
        force: args.force,
        take_over: args.take_over,
        owner: args.owner.clone(),
        without_haproxy: args.without_haproxy.iter().cloned().collect(),
    };
    let mut interrupt = Interrupt::listen()?;
    let named = args.servers.all();
    // A held server that has another address by now, or none, comes back anyway.
    preview::print_servers(context, &named).await.unwrap_or_default();
    let begun: Holds = context.client.post("/v1/release", &request).await?;
    let selectors = shell::words(&named);
    if args.no_wait {
        match (context.json, begun.holds.is_empty()) {
            (true, _) => print::json(&begun)?,
            (false, true) => print::out(&format!("released; see teeter status {selectors}"))?,
            (false, false) => print::out(&format!("being verified; wait: teeter wait {selectors} --until up"))?,
        }
        return Ok(Exit::Done);
    }

    let progress = Progress::new();
    let mut watch = Watch::known(&context.client, "/v1/holds");
    let mut pending: BTreeMap<u64, HoldView> = begun.holds.into_iter().map(|hold| (hold.id, hold)).collect();
    let mut failed_holds = Vec::new();
    let mut limit = Limit::default();
    loop {
        // When teeterd answered, all holds were being verified. A hold that is not any more has failed the
        // verification, or its servers were taken out again.
        let (rest, failed) = pending.into_iter().partition::<BTreeMap<_, _>, _>(|(_, hold)| is_verifying(hold));
        failed_holds.extend(failed.into_values());
        pending = rest;
        if pending.is_empty() {
            break;
        }
        let until = limit.waits(format!("{:?}", pending.keys()), within_s(&pending), limit::OWN);
        progress.waiting(&format!("{} ({until})", waiting(&pending)));
        let next: Holds = tokio::select! {
            biased;
            () = interrupt.received() => {
                progress.clear();
                print::err(&format!(
                    "the verification goes on without this command\nnext: teeter wait {selectors} --until up"
                ));
                return Ok(interrupt::exit());
            }
            next = watch.next(&progress) => next?,
            after = limit.passed() => {
                progress.clear();
                print::err(&format!(
                    "after {}: {}\nthe verification goes on without this command\n\
                     next: teeter wait {selectors} --until up",
                    clock::seconds(after.as_secs()),
                    waiting(&pending)
                ));
                return Ok(Exit::TimedOut);
            }
        };
        let mut now: BTreeMap<u64, HoldView> = next.holds.into_iter().map(|hold| (hold.id, hold)).collect();
        let before = std::mem::take(&mut pending);
        for (id, old) in before {
            match now.remove(&id) {
                Some(hold) => _ = pending.insert(id, hold),
                None => progress.line(&format!("hold {id}: {} is released", names::servers(&old))),
            }
        }
    }
    progress.clear();
    finish(context, failed_holds, &args).await
}

async fn finish(context: &Context, failed_holds: Vec<HoldView>, args: &Ready) -> Result<Exit, CliError> {
    for hold in &failed_holds {
        let why = hold.note.as_deref().unwrap_or("it was taken out again");
        print::err(&format!("hold {}: {} stays out: {why}", hold.id, names::servers(hold)));
    }
    let exit = if failed_holds.is_empty() { Exit::Done } else { Exit::Failed };
    let selectors = shell::words(&args.servers.all());
    if exit == Exit::Failed {
        print::err(&format!(
            "next: teeter ready {selectors}               when it is healthy\n      \
                   teeter ready {selectors} --deadline 5m  give its checks more time (verify.deadline of its farm)\n      \
                   teeter ready {selectors} --no-verify   bring it back as it is"
        ));
    }
    if context.json {
        print::json(&Holds { holds: failed_holds })?;
        return Ok(exit);
    }
    if exit == Exit::Done {
        let (view, _): (StatusView, _) =
            match context.client.get(&queries::selecting("/v1/status", &args.servers.all())).await {
                Err(error) if error.is_not_found() => {
                    print::out(&format!("{selectors} is released, and HAProxy does not have it any more"))?;
                    return Ok(exit);
                }
                view => view?,
            };
        let several = view.instances.len() > 1;
        let lines = view.servers.iter().map(|server| {
            let name = names::line_name(server, several);
            match (server.in_service, server.held_by.as_slice()) {
                (true, _) => format!("{name} takes traffic ({})", server.status),
                (false, []) => format!("{name} is released, but HAProxy says {} ({})", server.status, server.admin),
                (false, held_by) => format!("{name} stays out: {}", held_by.join(", ")),
            }
        });
        print::out(&lines.collect::<Vec<_>>().join("\n"))?;
        let outside = |text: &String| text.ends_with(SET_OUTSIDE);
        if view.servers.iter().any(|server| !server.in_service && server.held_by.iter().any(outside)) {
            print::err(&format!(
                "next: teeter ready {selectors} --take-over   brings back servers that were set outside teeter"
            ));
        }
    }
    Ok(exit)
}

/// How teeterd marks a state that was set outside teeter.
pub(super) const SET_OUTSIDE: &str = "set outside teeter";

fn is_verifying(hold: &HoldView) -> bool {
    matches!(hold.stage, HoldStage::Verifying | HoldStage::Verified)
}

/// The longest remaining time of all holds; `None` if teeterd gives no time for one of them.
fn within_s(pending: &BTreeMap<u64, HoldView>) -> Option<u64> {
    let all = pending.values().map(|hold| hold.within_s).collect::<Option<Vec<u64>>>()?;
    all.into_iter().max()
}

fn waiting(pending: &BTreeMap<u64, HoldView>) -> String {
    let texts = pending.values().map(|hold| {
        let waiting = hold.waiting.as_deref().unwrap_or(hold.stage.as_str());
        format!("{}: {waiting}", names::servers(hold))
    });
    texts.collect::<Vec<_>>().join("; ")
}
