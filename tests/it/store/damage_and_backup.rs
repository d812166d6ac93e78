//! A damaged store is set aside; a store is backed up while it is in use, verified, and restored.

use crate::fixtures::exit;
use crate::fixtures::site::{MAINT, Site};

#[tokio::test]
async fn damaged_store_is_set_aside_and_nothing_is_guessed() {
    let mut site = Site::start().await;
    let drained = site.teeter(&["maint", "web01", "--reason", "kernel"]).await;
    assert_eq!(drained.code, 0, "{drained:?}");
    site.daemon.kill().await;
    let path = site.farm.dir().join("teeter.db");
    let size = std::fs::metadata(&path).expect("there is a store").len();
    let _ = std::fs::remove_file(path.with_extension("db-wal"));
    for (number, damage) in
        [(1, vec![0x5a; 100]), (2, b"this is no database, and never was one; it is a text".to_vec())]
    {
        std::fs::write(&path, &damage).expect("it is damaged");
        site.daemon.restart().await;
        // teeterd names the file, changes nothing, and refuses every change.
        let status = site.teeter(&["status"]).await;
        let aside = format!("teeter.db.damaged-{number}");
        assert!(status.code == 0 && (status.out + &status.err).contains(&aside), "{aside}");
        assert_eq!(site.bits().await, [MAINT, 0, 0, 0]);
        for command in [&["drain", "web02", "--reason", "x"][..], &["begin", "web"]] {
            let refused = site.teeter(command).await;
            assert_eq!(refused.code, exit::FAILED, "{refused:?}");
            assert!(
                refused.err.contains("has been set aside") && refused.err.contains("restart teeterd"),
                "{refused:?}"
            );
        }
        let doctor = site.teeter(&["doctor"]).await;
        assert!(doctor.out.contains(&aside), "{doctor:?}");
        assert_eq!(site.bits().await, [MAINT, 0, 0, 0]);
        assert_eq!(std::fs::read(site.farm.dir().join(&aside)).expect("it is kept"), damage);
        site.daemon.kill().await;
    }
    // The next start creates an empty store, and a server that is out has no known reason.
    site.daemon.restart().await;
    assert!(size > 0 && path.exists());
    assert!(site.json(&["holds"]).await["holds"].as_array().is_some_and(Vec::is_empty));
    assert_eq!(site.teeter(&["maint", "web01", "--reason", "kernel"]).await.code, 0);
    assert_eq!(site.bits().await, [MAINT, 0, 0, 0]);
}

#[tokio::test]
async fn backup_taken_during_a_run_lets_that_run_continue() {
    let mut site = Site::start().await;
    assert_eq!(site.teeter(&["begin", "web"]).await.code, 0);
    let file = site.farm.dir().join("backup.db");
    let name = file.display().to_string();
    let written = site.json(&["store", "backup", &name]).await;
    assert_eq!((&written["path"], &written["runs"], &written["holds"]), (&name.as_str().into(), &1.into(), &1.into()));
    assert_eq!(written["problems"], serde_json::json!([]));
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).expect("it is there").permissions());
    assert_eq!(mode & 0o777, 0o600);
    let before = site.json(&["show", "1"]).await;

    // The run is aborted after the backup, and then the disk is lost.
    assert_eq!(site.teeter(&["abort", "1"]).await.code, 0);
    assert_eq!(site.bits().await, [0; 4]);
    site.daemon.kill().await;
    let store = site.farm.dir().join("teeter.db");
    std::fs::remove_file(store.with_extension("db-wal")).expect("it had one");
    std::fs::copy(&file, &store).expect("it is put in place");
    site.daemon.restart().await;
    site.wait_for_bits([MAINT, MAINT, 0, 0]).await;
    let after = site.json(&["show", "1"]).await;
    assert_eq!(
        (&after["cursor"], &after["state"], &after["out"]),
        (&before["cursor"], &before["state"], &before["out"])
    );
    for _ in 0..2 {
        assert_eq!(site.teeter(&["advance", "1"]).await.code, 0);
    }
    assert_eq!(site.bits().await, [0; 4]);
    assert_eq!(site.teeter(&["store", "verify"]).await.code, 0);
}

