//! The record of who changed what: nothing missing, nothing twice, nothing to be taken back.

use std::collections::BTreeMap;

use serde_json::Value;
use teeter_lab::{FarmSpec, TestFarm};
use tokio::net::UnixDatagram;

use crate::fixtures::exit;
use crate::fixtures::site::{Daemon, Site, farm_config, until};

async fn events(site: &Site, args: &[&str]) -> Vec<Value> {
    let events = site.json(&[&["events"], args].concat()).await;
    events["events"].as_array().expect("there are events").clone()
}

/// What each thing became, one change after the other: what it was before is what it had become.
fn is_unbroken(events: &[Value]) -> BTreeMap<String, usize> {
    let (mut last, mut counts) = (BTreeMap::<String, Value>::new(), BTreeMap::new());
    for (event, changed) in
        events.iter().flat_map(|event| event["changed"].as_array().into_iter().flatten().map(move |it| (event, it)))
    {
        let what = changed["what"].as_str().expect("it says of what").to_owned();
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
        // What is stored is stored, and a restart begins nothing anew.
        if args[0] == "resume" {
            site.daemon.kill().await;
            site.daemon.restart().await;
        }
    }
    // By itself: an end, and a change of somebody else's that is put right.
    assert_eq!(site.teeter(&["maint", "web02", "--reason", "short", "--for", "3s"]).await.code, 0);
    site.farm.haproxy().cmd("set server app/web02 state ready").await.expect("HAProxy takes it");
    until(|| async { site.json(&["holds"]).await["holds"].as_array().is_some_and(Vec::is_empty) }).await;

    let all = events(&site, &["--limit", "5000"]).await;
    let ids: Vec<u64> = all.iter().map(|event| event["id"].as_u64().expect("it has a number")).collect();
    assert!(ids.windows(2).all(|pair| pair[1] == pair[0] + 1), "{ids:?}");
    let counts = is_unbroken(&all);
    assert!(counts["hold 1"] >= 2 && counts["run 1"] > 5 && counts.contains_key("run 3"), "{counts:?}");
    let exe = std::fs::canonicalize(env!("CARGO_BIN_EXE_teeter")).expect("it is there");
    let asked = |kind: &str, word: &str| {
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
        let found = asked(kind, word);
        assert_eq!(found.len(), times, "{kind} {word}: {all:#?}");
        for event in found {
            let caller = &event["caller"];
            assert_eq!(caller["uid"].as_u64(), Some(rustix::process::geteuid().as_raw().into()), "{event}");
            assert!(caller["gid"].is_u64() && caller["pid"].is_u64(), "{event}");
            assert_eq!(caller["exe"].as_str(), exe.to_str(), "{event}");
            assert!(event["changed"].as_array().is_some_and(|changed| !changed.is_empty()), "{event}");
        }
    }
    let created = &asked("hold.created", "disk")[0]["changed"][0];
    assert_eq!((&created["what"], &created["before"]), (&Value::from("hold 1"), &Value::Null));
    assert!(created["after"].as_str().is_some_and(|after| after.contains("web01") && after.ends_with(": disk")));
    for (kind, word) in [("drift", "set edge:app/web02"), ("hold.ended", "web02")] {
        let found = asked(kind, word);
        assert!(!found.is_empty() && found.iter().all(|event| event["caller"].is_null()), "{kind}: {all:#?}");
    }
    // For people: who, and by which program.
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
    // The daemon alone sees a journal that is the test's.
    let dir = farm.dir().join("journal");
    std::fs::create_dir(&dir).expect("a directory is made");
    let journal = UnixDatagram::bind(dir.join("socket")).expect("a socket is made");
    let mount = format!(
        "mount -t tmpfs none /run && mkdir -p /run/systemd/journal && mount --bind {} /run/systemd/journal && exec \"$@\"",
        dir.display()
    );
    let by = ["unshare", "--mount", "sh", "-c", &mount, "sh"];
    let tried = std::process::Command::new(by[0]).args(&by[1..]).arg("true").output();
    if !tried.is_ok_and(|tried| tried.status.success()) {
        teeter_lab::skip("there is no mount namespace to be had");
        return;
    }
    let config = format!("{}\n[log]\nto = \"journald\"\n", farm_config(&farm, ""));
    // As a journal does, it listens all the time: whoever logs waits while nobody does.
    let (entries, mut entry) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut datagram = vec![0; 65536];
        while let Ok(length) = journal.recv(&mut datagram).await {
            if entries.send(fields(&datagram[..length])).is_err() {
                return;
            }
        }
    });
    let daemon = Daemon::start_by(&by, farm.dir(), &config).await;
    let mut hear = async |action: &str| {
        loop {
            let heard = tokio::time::timeout(std::time::Duration::from_secs(50), entry.recv()).await;
            let fields = heard.expect("it is told").expect("it is heard");
            if fields.get("TEETER_ACTION").is_some_and(|told| told == action) {
                return fields;
            }
        }
    };
    let drained = daemon.teeter(&["maint", "web01", "--reason", "disk"]).await;
    assert_eq!(drained.code, 0, "{drained:?}");
    let told = hear("hold.created").await;
    let uid = rustix::process::geteuid().as_raw().to_string();
    let exe = std::fs::canonicalize(env!("CARGO_BIN_EXE_teeter")).expect("it is there").display().to_string();
    for (field, value) in [
        ("TEETER_FARM", "web"),
        ("TEETER_HOLD", "1"),
        ("TEETER_UID", &uid),
        ("TEETER_EXE", &exe),
        ("TEETER_COMMAND", "teeter"),
    ] {
        assert_eq!(told.get(field).map(String::as_str), Some(value), "{field}: {told:?}");
    }
    assert!(told["MESSAGE"].contains("disk") && told.contains_key("TEETER_PID"), "{told:?}");
    let released = daemon.teeter(&["ready", "web01", "--no-verify"]).await;
    assert_eq!(released.code, 0, "{released:?}");
    let begun = daemon.teeter(&["begin", "web"]).await;
    assert_eq!(begun.code, 0, "{begun:?}");
    let told = hear("run.begun").await;
    assert_eq!((told["TEETER_RUN"].as_str(), told["TEETER_FARM"].as_str()), ("1", "web"), "{told:?}");
}
