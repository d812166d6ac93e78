//! Tests that cannot run here say so, where it is counted.

use std::io::{self, Write};

use crate::haproxy::Haproxy;

/// Says on standard error that the running test is skipped, on which HAProxy, and why.
///
/// The macros that print are captured from a test that passes; this is not, so that nothing is skipped in silence.
pub fn skip(reason: &str) {
    let version = Haproxy::version().unwrap_or_else(|error| error.to_string());
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // A line of its own, in one piece: other tests print at the same time, and the harness before it.
    let line = format!("\nskipped: {test} on HAProxy {version}: {reason}\n");
    let _ = io::stderr().lock().write_all(line.as_bytes());
}