#[tokio::test]
async fn backup_replaces_no_file_and_leaves_no_partial_file() {
    let mut site = Site::start().await;
    let file = site.farm.dir().join("backup.db");
    std::fs::write(&file, "precious").expect("it is written");
    let refused = site.teeter(&["store", "backup", &file.display().to_string()]).await;
    assert!(refused.code == exit::FAILED && refused.err.contains("there already"), "{refused:?}");
    assert_eq!(std::fs::read(&file).expect("it is there"), b"precious");
    let nowhere = site.farm.dir().join("no/such/backup.db").display().to_string();
    let refused = site.teeter(&["store", "backup", &nowhere]).await;
    assert!(refused.code == exit::NOT_FOUND && refused.err.contains(&nowhere), "{refused:?}");
    site.daemon.kill().await;
    let other = site.farm.dir().join("other.db");
    let refused = site.teeter(&["store", "backup", &other.display().to_string()]).await;
    assert_eq!(refused.code, exit::UNREACHABLE, "{refused:?}");
    let names = std::fs::read_dir(site.farm.dir()).expect("it is read");
    let names: Vec<_> = names.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    assert!(!names.iter().any(|name| name.contains("part") || name == "other.db"), "{names:?}");
}

#[tokio::test]
async fn store_faults_are_reported() {
    let mut site = Site::start().await;
    assert_eq!(site.teeter(&["begin", "web"]).await.code, 0);
    let store = site.farm.dir().join("teeter.db");
    let busy = site.teeter(&["store", "verify", &store.display().to_string()]).await;
    assert!(busy.code == exit::BUSY && busy.err.contains("in use"), "{busy:?}");
    let none = site.teeter(&["store", "verify", "/no/such/store.db"]).await;
    assert_eq!(none.code, exit::NOT_FOUND, "{none:?}");

    let damages: [(&str, &str); 7] = [
        ("DELETE FROM runs", "hold 1 belongs to run 1, which does not exist"),
        ("DELETE FROM baselines WHERE entry = 'edge:app/web01'", "hold 1 has edge:app/web01"),
        ("UPDATE holds SET json = '{}'", "hold 1 cannot be read"),
        ("UPDATE holds SET id = 7", "the record of hold 7 has number 1"),
        ("UPDATE runs SET active = 0", "run 1 is listed as active: false; active by its record: true"),
        ("UPDATE counters SET value = 1 WHERE name = 'hold'", "the next hold would get number 1, which is used"),
        ("UPDATE events SET at = 'noon' WHERE id = 1", "event 1 has no valid time"),
    ];
    for (number, (damage, problem)) in damages.into_iter().enumerate() {
        let file = site.farm.dir().join(format!("damaged-{number}.db"));
        let name = file.display().to_string();
        assert_eq!(site.teeter(&["store", "backup", &name]).await.code, 0);
        let damaged = rusqlite::Connection::open(&file)
            .and_then(|file| file.execute_batch(&format!("DROP TRIGGER events_are_final; {damage};")));
        damaged.expect("it is damaged");
        let found = site.teeter(&["store", "verify", &name]).await;
        assert!(found.code == exit::FAILED && found.out.contains(problem), "{damage}: {found:?}");
    }
    let file = site.farm.dir().join("cut.db");
    let name = file.display().to_string();
    assert_eq!(site.teeter(&["store", "backup", &name]).await.code, 0);
    let whole = std::fs::read(&file).expect("it is read");
    for damaged in [&whole[..whole.len() / 2], b"this is a text and no database at all", b""] {
        std::fs::write(&file, damaged).expect("it is written");
        let found = site.teeter(&["store", "verify", &name]).await;
        assert!(found.code == exit::FAILED && found.out.contains("not well"), "{found:?}");
    }
    // The write-ahead log beside the file counts, as a power failure leaves both.
    site.daemon.kill().await;
    let found = site.json(&["store", "verify", &store.display().to_string()]).await;
    assert_eq!((&found["runs"], &found["holds"], &found["problems"]), (&1.into(), &1.into(), &serde_json::json!([])));
}
