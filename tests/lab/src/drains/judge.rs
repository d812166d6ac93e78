//! One drain, and whether it kept its word.

use std::io;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::sleep;

use super::kinds::{Kind, name};
use super::site::{Lane, Site};
use crate::app::App;
use crate::dice::Dice;

/// A refused connection is tried again a second later, and up to three times.
const REFUSES: std::ops::Range<u64> = 0..1200;
const RETRIES: std::ops::Range<u64> = 100..3300;

/// What became of one drain.
#[derive(Debug)]
pub(crate) struct Drained {
    pub(crate) kind: Kind,
    /// From the end of the last request to the word "drained", in ms, where one was waited for.
    pub(crate) latency: Option<f64>,
    /// In which way the word was broken.
    pub(crate) violation: Option<String>,
}

/// Drains a server of a lane, looks whether it is empty and stays so, and brings it back.
pub(crate) async fn drain(site: &Site, lane: &Lane, dice: &mut Dice) -> io::Result<Drained> {
    let number = usize::try_from(dice.of(0..lane.apps.len() as u64)).unwrap_or_default();
    let app = lane.apps.get(number).ok_or_else(|| io::Error::other("a lane without servers"))?;
    let server = format!("{}/{}", lane.kind, name(number));
    if lane.kind.refuses() {
        app.stop().await?;
        sleep(Duration::from_millis(dice.of(REFUSES))).await;
    }
    let began = app.last_end();
    let way: &[&str] = match dice.of(0..3) {
        0 => &["drain"],
        1 => &["maint"],
        _ => &["drain", "--grace", "30ms"],
    };
    let args = [way, &[server.as_str(), "--reason", "lab"]].concat();
    // A server that refused takes requests again, now or a moment after it was said to be empty.
    let early = lane.kind.refuses() && dice.of(0..2) == 0;
    if early {
        app.start_again().await?;
    }
    let hold = site.json(&args).await?;
    let (busy, given) = (app.busy(), app.begun());
    let said = said(site, &hold["id"]).await?;
    let ended = app.last_end();
    if lane.kind.refuses() && !early {
        app.start_again().await?;
    }
    let linger = if lane.kind.refuses() { dice.of(RETRIES) } else { dice.of(0..30) };
    sleep(Duration::from_millis(linger)).await;
    let violation = broken(app, busy, given, ended, said).map(|what| format!("{} {server}: {what}", way.join(" ")));
    site.teeter(&["ready", &server, "--no-verify"]).await?;
    let latency = (ended > began && ended < said).then(|| (said - ended) as f64 / 1e6);
    Ok(Drained { kind: lane.kind, latency, violation })
}

/// What the server says against it.
fn broken(app: &App, busy: usize, given: u64, ended: u64, said: u64) -> Option<String> {
    let later = app.begun() - given;
    if busy > 0 {
        Some(format!("{busy} requests on the server when it was said to be drained"))
    } else if ended > said {
        let late = (ended - said) as f64 / 1e6;
        Some(format!("a request ended {late:.3} ms after the server was said to be drained"))
    } else if later > 0 {
        Some(format!("{later} requests were given to the server after it was said to be drained"))
    } else {
        None
    }
}

/// When teeterd said that nothing is in flight under this hold, in nanoseconds since 1970.
async fn said(site: &Site, hold: &serde_json::Value) -> io::Result<u64> {
    let events = site.json(&["events", "--limit", "200"]).await?;
    let events = events["events"].as_array().map(Vec::as_slice).unwrap_or_default();
    let said = events.iter().rev().find(|event| {
        event["hold"] == *hold && event["text"].as_str().is_some_and(|text| text.ends_with("nothing is in flight"))
    });
    let at = said.and_then(|event| event["at"].as_str()?.parse::<Timestamp>().ok());
    let at = at.ok_or_else(|| io::Error::other(format!("no word of hold {hold} in {events:?}")))?;
    u64::try_from(at.as_nanosecond()).map_err(io::Error::other)
}
