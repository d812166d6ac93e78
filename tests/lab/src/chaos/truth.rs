//! Checks that teeter's answers are true: they are compared with HAProxy, and the store is verified.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::site::{Daemon, Site};
use super::way::Way;
use crate::farm::TestFarm;
use crate::tables;

/// The bits of `set server … state maint` and `… state drain`.
const MAINT: u32 = 1;
const DRAIN: u32 = 8;

/// Waits until teeter's answers are true. Returns the differences if they do not become true in time.
pub(crate) async fn becomes_true(way: &Way, daemon: &Daemon, farm: &TestFarm) -> Vec<String> {
    let end = Instant::now() + REST;
    loop {
        let untrue = untrue(way, daemon, farm).await.unwrap_or_else(|error| vec![error.to_string()]);
        if untrue.is_empty() || Instant::now() > end {
            return untrue;
        }
        sleep(Duration::from_millis(25)).await;
    }
}

async fn untrue(way: &Way, daemon: &Daemon, farm: &TestFarm) -> io::Result<Vec<String>> {
    let mut untrue = Vec::new();
    let holds = daemon.get("/v1/holds").await?;
    let mut wanted = BTreeMap::<String, u32>::new();
    for hold in list(&holds["holds"]) {
        let bits = match hold["mode"].as_str() {
            Some("maint") => MAINT,
            Some("drain") => DRAIN,
            _ => 0,
        };
        for entry in list(&hold["entries"]) {
            let line = entry.as_str().and_then(|entry| entry.split_once(':')).map_or("", |(_, line)| line);
            let now = wanted.entry(line.to_owned()).or_default();
            *now = match (*now, bits) {
                (MAINT, _) | (_, MAINT) => MAINT,
                (one, other) => one | other,
            };
        }
    }
    let rows = tables::spaced(&farm.haproxy().cmd("show servers state").await?);
    let status = daemon.get("/v1/status").await?;
    for line in farm.sample().lines().into_iter().filter(|line| !line.tracks) {
        let row = rows.iter().find(|row| format!("{}/{}", row["be_name"], row["srv_name"]) == line.entry);
        let bits: Option<u32> = row.and_then(|row| row["srv_admin_state"].parse().ok());
        let (held, is) = (wanted.get(&line.entry).copied(), bits.unwrap_or(u32::MAX) & (MAINT | DRAIN));
        match held {
            None if is != 0 => untrue.push(format!("{} is out ({is}) and no hold has it", line.entry)),
            Some(held) if is & held != held || (held == 0 && is != 0) => {
                untrue.push(format!("{} is held ({held}), and HAProxy has {is}", line.entry));
            }
            _ => {}
        }
        let view = list(&status["servers"])
            .find(|server| format!("{}/{}", text(&server["backend"]), text(&server["server"])) == line.entry);
        let view = view.cloned().unwrap_or_default();
        let shown = match text(&view["admin"]) {
            "maint" => MAINT,
            "drain" => DRAIN,
            _ => 0,
        };
        if shown != is {
            untrue.push(format!("{}: the status says {}, HAProxy has {is}", line.entry, view["admin"]));
        }
        if held.is_none() && view["in_service"] != true {
            untrue.push(format!("{} is not in service: {}", line.entry, view["status"]));
        }
    }
    if way.routed() {
        untrue.extend(untrue_route(&status, farm)?);
    }
    // Events are numbered without a gap, and each hold and run begins once.
    let events = daemon.get("/v1/events?limit=5000").await?;
    let ids: Vec<u64> = list(&events["events"]).filter_map(|event| event["id"].as_u64()).collect();
    if ids.iter().zip(1..).any(|(id, number)| *id != number) {
        untrue.push(format!("events are missing: {ids:?}"));
    }
    for (kind, field) in [("hold.created", "hold"), ("run.begun", "run")] {
        let mut begun: Vec<_> =
            list(&events["events"]).filter(|event| event["kind"] == kind).map(|event| event[field].as_u64()).collect();
        let all = begun.len();
        begun.sort_unstable();
        begun.dedup();
        if begun.len() != all {
            untrue.push(format!("an event {kind} is recorded twice"));
        }
    }
    let store = daemon.get("/v1/store").await?;
    untrue.extend(list(&store["problems"]).map(|problem| format!("store: {problem}")));
    Ok(untrue)
}

/// Compares the map of HAProxy, its file, and teeter's answer.
fn untrue_route(status: &Value, farm: &TestFarm) -> io::Result<Vec<String>> {
    let mut untrue = Vec::new();
    let file = std::fs::read_to_string(farm.map())?;
    for route in list(&status["routes"]) {
        for entry in list(&route["entries"]) {
            let (key, backend) = (text(&entry["key"]), text(&entry["backend"]));
            let filed = file.lines().filter_map(|line| line.split_once(char::is_whitespace));
            let filed = filed.filter(|(name, _)| *name == key).map(|(_, value)| value.trim()).next();
            if filed != Some(backend) {
                untrue.push(format!("{key} goes to {backend}, and in the map file to {filed:?}"));
            }
        }
        if route["live"] == "unknown" {
            untrue.push(format!("teeter does not know the live side: {route}"));
        }
    }
    Ok(untrue)
}

/// The reason why new requests cannot be served at this moment, by the states in HAProxy. `None`: they can, or HAProxy
/// does not answer.
pub(crate) async fn outage(way: &Way, farm: &TestFarm) -> Option<String> {
    let map = async || {
        let map = farm.haproxy().cmd(&format!("show map {}", farm.map().display())).await.ok()?;
        let mut backend = map.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            (words.nth(1) == Some(way.farm)).then(|| words.next().unwrap_or_default().to_owned())
        });
        backend.next_back()
    };
    let before = if way.routed() { Some(map().await?) } else { None };
    let rows = tables::spaced(&farm.haproxy().cmd("show servers state").await.ok()?);
    if way.routed() && before != map().await {
        return None;
    }
    let mut serving = BTreeMap::<&str, usize>::new();
    for row in &rows {
        let (backend, bits) = (row.get("be_name")?.as_str(), row.get("srv_admin_state")?.parse::<u32>().ok()?);
        // Bits of its own, of the server that it tracks, and of its configuration.
        *serving.entry(backend).or_default() += usize::from(bits & 0x3f == 0);
    }
    let live = |backend: &str| before.as_deref().is_none_or(|before| before == backend);
    let empty = serving.iter().find(|(backend, count)| live(backend) && **count == 0);
    empty.map(|(backend, _)| format!("no server is left in {backend}, which gets the traffic"))
}

/// All events so far, to be compared with later ones.
pub(crate) async fn events(site: &Site) -> io::Result<Vec<Value>> {
    let events = site.get("/v1/events?limit=5000").await?;
    Ok(list(&events["events"]).cloned().collect())
}

/// The first event that is missing or was changed later.
pub(crate) fn changed_event(before: &[Value], after: &[Value]) -> Option<String> {
    let gone = before.iter().zip(after.iter().map(Some).chain(std::iter::repeat(None))).find(|(a, b)| Some(*a) != *b);
    gone.map(|(event, now)| format!("event {event} is {now:?} now"))
}

pub(crate) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The time for the reconciler to finish, with HAProxy's checks and reconnecting.
const REST: Duration = Duration::from_secs(15);
