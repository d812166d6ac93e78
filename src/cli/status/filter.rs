//! The servers that `teeter status` is about: those that its options select.

use std::collections::BTreeSet;

use super::rows::Row;
use crate::api::{ServerView, StatusView};
use crate::cli::args::Status;
use crate::cli::error::CliError;
use crate::farm::{natural, similar};

/// The path to read: one farm alone is selected by teeterd, which then looks at its servers only.
pub(super) fn selectors(args: &Status) -> Vec<String> {
    let named: Vec<String> = args.servers.all().iter().map(ToString::to_string).collect();
    if named.is_empty() { args.farms.iter().map(|farm| format!("farm:{farm}")).collect() } else { named }
}

/// Whether a row is among those that the options select.
///
/// # Errors
/// No server belongs to a farm or a group that an option names.
pub(super) fn filter<'a>(args: &'a Status, view: &StatusView) -> Result<impl Fn(&Row<'_>) -> bool + 'a, CliError> {
    let farms: Vec<&str> = args.farms.iter().map(|farm| farm.as_str()).collect();
    let groups: Vec<&str> = args.groups.iter().map(|group| group.as_str()).collect();
    known("farm", &farms, view, |server| server.farm.as_deref())?;
    known("group", &groups, view, |server| server.group.as_deref())?;
    Ok(move |row: &Row<'_>| {
        let any = |wanted: &[&str], field: fn(&ServerView) -> Option<&str>| {
            wanted.is_empty() || row.lines().any(|line| field(line).is_some_and(|value| wanted.contains(&value)))
        };
        let held_by = |holder: &String| row.lines().any(|line| line.holders.contains(holder));
        any(&farms, |server| server.farm.as_deref())
            && any(&groups, |server| server.group.as_deref())
            && (args.states.is_empty() || args.states.contains(&row.state))
            && (args.versions.is_empty() || args.versions.iter().any(|version| row.version() == Some(version.as_str())))
            && (args.holders.is_empty() || args.holders.iter().any(held_by))
    })
}

/// Checks that a server has each of these names.
fn known(
    what: &str,
    wanted: &[&str],
    view: &StatusView,
    field: fn(&ServerView) -> Option<&str>,
) -> Result<(), CliError> {
    let names: BTreeSet<&str> = view.servers.iter().filter_map(field).collect();
    let Some(unknown) = wanted.iter().find(|name| !names.contains(**name)) else { return Ok(()) };
    let text = format!("no server that is selected belongs to {what} {unknown}");
    let all = || {
        let mut names: Vec<&str> = names.iter().copied().collect();
        names.sort_by(|one, other| natural(one, other));
        (!names.is_empty()).then(|| format!("there are {}", names.join(", ")))
    };
    let meant = similar(unknown, names.iter().copied()).map(|similar| format!("did you mean {similar}?"));
    Err(CliError::NotFound { text, hint: meant.or_else(all) })
}
