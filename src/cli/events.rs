//! `teeter events`: past and new events.

use jiff::Timestamp;

use super::args::Events as Args;
use super::error::CliError;
use super::progress::Progress;
use super::watch::{PATIENCE, PAUSE};
use super::{Context, clock, print};
use crate::api::{CallerView, EventView, Events, Exit};
use crate::control::client::{ClientError, Stream, with_query};

/// `teeter events`.
pub(super) async fn events(context: &Context, args: Args) -> Result<Exit, CliError> {
    if args.follow {
        return follow(context, &args).await;
    }
    let limit = limit(&args);
    let view = read(context, args.run, since(&args), None, limit, args.run.is_some()).await?;
    if context.json {
        print::json(&view)?;
    } else if view.events.is_empty() {
        print::err(if args.since.is_some() { "no events since then" } else { "no events yet" });
    } else {
        print::out(&view.events.iter().map(line).collect::<Vec<_>>().join("\n"))?;
    }
    if args.since.is_some() && args.limit.is_none() && view.events.len() as u64 >= limit {
        print::err(&format!("these are the latest {limit} events, and there may be earlier ones"));
    }
    Ok(Exit::Done)
}

/// The events of a run, without the output of its hooks.
///
/// # Errors
/// See [`ClientError`].
pub(super) async fn of_run(context: &Context, run: u64) -> Result<Vec<EventView>, ClientError> {
    Ok(read(context, Some(run), None, None, PAGE, false).await?.events)
}

/// The events of a run with the output of its hooks, from the first on, and whether there are more than `most`.
///
/// # Errors
/// See [`ClientError`].
pub(super) async fn whole(context: &Context, run: u64, most: usize) -> Result<(Vec<EventView>, bool), ClientError> {
    let mut all: Vec<EventView> = Vec::new();
    loop {
        let after = all.last().map_or(0, |event| event.id);
        let mut page = read(context, Some(run), None, Some(after), PAGE, true).await?.events;
        let is_last = (page.len() as u64) < PAGE;
        all.append(&mut page);
        if is_last || all.len() > most {
            let cut = all.len() > most;
            all.truncate(most);
            return Ok((all, cut));
        }
    }
}

/// One event as a line of text.
pub(super) fn line(event: &EventView) -> String {
    let caller = event.caller.as_ref().map(|caller| format!("  ({})", caller_text(caller))).unwrap_or_default();
    format!("{}  {}{caller}", clock::local(event.at), event.text)
}

/// The user of a caller, and its program.
pub(super) fn caller_text(caller: &CallerView) -> String {
    let user = match &caller.login {
        Some(login) => format!("{} as {}", login.user, caller.user),
        None => caller.user.clone(),
    };
    format!("{user}, {}", caller.exe.as_ref().unwrap_or(&caller.command))
}

fn since(args: &Args) -> Option<Timestamp> {
    args.since.map(|since| since.before(clock::now()))
}

fn limit(args: &Args) -> u64 {
    args.limit.unwrap_or(if args.since.is_some() { MOST } else { 50 })
}

async fn read(
    context: &Context,
    run: Option<u64>,
    since: Option<Timestamp>,
    after: Option<u64>,
    limit: u64,
    output: bool,
) -> Result<Events, ClientError> {
    let pairs = [("run", run), ("after", after), ("limit", Some(limit))];
    let pairs = pairs.into_iter().filter_map(|(key, value)| value.map(|value| (key, value.to_string())));
    let pairs = pairs.chain(since.map(|since| ("since", since.to_string())));
    let pairs = pairs.chain((!output).then(|| ("output", "false".to_owned())));
    Ok(context.client.get(&with_query("/v1/events", pairs)).await?.0)
}

async fn follow(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let progress = Progress::new();
    // Show hook output only if the user asked for one run.
    let query = args.run.map_or(("output", "false".to_owned()), |run| ("run", run.to_string()));
    let path = with_query("/v1/events/stream", [query]);
    let mut stream: Stream<EventView> = context.client.stream(&path).await?.failing_on_silence();
    let mut last = None;
    loop {
        // The stream is open before past events are read, so none is lost in between.
        let (since, limit) = if last.is_none() { (since(args), limit(args)) } else { (None, PAGE) };
        match read(context, args.run, since, last, limit, args.run.is_some()).await {
            Ok(view) => view.events.iter().try_for_each(|event| show(context, event, &mut last))?,
            Err(error) if error.is_away() && last.is_some() => {}
            Err(error) => return Err(error.into()),
        }
        loop {
            match stream.next().await {
                Some(Ok(event)) => show(context, &event, &mut last)?,
                Some(Err(error)) if !error.is_away() => return Err(error.into()),
                Some(Err(_)) | None => break,
            }
        }
        last = last.or(Some(0));
        progress.line("teeterd has closed the stream; opening it again");
        stream = reopen(context, &path).await?.failing_on_silence();
    }
}

fn show(context: &Context, event: &EventView, last: &mut Option<u64>) -> Result<(), CliError> {
    if last.is_some_and(|last| event.id <= last) {
        return Ok(());
    }
    *last = Some(event.id);
    if context.json { print::json_line(event) } else { print::out(&line(event)) }
}

async fn reopen(context: &Context, path: &str) -> Result<Stream<EventView>, ClientError> {
    let mut latest = None;
    let again = async {
        loop {
            tokio::time::sleep(PAUSE).await;
            match context.client.stream(path).await {
                Err(error) if error.is_away() => latest = Some(error),
                answer => return answer,
            }
        }
    };
    let answer = tokio::time::timeout(PATIENCE, again).await;
    match (answer, latest) {
        (Ok(answer), _) => answer,
        (Err(_), Some(error)) => Err(error),
        // No attempt had an answer yet: the last one returns the error.
        (Err(_), None) => context.client.stream(path).await,
    }
}

/// The number of events to read at once where all are needed.
const PAGE: u64 = 1000;

/// The most events that teeterd sends at once.
const MOST: u64 = 5000;
