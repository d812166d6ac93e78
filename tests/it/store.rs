//! The store: damaged, set aside, and begun anew.

use crate::site::{MAINT, Site};

#[tokio::test]
async fn a_damaged_store_is_set_aside_and_nothing_is_guessed() {
    let mut site = Site::start().await;
    let drained = site.teeter(&["maint", "web01", "--reason", "kernel"]).await;
    assert_eq!(drained.code, 0, "{drained:?}");
    site.daemon.kill().await;
    let path = site.farm.dir().join("teeter.db");
    let size = std::fs::metadata(&path).expect("there is a store").len();
    std::fs::remove_file(path.with_extension("db-wal")).unwrap_or_default();
    for (number, damage) in
        [(1, vec![0x5a; 100]), (2, b"this is no database, and never was one; it is a text".to_vec())]
    {
        std::fs::write(&path, &damage).expect("it is damaged");
        site.daemon.restart().await;
        // It tells, changes nothing, and lets nothing be changed.
        let status = site.teeter(&["status"]).await;
        let aside = format!("teeter.db.damaged-{number}");
        assert!(status.code == 0 && (status.out + &status.err).contains(&aside), "{aside}");
        assert_eq!(site.bits().await, [MAINT, 0, 0, 0]);
        for command in [&["drain", "web02", "--reason", "x"][..], &["begin", "web"]] {
            let refused = site.teeter(command).await;
            assert_eq!(refused.code, 1, "{refused:?}");
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
    // The next one begins with nothing, and who is out is as somebody else has left it.
    site.daemon.restart().await;
    assert!(size > 0 && path.exists());
    assert!(site.json(&["holds"]).await["holds"].as_array().is_some_and(Vec::is_empty));
    assert_eq!(site.teeter(&["maint", "web01", "--reason", "kernel"]).await.code, 0);
    assert_eq!(site.bits().await, [MAINT, 0, 0, 0]);
}
