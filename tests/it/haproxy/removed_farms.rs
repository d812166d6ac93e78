//! Farms and HAProxy instances that were removed or renamed: they block no others, and their records are reported and
//! can be forgotten.

use teeter_lab::Sample;

use crate::fixtures::exit;
use crate::fixtures::site::{DRAIN, MAINT, Site, until};

/// Removes the map from HAProxy's configuration, and adds two servers that belong to no farm.
async fn remove_map(site: &Site) {
    let haproxy = site.farm.haproxy();
    let config = std::fs::read_to_string(haproxy.config()).expect("it is there");
    let line = config.lines().find(|line| line.contains("map_str(")).expect("a map is read");
    let others = "backend other\n    server s1 127.0.0.1:9\n    server s2 127.0.0.1:9\n";
    let config = format!("{}\n{others}", config.replace(line, "    http-request set-var(txn.live) str(web_b)"));
    haproxy.write_config(&config).expect("it is written");
    haproxy.reload().await.expect("HAProxy reloads");
}

#[tokio::test]
async fn removed_farm_blocks_no_other_and_is_forgotten() {
    let site = Site::start_sample(Sample::Route, &[]).await;
    assert_eq!(site.teeter(&["flip", "web", "b"]).await.code, 0);
    assert_eq!(site.bits().await, [DRAIN, DRAIN, 0, 0]);
    remove_map(&site).await;
    let map = format!("HAProxy edge has no map {}", site.farm.map().display());
    until(|| async { site.teeter(&["status"]).await.out.contains(&map) }).await;

    // Other farms go on. Both sides stay in service: without the map it is unknown which one gets the traffic.
    let drained = site.teeter(&["drain", "other/s1", "--reason", "kernel"]).await;
    assert_eq!(drained.code, 0, "{drained:?}\n{}", site.daemon.log());
    assert_eq!(site.farm.haproxy().server_admin_bits("other/s1").await.expect("HAProxy answers"), DRAIN);
    assert_eq!(site.teeter(&["ready", "other/s1"]).await.code, 0);
    assert_eq!(site.bits().await, [0; 4]);
    let flip = site.teeter(&["flip", "web", "a"]).await;
    assert!(flip.code == exit::REFUSED && flip.err.contains(&map), "{flip:?}");
    let doctor = site.teeter(&["doctor"]).await;
    assert!(doctor.code == exit::FAILED && doctor.out.contains("does not agree with the store"), "{doctor:?}");
    let early = site.teeter(&["forget", "web"]).await;
    assert!(early.code == exit::REFUSED && early.err.contains("is configured"), "{early:?}");

    site.daemon.reconfigure(without_farm).await;
    for command in ["doctor", "status"] {
        let printed = site.teeter(&[command]).await.out;
        assert!(printed.contains("the store has its route, switched to b; hold 1 on edge:web_a/web01"), "{printed}");
    }
    let back = "`teeter ready web_all/web01 web_all/web02` brings back what is out, then `teeter forget web`";
    let doctor = site.teeter(&["doctor"]).await.out;
    assert!(doctor.contains(back), "{doctor}");
    let early = site.teeter(&["forget", "web"]).await;
    assert!(early.code == exit::REFUSED && early.err.contains("teeter ready web_all/web01 web_all/web02"), "{early:?}");
    assert_eq!(site.teeter(&["ready", "web_all/web01", "web_all/web02"]).await.code, 0);
    let forgotten = site.json(&["forget", "web"]).await;
    assert!(forgotten["forgotten"].as_str().is_some_and(|what| what.contains("switched to b")), "{forgotten}");
    let doctor = site.teeter(&["doctor"]).await;
    assert!(doctor.code == 0 && !doctor.out.contains("farm web"), "{doctor:?}");
    assert_eq!(site.json(&["holds"]).await["holds"], serde_json::json!([]));
    assert_eq!(site.bits().await, [0; 4]);
    assert!(site.json(&["events"]).await.to_string().contains("\"kind\":\"forgotten\""));
    assert_eq!(site.teeter(&["forget", "web"]).await.code, exit::NOT_FOUND);
    assert_eq!(site.teeter(&["forget"]).await.code, exit::USAGE);
}

/// The configuration without its farm, which is at the end.
fn without_farm(toml: &str) -> String {
    toml[..toml.find("[farm.web]").expect("a farm is configured")].to_owned()
}

/// Restarts teeterd with a part of its configuration replaced.
async fn restart_with(site: &mut Site, from: &str, to: &str) {
    let toml = std::fs::read_to_string(site.daemon.config()).expect("it is there");
    assert!(toml.contains(from), "{toml}");
    site.daemon.kill().await;
    std::fs::write(site.daemon.config(), toml.replace(from, to)).expect("it is written");
    site.daemon.restart().await;
}

