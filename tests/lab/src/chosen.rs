//! Selection by name on the command line: a misspelt name is an error, not a run of nothing that succeeds.

use std::io;

use crate::command::failure;

/// Fails if one of the given names does not exist. The error lists the existing names.
pub(crate) fn check_names(kind: &str, given: &[String], existing: &[&str]) -> io::Result<()> {
    match given.iter().find(|name| !existing.contains(&name.as_str())) {
        Some(unknown) => Err(failure(format!("there is no {kind} {unknown}; there are: {}", existing.join(", ")))),
        None => Ok(()),
    }
}

/// Fails if no case was run.
pub(crate) fn check_any_ran(cases: usize, why: &str) -> io::Result<()> {
    if cases > 0 { Ok(()) } else { Err(failure(format!("no case was run: {why}"))) }
}
