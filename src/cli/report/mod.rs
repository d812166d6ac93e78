//! `teeter report`: one run as a page of HTML that needs no network.

mod page;

use std::path::Path;

use askama::Template as _;
use jiff::tz::TimeZone;

use self::page::Page;
use super::args::Report;
use super::error::CliError;
use super::{Context, clock, events, init, print};
use crate::api::{Exit, RunView};

/// `teeter report`.
pub(super) async fn report(context: &Context, args: Report) -> Result<Exit, CliError> {
    if let Some(file) = args.output.as_deref().filter(|file| file.symlink_metadata().is_ok()) {
        return Err(CliError::Exists { path: file.to_owned() });
    }
    let run: RunView = context.client.get(&format!("/v1/runs/{}", args.run)).await?.0;
    let (record, cut) = events::whole(context, run.id, MOST).await?;
    let page = Page::new(&run, &record, cut, clock::now(), &TimeZone::system()).render();
    let page = page.map_err(|error| CliError::Output(std::io::Error::other(error)))?;
    match &args.output {
        Some(file) => {
            init::create(file, &page)?;
            print::err(&format!("written: {}", shown(file)));
        }
        None => print::out(page.trim_end())?,
    }
    Ok(Exit::Done)
}

fn shown(file: &Path) -> String {
    std::path::absolute(file).unwrap_or_else(|_| file.to_owned()).display().to_string()
}

/// The most events of a report: a browser still opens the page quickly.
const MOST: usize = 20_000;
