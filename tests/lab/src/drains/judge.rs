//! One drain, and the check that the server was empty.

use std::io;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::sleep;

use super::kinds::{Kind, name};
use super::site::{Lane, Site};
use crate::app::App;
use crate::dice::Dice;

/// The times, in ms, for which a server refuses connections, and after which HAProxy's retries have ended: it tries
/// again a second later, up to three times.
const REFUSES: std::ops::Range<u64> = 0..1200;
const RETRIES: std::ops::Range<u64> = 100..3300;

/// The result of one drain.
#[derive(Debug)]
pub(crate) struct Drained {
    pub(crate) kind: Kind,
    /// The time from the end of the last request until teeter called the server drained, in ms. `None`: the drain had
    /// no request to wait for.
    pub(crate) latency: Option<f64>,
    /// The reason if the server was not drained.
    pub(crate) violation: Option<String>,
}

/// Drains a server of a lane, checks that it is empty and stays empty, and brings it back.
pub(crate) async fn drain(site: &Site, lane: &Lane, dice: &mut Dice) -> io::Result<Drained> {
    let number = usize::try_from(dice.within(0..lane.apps.len() as u64)).unwrap_or_default();
    let app = lane.apps.get(number).ok_or_else(|| io::Error::other("a lane without servers"))?;
    let server = format!("{}/{}", lane.kind, name(number));
    if lane.kind.refuses() {
        app.stop().await?;
        sleep(Duration::from_millis(dice.within(REFUSES))).await;
    }
    let began = app.last_end();
    let way: &[&str] = match dice.within(0..3) {
        0 => &["drain"],
        1 => &["maint"],
        _ => &["drain", "--grace", "30ms"],
    };
    let args = [way, &[server.as_str(), "--reason", "lab"]].concat();
    // A server that has refused connections accepts them again, now or after it was called drained.
    let early = lane.kind.refuses() && dice.within(0..2) == 0;
    if early {
        app.start_again().await?;
    }
    let hold = site.json(&args).await?;
    let (busy, begun) = (app.busy(), app.begun());
    let drained = drained_at(site, &hold["id"]).await?;
    let ended = app.last_end();
    if lane.kind.refuses() && !early {
        app.start_again().await?;
    }
    let linger = if lane.kind.refuses() { dice.within(RETRIES) } else { dice.within(0..30) };
    sleep(Duration::from_millis(linger)).await;
    let violation = violation(app, busy, begun, ended, drained);
    let violation = violation.map(|what| format!("{} {server}: {what}", way.join(" ")));
    site.teeter(&["ready", &server, "--no-verify"]).await?;
    let latency = (ended > began && ended < drained).then(|| (drained - ended) as f64 / 1e6);
    Ok(Drained { kind: lane.kind, latency, violation })
}

/// The reason why the server was not drained at the time `drained`.
fn violation(app: &App, busy: usize, begun: u64, ended: u64, drained: u64) -> Option<String> {
    let later = app.begun() - begun;
    if busy > 0 {
        Some(format!("{busy} requests were on the server when teeter called it drained"))
    } else if ended > drained {
        let late = (ended - drained) as f64 / 1e6;
        Some(format!("a request ended {late:.3} ms after teeter called the server drained"))
    } else if later > 0 {
        Some(format!("the server got {later} requests after teeter called it drained"))
    } else {
        None
    }
}

/// When teeterd recorded that nothing is in flight under this hold, in nanoseconds since 1970.
async fn drained_at(site: &Site, hold: &serde_json::Value) -> io::Result<u64> {
    let events = site.json(&["events", "--limit", "200"]).await?;
    let events = events["events"].as_array().map(Vec::as_slice).unwrap_or_default();
    let drained = events.iter().rev().find(|event| {
        event["hold"] == *hold && event["text"].as_str().is_some_and(|text| text.ends_with("nothing is in flight"))
    });
    let at = drained.and_then(|event| event["at"].as_str()?.parse::<Timestamp>().ok());
    let at = at.ok_or_else(|| io::Error::other(format!("no event about hold {hold} in {events:?}")))?;
    u64::try_from(at.as_nanosecond()).map_err(io::Error::other)
}