#[tokio::test]
async fn renamed_haproxy_is_the_same_one() {
    let mut site = Site::start().await;
    for (server, mode) in [("web01", "drain"), ("edge:app/web02", "maint")] {
        assert_eq!(site.teeter(&[mode, server, "--reason", "kernel", "--allow-outage"]).await.code, 0);
    }
    restart_with(&mut site, "name = \"edge\"", "name = \"lb\"").await;
    assert!(site.daemon.log().contains("HAProxy edge is called lb now"), "{}", site.daemon.log());
    let holds = site.json(&["holds"]).await["holds"].clone();
    assert_eq!((&holds[0]["entries"][0], &holds[1]["entries"][0]), (&"lb:api/web01".into(), &"lb:api/web02".into()));
    assert_eq!(site.bits().await, [DRAIN, MAINT, 0, 0]);
    assert!(!site.teeter(&["doctor"]).await.out.contains("HAProxy edge"));
    // Another socket of the same process is the same HAProxy, too.
    let socket = site.farm.haproxy().socket();
    let other = socket.with_file_name("other.sock");
    std::os::unix::fs::symlink(&socket, &other).expect("a link is made");
    let path = |path: &std::path::Path| format!("socket = \"{}\"", path.display());
    let from = format!("name = \"lb\"\n{}", path(&socket));
    restart_with(&mut site, &from, &format!("name = \"front\"\n{}", path(&other))).await;
    until(|| async { site.daemon.log().contains("HAProxy lb is called front now") }).await;
    for (server, more) in [("web01", &["--no-verify"][..]), ("front:app/web02", &[])] {
        let ready = site.teeter(&[&["ready", server], more].concat()).await;
        assert_eq!(ready.code, 0, "{ready:?}");
    }
    assert_eq!(site.bits().await, [0; 4]);
    assert_eq!(site.json(&["holds"]).await["holds"], serde_json::json!([]));
}

#[tokio::test]
async fn deploy_continues_after_its_haproxy_is_renamed() {
    let mut site = Site::start().await;
    assert_eq!(site.teeter(&["begin", "web"]).await.code, 0);
    restart_with(&mut site, "name = \"edge\"", "name = \"lb\"").await;
    assert_eq!(site.bits().await, [MAINT, MAINT, 0, 0]);
    for _ in 0..2 {
        let advanced = site.teeter(&["advance", "1"]).await;
        assert_eq!(advanced.code, 0, "{advanced:?}");
    }
    assert_eq!(site.json(&["show", "1"]).await["state"], "done");
    assert_eq!(site.bits().await, [0; 4]);
}

#[tokio::test]
async fn holds_in_an_unconfigured_haproxy_stay() {
    let mut site = Site::start().await;
    assert_eq!(site.teeter(&["drain", "web01", "--reason", "kernel"]).await.code, 0);
    let configured = std::fs::read_to_string(site.daemon.config()).expect("it is there");
    let socket = site.farm.haproxy().socket().display().to_string();
    let nowhere = configured.replace("name = \"edge\"", "name = \"lb\"").replace(&socket, "/nonexistent/lb.sock");
    restart_with(&mut site, &configured, &nowhere).await;
    let left = "HAProxy edge is not configured any more, and the store has hold 1 on edge:api/web01";
    assert!(site.daemon.log().contains(left), "{}", site.daemon.log());
    let holds = site.teeter(&["holds"]).await.out;
    assert!(holds.contains("it was at ") && holds.contains("`teeter forget --haproxy edge`"), "{holds}");
    for more in [&[][..], &["--no-verify"]] {
        let ready = site.teeter(&[&["ready", "web01"], more].concat()).await;
        assert!(ready.code == exit::REFUSED && ready.err.contains("configure it again"), "{ready:?}");
    }
    assert_eq!(site.bits().await, [DRAIN, 0, 0, 0]);
    restart_with(&mut site, &nowhere, &configured).await;
    assert_eq!(site.teeter(&["ready", "web01"]).await.code, 0);
    assert_eq!(site.bits().await, [0; 4]);
}

/// The abort succeeds although the farm is not configured any more.
#[tokio::test]
async fn run_of_a_removed_farm_can_be_aborted() {
    let site = Site::start().await;
    assert_eq!(site.teeter(&["begin", "web"]).await.code, 0);
    site.daemon.reconfigure(without_farm).await;
    let aborted = site.teeter(&["abort", "1"]).await;
    assert_eq!(aborted.code, 0, "{aborted:?}\n{}", site.daemon.log());
    assert!(aborted.out.contains("run 1 is aborted"), "{aborted:?}");
    assert!(aborted.err.contains("the servers of farm web cannot be shown"), "{aborted:?}");
    assert_eq!(site.bits().await, [0; 4]);
}
