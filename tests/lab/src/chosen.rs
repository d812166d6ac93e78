//! Selection by name on the command line: a misspelt name must not run nothing and succeed.

use std::io;

use crate::figures_site::failure;

/// Fails if nothing has the given name. The error lists the names.
pub(crate) fn of(what: &str, asked: &[String], there: &[&str]) -> io::Result<()> {
    match asked.iter().find(|name| !there.contains(&name.as_str())) {
        Some(unknown) => Err(failure(format!("there is no {what} {unknown}; there are: {}", there.join(", ")))),
        None => Ok(()),
    }
}

/// Fails if nothing was run.
pub(crate) fn something(run: usize, why: &str) -> io::Result<()> {
    if run > 0 { Ok(()) } else { Err(failure(format!("nothing was tried: {why}"))) }
}
