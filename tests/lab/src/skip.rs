//! Tests that cannot run here report that, and it is counted.

use std::io::{self, Write};

use crate::haproxy::Haproxy;

/// Reports on standard error that the running test is skipped, on which HAProxy, and why.
///
/// The test harness hides what macros print in a test that passes. This is written directly, so that no skip is hidden.
pub fn skip(reason: &str) {
    let version = Haproxy::version().unwrap_or_else(|error| error.to_string());
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // One write, with a newline first: other tests and the harness print at the same time.
    let line = format!("\nskipped: {test} on HAProxy {version}: {reason}\n");
    let _ = io::stderr().lock().write_all(line.as_bytes());
}
