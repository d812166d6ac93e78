//! The commands that only read: status, holds, why, runs, show, doctor.

use std::fmt::Display;

use jiff::tz::TimeZone;

use super::error::CliError;
use super::live::{Marks, estimate_text};
use super::{Context, calendar, clock, drained, events, print, run_text, shell, tables};
use crate::api::{Exit, FindingStatus, Findings, Holds, RunView, Runs, Sessions};
use crate::control::client::{ClientError, with_query};

/// A path with these selectors.
pub(super) fn selecting(path: &str, selectors: &[impl Display]) -> String {
    with_query(path, selectors.iter().map(|selector| ("sel", selector.to_string())))
}

/// The sessions on these servers.
///
/// # Errors
/// See [`ClientError`].
pub(super) async fn sessions_on(context: &Context, selectors: &[impl Display]) -> Result<Sessions, ClientError> {
    Ok(context.client.get(&selecting("/v1/sessions", selectors)).await?.0)
}

/// `teeter doctor`.
pub(super) async fn doctor(context: &Context) -> Result<Exit, CliError> {
    let (view, _): (Findings, _) = context.client.get("/v1/doctor").await?;
    if context.json {
        print::json(&view)?;
    } else {
        print::out(&tables::findings(&view.findings))?;
    }
    let any = |state: FindingStatus| view.findings.iter().any(|finding| finding.state == state);
    Ok(match (any(FindingStatus::Error), any(FindingStatus::Unreachable)) {
        (true, _) => Exit::Failed,
        (false, true) => Exit::Unreachable,
        (false, false) => Exit::Done,
    })
}

/// `teeter holds`.
pub(super) async fn holds(context: &Context, by_day: bool) -> Result<Exit, CliError> {
    let (mut view, _): (Holds, _) = context.client.get("/v1/holds").await?;
    if context.json {
        print::json(&view)?;
        return Ok(Exit::Done);
    }
    calendar::by_end(&mut view.holds);
    let (now, zone) = (clock::now(), TimeZone::system());
    print::out(&match (view.holds.as_slice(), by_day) {
        ([], _) => "no holds: teeter keeps no server out".to_owned(),
        (holds, false) => tables::holds(holds, now, &zone),
        (holds, true) => calendar::calendar(holds, now, &zone),
    })?;
    Ok(Exit::Done)
}

/// `teeter why`.
pub(super) async fn why(context: &Context, selectors: &[impl Display]) -> Result<Exit, CliError> {
    let view = sessions_on(context, selectors).await?;
    if context.json {
        print::json(&view)?;
    } else {
        print::out(&tables::sessions(&view.sessions))?;
    }
    Ok(Exit::Done)
}

/// `teeter runs`.
pub(super) async fn runs(context: &Context) -> Result<Exit, CliError> {
    let (mut view, _): (Runs, _) = context.client.get("/v1/runs").await?;
    if context.json {
        print::json(&view)?;
    } else {
        view.runs.sort_by_key(|run| std::cmp::Reverse(run.id));
        print::out(&tables::runs(&view.runs, clock::now()))?;
    }
    Ok(Exit::Done)
}

/// A run by its number, or the latest.
///
/// # Errors
/// There is no such run, or teeterd is away.
pub(super) async fn run_or_latest(context: &Context, run: Option<u64>) -> Result<RunView, CliError> {
    let id = match run {
        Some(run) => run,
        None => {
            let (view, _): (Runs, _) = context.client.get("/v1/runs").await?;
            let latest = view.runs.into_iter().map(|run| run.id).max();
            latest.ok_or_else(|| CliError::NotFound { text: "there is no run yet".to_owned(), hint: None })?
        }
    };
    // The list has not everything that a run has.
    Ok(context.client.get(&format!("/v1/runs/{id}")).await?.0)
}

/// `teeter show --variables`.
pub(super) async fn variables(context: &Context, run: Option<u64>) -> Result<Exit, CliError> {
    let run = run_or_latest(context, run).await?;
    if context.json {
        print::json(&run)?;
    } else {
        print::out(&shell::assignments(&shell::variables(&run, run.work.as_ref())))?;
    }
    Ok(Exit::Done)
}

