//! Holds that expire, and a wall clock that jumps: servers come back neither early nor late.

use std::io;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::case::Outcome;
use super::fault::Fault;
use super::site::Site;
use super::truth::{becomes_true, list};
use super::way::Way;
use crate::drains::Programs;

/// A hold for a few seconds, and a jump of the clock in the middle of it.
pub(crate) async fn run(fault: Fault, programs: &Programs) -> io::Result<Outcome> {
    let way = &Way::ALL[0];
    let mut site = Site::start(way, Some(fault), programs).await?;
    let line = site.farm.sample().lines()[0].entry.clone();
    let began = Instant::now();
    let held = site.teeter(&["drain", &line, "--reason", "clock", "--for", "5s", "--no-wait"]).await?;
    let mut violations = Vec::new();
    if held.code != 0 {
        violations.push(format!("{held:?}"));
    }
    // In the middle of the hold the server is out, and nothing else happens until the end.
    let is_out = |holds: &Value| list(&holds["holds"]).any(|hold| hold["stage"] == "out");
    while !is_out(&site.get("/v1/holds").await?) && began.elapsed() < HELD {
        sleep(Duration::from_millis(20)).await;
    }
    violations.extend(fault.cause(&mut site, 0, Duration::ZERO).await?);
    let end = began + HELD + LATEST;
    while list(&site.get("/v1/holds").await?["holds"]).next().is_some() && Instant::now() < end {
        sleep(Duration::from_millis(20)).await;
    }
    let lasted = began.elapsed();
    // A restarted teeterd trusts the clock: three hours later the hold has expired.
    let early = lasted < HELD && fault != Fault::ClockForwardRestart;
    if early || lasted > HELD + LATEST {
        violations.push(format!("a hold for 5 s lasted {lasted:.1?}"));
    }
    violations.extend(becomes_true(way, &site.daemon, &site.farm).await);
    let recovery = format!("held for 5 s, {:.1} s", lasted.as_secs_f64());
    Ok(Outcome { step: "hold".to_owned(), recovery, violations, excused: 0 })
}

/// The duration of the hold.
const HELD: Duration = Duration::from_secs(5);

/// The time for the verification at its end, on a busy machine.
const LATEST: Duration = Duration::from_secs(10);
