//! The record of changes: complete, without duplicates, with the caller and the old value of each change.

use std::collections::BTreeMap;

use serde_json::Value;
use teeter_lab::{FarmSpec, TestFarm};
use tokio::net::UnixDatagram;

use crate::fixtures::exit;
use crate::fixtures::site::{Daemon, Site, farm_config, until};
use crate::fixtures::system_users::in_mount_namespace;

async fn events(site: &Site, args: &[&str]) -> Vec<Value> {
    let events = site.json(&[&["events"], args].concat()).await;
    events["events"].as_array().expect("there are events").clone()
}

/// The changes of all events, each with its event.
fn changes(events: &[Value]) -> impl Iterator<Item = (&Value, &Value)> {
    events.iter().flat_map(|event| event["changed"].as_array().into_iter().flatten().map(move |change| (event, change)))
}

/// Counts the changes of each object, and asserts that each change begins with the value of the change before it.
fn count_changes(events: &[Value]) -> BTreeMap<String, usize> {
    let (mut last, mut counts) = (BTreeMap::<String, Value>::new(), BTreeMap::new());
    for (event, changed) in changes(events) {
        let what = changed["what"].as_str().expect("it names an object").to_owned();
        assert_ne!(changed["before"], changed["after"], "{event}");
        let before = last.insert(what.clone(), changed["after"].clone()).unwrap_or_default();
        if !what.ends_with("without holds") {
            assert_eq!(changed["before"], before, "something is missing before {event}");
        }
        *counts.entry(what).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn every_change_is_recorded_once_with_its_author_and_old_value() {
    let mut site = Site::start().await;
    for args in [
        &["drain", "web01", "--reason", "disk"][..],
        &["ready", "web01", "--no-verify"],
        &["begin", "web"],
        &["pause", "1"],
        &["resume", "1"],
        &["advance", "1", "--failed", "no disk"],
        &["advance", "1"],
        &["abort", "1"],
        &["flip", "web", "b"],
        &["flip", "web", "all"],
    ] {
        let ended = site.teeter(args).await;
        assert!(ended.code == 0 || args.contains(&"--failed"), "{args:?}: {ended:?}");
        // A restart of teeterd records no change again.
        if args[0] == "resume" {
            site.daemon.kill().await;
            site.daemon.restart().await;
        }
    }
    // Two changes without a caller: a correction of an outside change, and the expiry of a hold.
    assert_eq!(site.teeter(&["maint", "web02", "--reason", "short", "--for", "3s"]).await.code, 0);
    site.farm.haproxy().cmd("set server app/web02 state ready").await.expect("HAProxy takes it");
    until(|| async { site.json(&["holds"]).await["holds"].as_array().is_some_and(Vec::is_empty) }).await;

    let all = events(&site, &["--limit", "5000"]).await;
    let ids: Vec<u64> = all.iter().map(|event| event["id"].as_u64().expect("it has a number")).collect();
    assert!(ids.windows(2).all(|pair| pair[1] == pair[0] + 1), "{ids:?}");
    let counts = count_changes(&all);
    assert!(counts["hold 1"] >= 2 && counts["run 1"] > 5 && counts.contains_key("run 3"), "{counts:?}");
    let exe = std::fs::canonicalize(env!("CARGO_BIN_EXE_teeter")).expect("it is there");
    let find = |kind: &str, word: &str| {
        let is =
            |event: &&Value| event["kind"] == kind && event["text"].as_str().is_some_and(|text| text.contains(word));
        all.iter().filter(is).collect::<Vec<_>>()
    };
    for (kind, word, times) in [
        ("hold.created", "disk", 1),
        ("hold.released", "unverified", 1),
        ("run.begun", "deploy of web", 1),
        ("run.begun", "flip of web", 2),
        ("run.asked", "pause", 1),
        ("run.asked", "resume", 1),
        ("run.asked", "no disk", 1),
        ("run.asked", "abort", 1),
    ] {
        let found = find(kind, word);
        assert_eq!(found.len(), times, "{kind} {word}: {all:#?}");
        for event in found {
            let caller = &event["caller"];
            assert_eq!(caller["uid"].as_u64(), Some(rustix::process::geteuid().as_raw().into()), "{event}");
            assert!(caller["gid"].is_u64() && caller["pid"].is_u64(), "{event}");
            assert_eq!(caller["exe"].as_str(), exe.to_str(), "{event}");
            assert!(event["changed"].as_array().is_some_and(|changed| !changed.is_empty()), "{event}");
        }
    }
    let created = &find("hold.created", "disk")[0]["changed"][0];
    assert_eq!((&created["what"], &created["before"]), (&Value::from("hold 1"), &Value::Null));
    assert!(created["after"].as_str().is_some_and(|after| after.ends_with(": disk")));
    let lines = &find("hold.created", "disk")[0]["changed"][1];
    assert_eq!((&lines["what"], &lines["before"]), (&Value::from("lines of hold 1"), &Value::Null));
    assert!(lines["after"].as_str().is_some_and(|after| after.contains("edge:app/web01")));
    for (kind, word) in [("drift", "set edge:app/web02"), ("hold.ended", "web02")] {
        let found = find(kind, word);
        assert!(!found.is_empty() && found.iter().all(|event| event["caller"].is_null()), "{kind}: {all:#?}");
    }
    // The text output names the program of the caller.
    let shown = site.teeter(&["events", "--since", "1h"]).await;
    assert!(shown.out.contains(&format!(", {})", exe.display())), "{shown:?}");
    assert_eq!(shown.out.lines().count(), all.len(), "{shown:?}");
    let later = site.teeter(&["events", "--since", "2100-01-01"]).await;
    assert!(later.code == 0 && later.out.is_empty() && later.err.contains("no events since then"), "{later:?}");
    let at = all[all.len() - 1]["at"].as_str().expect("it has a time");
    let since = events(&site, &["--since", at]).await;
    assert!(since.len() < all.len() && since.iter().any(|event| event["at"] == at), "{since:#?}");
    let wrong = site.teeter(&["events", "--since", "yesterday"]).await;
    assert!(wrong.code == exit::USAGE && wrong.err.contains("a time ago with its unit"), "{wrong:?}");
}

/// The fields of a message in the journal's own protocol.
fn fields(mut datagram: &[u8]) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    while let Some(end) = datagram.iter().position(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(&datagram[..end]).into_owned();
        datagram = &datagram[end + 1..];
        if let Some((name, value)) = line.split_once('=') {
            fields.insert(name.to_owned(), value.to_owned());
        } else {
            let (length, rest) = datagram.split_at(8);
            let length = usize::try_from(u64::from_le_bytes(length.try_into().expect("8 bytes"))).expect("it fits");
            fields.insert(line, String::from_utf8_lossy(&rest[..length]).into_owned());
            datagram = &rest[length + 1..];
        }
    }
    fields
}

#[tokio::test]
async fn journal_can_be_searched_by_farm_and_by_user() {
    let spec = FarmSpec { version: "v1".to_owned(), ..FarmSpec::default() };
    let farm = TestFarm::start_spec(spec).await.expect("a farm starts");
    // Only the daemon sees the journal of the test.
    let dir = farm.dir().join("journal");
    std::fs::create_dir(&dir).expect("a directory is made");
    let journal = UnixDatagram::bind(dir.join("socket")).expect("a socket is made");
    let mount = format!(
        "mount -t tmpfs none /run && mkdir -p /run/systemd/journal && mount --bind {} /run/systemd/journal",
        dir.display()
    );
    let Some(starter) = in_mount_namespace(&mount) else { return };
    let config = format!("{}\n[log]\nto = \"journald\"\n", farm_config(&farm, ""));
    // A task reads all the time, because a sender blocks while the socket is full.
    let (entries, mut entry) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut datagram = vec![0; 65536];
        while let Ok(length) = journal.recv(&mut datagram).await {
            if entries.send(fields(&datagram[..length])).is_err() {
                return;
            }
        }
    });
    let daemon = Daemon::start_by(&starter, farm.dir(), &config).await;
    let mut wait_for = async |action: &str| {
        loop {
            let received = tokio::time::timeout(std::time::Duration::from_secs(50), entry.recv()).await;
            let fields = received.expect("it is logged").expect("the journal reads");
            if fields.get("TEETER_ACTION").is_some_and(|logged| logged == action) {
                return fields;
            }
        }
    };
    let drained = daemon.teeter(&["maint", "web01", "--reason", "disk"]).await;
    assert_eq!(drained.code, 0, "{drained:?}");
    let entry = wait_for("hold.created").await;
    let uid = rustix::process::geteuid().as_raw().to_string();
    let exe = std::fs::canonicalize(env!("CARGO_BIN_EXE_teeter")).expect("it is there").display().to_string();
    for (field, value) in [
        ("TEETER_FARM", "web"),
        ("TEETER_HOLD", "1"),
        ("TEETER_UID", &uid),
        ("TEETER_EXE", &exe),
        ("TEETER_COMMAND", "teeter"),
    ] {
        assert_eq!(entry.get(field).map(String::as_str), Some(value), "{field}: {entry:?}");
    }
    assert!(entry["MESSAGE"].contains("disk") && entry.contains_key("TEETER_PID"), "{entry:?}");
    let released = daemon.teeter(&["ready", "web01", "--no-verify"]).await;
    assert_eq!(released.code, 0, "{released:?}");
    let begun = daemon.teeter(&["begin", "web"]).await;
    assert_eq!(begun.code, 0, "{begun:?}");
    let entry = wait_for("run.begun").await;
    assert_eq!((entry["TEETER_RUN"].as_str(), entry["TEETER_FARM"].as_str()), ("1", "web"), "{entry:?}");
}