/// `teeter show`.
pub(super) async fn show(context: &Context, run: Option<u64>) -> Result<Exit, CliError> {
    let run = run_or_latest(context, run).await?;
    if context.json {
        print::json(&run)?;
        return Ok(Exit::Done);
    }
    let happened = events::of_run(context, run.id).await?;
    let mut text = format!("{}\n\n{}\n", header(&run), tables::steps(&run));
    let marks = Marks::for_locale(|name| std::env::var(name).ok());
    run.drains.iter().for_each(|drain| text.push_str(&format!("\n{}", drained::line(drain, marks))));
    if !run.drains.is_empty() {
        text.push('\n');
    }
    for event in &happened {
        text.push_str(&format!("\n{}", events::line(event)));
    }
    if !happened.is_empty() {
        text.push('\n');
    }
    text.push_str(&format!("\n{}", outlook(&run)));
    print::out(&text)?;
    Ok(Exit::Done)
}

/// A run in one or two lines.
pub(super) fn header(run: &RunView) -> String {
    let version = run_text::version(run);
    let mut text = if run.id == 0 {
        format!("{} of {}{version}", run.strategy, run.farm)
    } else {
        format!("run {}: {} of {}{version}, {}", run.id, run.strategy, run.farm, tables::state(run))
    };
    if run.id != 0 {
        text.push_str(&format!("\nstarted by {} at {}", run.by, clock::local(run.started)));
    }
    if let Some(finished) = run.finished {
        text.push_str(&format!(", ended at {}", clock::local(finished)));
    }
    for name in &run.without_haproxy {
        text.push_str(&format!(
            "\nwithout HAProxy {name}, which does not answer: it gets the changes as soon as it answers"
        ));
    }
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for (member, why) in &run.skipped {
        match reasons.iter_mut().find(|(reason, _)| reason == why) {
            Some((_, members)) => members.push(member),
            None => reasons.push((why, vec![member])),
        }
    }
    for (why, members) in reasons {
        text.push_str(&format!("\nskipped: {} ({why})", members.join(", ")));
    }
    for aside in &run.off {
        text.push_str(&format!("\nskipped: {aside}"));
    }
    run.notes.iter().for_each(|note| text.push_str(&format!("\nnote: {note}")));
    text
}

/// The state of a run: what it waits for or why it failed, the servers that are out, the next command.
pub(super) fn outlook(run: &RunView) -> String {
    let mut lines = Vec::new();
    lines.extend(run.why.iter().map(|why| format!("failed: {why}")));
    lines.extend(run.waiting.iter().map(|why| format!("waiting: {}", why.strip_prefix("waiting ").unwrap_or(why))));
    lines.extend(run.estimate.iter().map(|estimate| format!("estimate: {}", estimate_text(estimate))));
    lines.extend(run.remarks.iter().chain(&run.not_reached).map(|remark| format!("note: {remark}")));
    if !run.versions.is_empty() {
        let versions: Vec<_> = run.versions.iter().map(|(member, version)| format!("{member} {version}")).collect();
        lines.push(format!("versions: {}", versions.join(", ")));
    }
    lines.push(match run.out.as_slice() {
        [] => "out: no server, all servers of the run may take traffic".to_owned(),
        out => format!("out: {}", out.join(" ")),
    });
    if let Some(attendant) = &run.attendant {
        let (text, since) = (&attendant.text, attendant.since);
        let age = clock::age(since, clock::now());
        lines.push(format!("at work: {text}, since {} ({age})", clock::local(since)));
        if run.next.is_none() {
            let id = run.id;
            lines.push(format!(
                "next: no command is needed, the caller reports by itself; `teeter pause {id}` pauses the run before its \
                 next step, `teeter abort {id}` ends it"
            ));
        }
    }
    lines.extend(run.next.iter().map(|next| format!("next: {next}")));
    lines.join("\n")
}
