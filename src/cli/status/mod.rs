//! `teeter status`: how many servers are in which state, and those that are not in their normal state.

mod filter;
mod notes;
mod picture;
mod rows;
mod summary;
#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use self::filter::{filter, selectors};
pub(super) use self::picture::wrapped;
use self::picture::{Shape, picture};
pub(super) use self::rows::state;
use self::rows::{Row, rows};
pub(super) use self::summary::Summary;
use super::args::Status;
use super::error::CliError;
use super::paint::Ink;
use super::{Context, clock, print, queries, terminal};
use crate::api::{Exit, StatusView};
use crate::farm::Span;

/// `teeter status`.
pub(super) async fn status(context: &Context, args: &Status) -> Result<Exit, CliError> {
    match args.watch {
        Some(every) => watch(context, args, every).await,
        None if args.short => short(context, args).await,
        None => once(context, args).await,
    }
}

async fn read(context: &Context, args: &Status) -> Result<StatusView, CliError> {
    Ok(context.client.get(&queries::selecting("/v1/status", &selectors(args))).await?.0)
}

async fn once(context: &Context, args: &Status) -> Result<Exit, CliError> {
    let view = read(context, args).await?;
    if context.json {
        print::json(&only_filtered(view.clone(), args)?)?;
    } else {
        print::lines_in_colour(&picture(&view, filter(args, &view)?, shape(args)))?;
    }
    Ok(exit(&view))
}

/// One line for prompts, which must not wait.
async fn short(context: &Context, args: &Status) -> Result<Exit, CliError> {
    let Ok(view) = tokio::time::timeout(SHORT, read(context, args)).await else {
        print::err(&format!("teeter: teeterd has not answered within {} s", SHORT.as_secs()));
        return Ok(Exit::Unreachable);
    };
    let view = view?;
    if context.json {
        print::json(&only_filtered(view.clone(), args)?)?;
    } else {
        let rows: Vec<Row<'_>> = rows(&view).into_iter().filter(filter(args, &view)?).collect();
        print::out(&Summary::of(&rows).to_string())?;
    }
    Ok(exit(&view))
}

/// Prints the status again and again, until a signal ends the process.
async fn watch(context: &Context, args: &Status, every: Span) -> Result<Exit, CliError> {
    let on_terminal = io::stdout().is_terminal() && !context.json;
    let mut shown: Option<Vec<(Ink, String)>> = None;
    loop {
        let heading = format!("{}  every {every}, Ctrl-C ends", clock::local(clock::now()));
        match read(context, args).await {
            Ok(view) if context.json => print::json_line(&only_filtered(view, args)?)?,
            Ok(view) => shown = Some(picture(&view, filter(args, &view)?, shape(args))),
            // The first answer decides whether the request is a good one.
            Err(error) if shown.is_none() && !context.json => return Err(error),
            Err(CliError::Client(error)) if error.is_away() => print_away(&error.to_string(), on_terminal, &mut shown),
            Err(error) => return Err(error),
        }
        if let Some(lines) = &shown {
            let lines: Vec<_> = std::iter::once((Ink::Faint, heading)).chain(lines.iter().cloned()).collect();
            match terminal::size(io::stdout()).1.filter(|_| on_terminal) {
                Some(rows) => print::screen(&lines, rows)?,
                None => print::lines_in_colour(&lines)?,
            }
        }
        tokio::time::sleep(every.duration()).await;
    }
}

/// Shows that teeterd is away: on a terminal above what was known last.
fn print_away(error: &str, on_terminal: bool, shown: &mut Option<Vec<(Ink, String)>>) {
    let text = format!("teeterd does not answer, below is its last answer: {error}");
    match shown {
        Some(lines) if on_terminal => {
            lines.retain(|(_, line)| !line.starts_with("teeterd does not answer"));
            lines.insert(0, (Ink::Bad, text));
        }
        _ => print::err(&text),
    }
}

/// The view with the servers that the options select.
fn only_filtered(view: StatusView, args: &Status) -> Result<StatusView, CliError> {
    let keep: Vec<(String, String, String)> = {
        let selected = filter(args, &view)?;
        let rows = rows(&view).into_iter().filter(selected);
        rows.flat_map(|row| row.lines().map(name).collect::<Vec<_>>()).collect()
    };
    let keep: std::collections::BTreeSet<_> = keep.into_iter().collect();
    let servers = view.servers.into_iter().filter(|server| keep.contains(&name(server))).collect();
    Ok(StatusView { servers, ..view })
}

fn name(server: &crate::api::ServerView) -> (String, String, String) {
    (server.instance.clone(), server.backend.clone(), server.server.clone())
}

/// The table shows the state last seen; the exit code keeps scripts from taking it for the current state.
fn exit(view: &StatusView) -> Exit {
    let all_away = !view.instances.is_empty() && view.instances.iter().all(|instance| !instance.reachable);
    if all_away { Exit::Unreachable } else { Exit::Done }
}

fn shape(args: &Status) -> Shape {
    Shape { each: args.lists_each(), width: width_of_terminal() }
}

/// The columns of the terminal; `None` if standard output is none.
pub(super) fn width_of_terminal() -> Option<usize> {
    terminal::size(io::stdout()).0
}

/// How long `--short` waits for teeterd.
const SHORT: Duration = Duration::from_secs(2);
