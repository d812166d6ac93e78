//! What a command of the lab was told to run, of what there is: a slip of the pen must not run nothing and succeed.

use std::io;

use crate::figures_site::failure;

/// Fails where a name was given that nothing has, with those that there are.
pub(crate) fn of(what: &str, asked: &[String], there: &[&str]) -> io::Result<()> {
    match asked.iter().find(|name| !there.contains(&name.as_str())) {
        Some(unknown) => Err(failure(format!("there is no {what} {unknown}; there are: {}", there.join(", ")))),
        None => Ok(()),
    }
}

/// Fails where nothing was run.
pub(crate) fn something(run: usize, why: &str) -> io::Result<()> {
    if run > 0 { Ok(()) } else { Err(failure(format!("nothing was tried: {why}"))) }
}
