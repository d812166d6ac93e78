//! Farms and HAProxys that are not there any more: others are not held up, and what is left over is told and forgotten.

use teeter_lab::Sample;

use crate::site::{DRAIN, Site, until};

/// The site's HAProxy with its map gone from the configuration, and two servers that are nobody's.
async fn without_map(site: &Site) {
    let haproxy = site.farm.haproxy();
    let config = std::fs::read_to_string(haproxy.config()).expect("it is there");
    let line = config.lines().find(|line| line.contains("map_str(")).expect("a map is read");
    let others = "backend other\n    server s1 127.0.0.1:9\n    server s2 127.0.0.1:9\n";
    let config = format!("{}\n{others}", config.replace(line, "    http-request set-var(txn.live) str(web_b)"));
    haproxy.write_config(&config).expect("it is written");
    haproxy.reload().await.expect("HAProxy reloads");
}

#[tokio::test]
async fn a_retired_farm_holds_up_nobody_and_is_forgotten() {
    let mut site = Site::on(Sample::Route, &[]).await;
    assert_eq!(site.teeter(&["flip", "web", "b"]).await.code, 0);
    assert_eq!(site.bits().await, [DRAIN, DRAIN, 0, 0]);
    without_map(&site).await;
    let map = format!("HAProxy edge has no map {}", site.farm.map().display());
    until(|| async { site.teeter(&["status"]).await.out.contains(&map) }).await;

    // Others go on. What the map may have led away from stays in: nobody knows who serves.
    let drained = site.teeter(&["drain", "other/s1", "--reason", "kernel"]).await;
    assert_eq!(drained.code, 0, "{drained:?}\n{}", site.daemon.log());
    assert_eq!(site.farm.haproxy().server_admin_bits("other/s1").await.expect("HAProxy answers"), DRAIN);
    assert_eq!(site.teeter(&["ready", "other/s1"]).await.code, 0);
    assert_eq!(site.bits().await, [0; 4]);
    let flip = site.teeter(&["flip", "web", "a"]).await;
    assert!(flip.code == 6 && flip.err.contains(&map), "{flip:?}");
    let doctor = site.teeter(&["doctor"]).await;
    assert!(doctor.code == 1 && doctor.out.contains("does not agree with the store"), "{doctor:?}");
    let early = site.teeter(&["forget", "web"]).await;
    assert!(early.code == 6 && early.err.contains("is configured"), "{early:?}");

    let toml = std::fs::read_to_string(site.daemon.config()).expect("it is there");
    let retired = &toml[..toml.find("[farm.web]").expect("a farm is configured")];
    std::fs::write(site.daemon.config(), retired).expect("it is written");
    site.daemon.signal("-HUP").await;
    until(|| async { site.daemon.log().contains("configuration read again") }).await;
    for command in ["doctor", "status"] {
        let told = site.teeter(&[command]).await.out;
        assert!(told.contains("the store has its route, turned to b; hold 1 on edge:web_a/web01"), "{told}");
    }
    let back = "`teeter ready web_all/web01 web_all/web02` brings back what is out, then `teeter forget web`";
    let doctor = site.teeter(&["doctor"]).await.out;
    assert!(doctor.contains(back), "{doctor}");
    let early = site.teeter(&["forget", "web"]).await;
    assert!(early.code == 6 && early.err.contains("teeter ready web_all/web01 web_all/web02"), "{early:?}");
    assert_eq!(site.teeter(&["ready", "web_all/web01", "web_all/web02"]).await.code, 0);
    let forgotten = site.json(&["forget", "web"]).await;
    assert!(forgotten["forgotten"].as_str().is_some_and(|what| what.contains("turned to b")), "{forgotten}");
    let well = site.teeter(&["doctor"]).await;
    assert!(well.code == 0 && !well.out.contains("farm web"), "{well:?}");
    assert_eq!(site.json(&["holds"]).await["holds"], serde_json::json!([]));
    assert_eq!(site.bits().await, [0; 4]);
    assert!(site.json(&["events"]).await.to_string().contains("\"kind\":\"forgotten\""));
    assert_eq!(site.teeter(&["forget", "web"]).await.code, 3);
    assert_eq!(site.teeter(&["forget"]).await.code, 2);

    // The same HAProxy under another name: what is held under the old one holds up nobody, either.
    assert_eq!(site.teeter(&["drain", "other/s1", "--reason", "kernel"]).await.code, 0);
    site.daemon.kill().await;
    std::fs::write(site.daemon.config(), retired.replace("name = \"edge\"", "name = \"lb\"")).expect("it is written");
    site.daemon.restart().await;
    let holds = site.teeter(&["holds"]).await.out;
    assert!(holds.contains("HAProxy edge is not configured any more: edge:other/s1"), "{holds}");
    assert_eq!(site.teeter(&["drain", "other/s2", "--reason", "kernel", "--allow-outage"]).await.code, 0);
    let ready = site.teeter(&["ready", "other/s1", "other/s2", "--no-wait"]).await;
    assert_eq!(ready.code, 0, "{ready:?}");
    until(|| async { site.json(&["holds"]).await["holds"] == serde_json::json!([]) }).await;
    assert_eq!(site.farm.haproxy().server_admin_bits("other/s2").await.expect("HAProxy answers"), 0);
    let doctor = site.teeter(&["doctor"]).await.out;
    assert!(doctor.contains("`teeter forget --haproxy edge`"), "{doctor}");
    assert_eq!(site.teeter(&["forget", "--haproxy", "lb"]).await.code, 6);
    assert_eq!(site.teeter(&["forget", "--haproxy", "edge"]).await.code, 0);
    assert!(!site.teeter(&["doctor"]).await.out.contains("HAProxy edge"));
}
