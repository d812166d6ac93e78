//! `teeter report`: one run, or the runs of a farm, as a page of HTML that needs no network.

mod axis;
mod escape;
mod farm;
mod run;
#[cfg(test)]
mod tests;
mod words;

use std::path::Path;

use askama::Template;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::args::{Report, Since};
use super::error::CliError;
use super::{Context, clock, events, init, print};
use crate::api::{EventView, Exit, FarmRuns, RunView};
use crate::control::client::with_query;
use crate::farm::FarmName;

/// What the page of a run is made from, for `--json`.
#[derive(Debug, Serialize)]
struct RunReport<'a> {
    run: &'a RunView,
    /// The events of the run with the output of its hooks, from the first on.
    events: &'a [EventView],
    /// Whether the run has more events.
    more: bool,
}

/// `teeter report`.
pub(super) async fn report(context: &Context, args: Report) -> Result<Exit, CliError> {
    if let Some(file) = args.output.as_deref().filter(|file| file.symlink_metadata().is_ok()) {
        return Err(CliError::Exists { path: file.to_owned() });
    }
    let text = match (args.run, &args.farm) {
        (Some(run), _) => of_run(context, run).await?,
        (None, Some(farm)) => of_farm(context, farm, args.since).await?,
        (None, None) => return Err(CliError::Usage { text: "name a run, or a farm by --farm".to_owned() }),
    };
    match &args.output {
        Some(file) => {
            init::create(file, &text)?;
            print::err(&format!("written: {}", shown(file)));
        }
        None => print::out(text.trim_end())?,
    }
    Ok(Exit::Done)
}

async fn of_run(context: &Context, run: u64) -> Result<String, CliError> {
    let run: RunView = context.client.get(&format!("/v1/runs/{run}")).await?.0;
    let (events, more) = events::whole(context, run.id, MOST_EVENTS).await?;
    if context.json {
        return document(&RunReport { run: &run, events: &events, more });
    }
    page(&run::Page::new(&run, &events, more, clock::now(), &TimeZone::system()))
}

async fn of_farm(context: &Context, farm: &FarmName, since: Since) -> Result<String, CliError> {
    let (now, zone) = (clock::now(), TimeZone::system());
    let since = since.before(now);
    let shown = clock::within(since, &zone, "%Y-%m-%d %H:%M:%S %Z");
    if since > now {
        return Err(CliError::Usage { text: format!("--since {shown} is in the future") });
    }
    let view: FarmRuns = context.client.get(&path(farm, since)).await?.0;
    if view.runs.is_empty() {
        return Err(CliError::NotFound {
            text: format!("farm {farm} has no run that was started since {shown}"),
            hint: Some("an earlier --since, such as `--since 365d`; `teeter runs` lists the latest runs".to_owned()),
        });
    }
    if context.json {
        return document(&view);
    }
    page(&farm::Page::new(&view, now, &zone))
}

fn path(farm: &FarmName, since: Timestamp) -> String {
    with_query(&format!("/v1/farms/{farm}/runs"), [("since", since.to_string())])
}

fn page(page: &impl Template) -> Result<String, CliError> {
    page.render().map_err(|error| CliError::Output(std::io::Error::other(error)))
}

fn document(value: &impl Serialize) -> Result<String, CliError> {
    let text = serde_json::to_string_pretty(value).map_err(|error| CliError::Output(std::io::Error::other(error)))?;
    Ok(text + "\n")
}

fn shown(file: &Path) -> String {
    std::path::absolute(file).unwrap_or_else(|_| file.to_owned()).display().to_string()
}

/// The most events of a report: a browser still opens the page quickly.
const MOST_EVENTS: usize = 20_000;
