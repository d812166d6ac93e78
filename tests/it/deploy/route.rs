//! Flips of a route: an entry of a map switches all traffic at once, also across reloads and a killed daemon.

use teeter_lab::{FarmSpec, Load, LoadSpec, Sample};

use crate::fixtures::exit;
use crate::fixtures::site::{DRAIN, MAINT, Site, until};

fn load(site: &Site) -> Load {
    Load::start(LoadSpec { connections: 32, ..LoadSpec::new(site.farm.addr()) }).expect("load starts")
}

#[tokio::test]
async fn route_deploy_never_serves_the_old_version_after_the_new() {
    let site = Site::start_sample(Sample::Route, &[]).await;
    let load = load(&site);
    load.more(500).await;
    let seen = site.farm.dir().join("seen");
    // The hook records the entry in the map file during the work.
    let hook = format!("cat {:?} | grep ^web >> {seen:?}; {}", site.farm.map(), site.hook());
    let ended = site.teeter(&["deploy", "web", "--to", "v2", "--", "sh", "-c", &hook]).await;
    assert_eq!(ended.code, 0, "{ended:?}\n{}", site.daemon.log());
    load.more(500).await;
    let report = load.stop().await.expect("load ends");
    assert!(report.failed().is_empty(), "{report}");
    assert_eq!(report.inversions("v1", "v2").causal, 0, "{report}");
    assert_eq!(report.by_version().len(), 2, "{report}");
    assert_eq!(std::fs::read_to_string(&seen).expect("the hook ran"), "web web_b\nweb web_a\n");
    assert_eq!(site.route("web").await, "web_all");
    assert!(site.map_file().contains("\nweb web_all\n") && site.map_file().contains("shop shop_blue"));
    assert_eq!(site.bits().await, [0; 4]);
    for app in site.farm.apps() {
        assert_eq!((app.version().as_str(), app.broken()), ("v2", 0), "{}", app.name());
        assert_eq!(app.log_of_replacements().iter().map(|r| r.in_flight).sum::<usize>(), 0, "{}", app.name());
    }
    let run = site.json(&["show", "1"]).await;
    assert_eq!(run["flips"][0]["mode"], "route", "{run}");
    // All servers get traffic again. Once no process can have read the file from before, teeter no longer keeps the
    // entry.
    until(|| async { site.json(&["status"]).await["routes"][0]["kept"] == false }).await;
    let map = site.farm.map();
    site.farm.haproxy().tell(&format!("set map {} web web_b", map.display())).await.expect("HAProxy answers");
    assert_eq!(site.json(&["status"]).await["routes"][0]["kept"], false);
}

#[tokio::test]
async fn twenty_flips_under_load_switch_every_request() {
    let site = Site::start_sample(Sample::Route, &[]).await;
    for app in &site.farm.apps()[2..] {
        app.replace("v2").await.expect("it is replaced");
    }
    let flipped = site.teeter(&["flip", "web", "a"]).await;
    assert_eq!(flipped.code, 0, "{flipped:?}");
    assert!(flipped.err.contains("teeter flip web b"), "{flipped:?}");
    for flip in 0..20 {
        let (to, old, new) = if flip % 2 == 0 { ("b", "v1", "v2") } else { ("a", "v2", "v1") };
        let load = load(&site);
        load.more(300).await;
        let ended = site.teeter(&["flip", "web", to]).await;
        assert_eq!(ended.code, 0, "{ended:?}\n{}", site.daemon.log());
        load.more(300).await;
        let report = load.stop().await.expect("load ends");
        assert!(report.failed().is_empty(), "flip {flip}: {report}");
        assert_eq!(report.inversions(old, new).causal, 0, "flip {flip}: {report}");
        assert_eq!(report.by_version().len(), 2, "flip {flip}: {report}");
    }
    // The standby side is in drain, in which its checks go on.
    assert_eq!(site.bits().await, [0, 0, DRAIN, DRAIN]);
    let holds = site.teeter(&["holds"]).await.out;
    assert!(holds.contains("standby of web"), "{holds}");
    let again = site.teeter(&["flip", "web", "a"]).await;
    assert!(again.code == 0 && again.err.contains("nothing to do"), "{again:?}");
    let all = site.teeter(&["flip", "web", "all"]).await;
    assert_eq!(all.code, 0, "{all:?}");
    assert_eq!((site.route("web").await.as_str(), site.bits().await), ("web_all", vec![0; 4]));
    assert_eq!(site.json(&["holds"]).await["holds"].as_array().map(Vec::len), Some(0));
}

#[tokio::test]
async fn reload_at_each_step_keeps_the_side_of_the_store() {
    for master in [false, true] {
        let spec = FarmSpec { sample: Sample::Route, master, ..FarmSpec::default() };
        let site = Site::start_spec(spec, &[]).await;
        let load = load(&site);
        assert_eq!(site.teeter(&["begin", "web", "--to", "v2"]).await.code, 0);
        for (live, bits, version) in [("web_b", [MAINT, MAINT, 0, 0], "v2"), ("web_a", [0, 0, MAINT, MAINT], "v2")] {
            assert_eq!(site.route("web").await, live);
            site.farm.haproxy().reload().await.expect("HAProxy reloads");
            // The new process has read the side from the map file, and never sent a request to the other one.
            assert_eq!(site.route("web").await, live);
            site.wait_for_bits(bits).await;
            let apps = site.farm.apps().iter().zip(bits).filter(|(_, bits)| *bits == MAINT);
            for (app, _) in apps {
                app.replace(version).await.expect("it is replaced");
            }
            let advanced = site.teeter(&["advance", "1"]).await;
            assert_eq!(advanced.code, 0, "{advanced:?}\n{}", site.daemon.log());
        }
        let report = load.stop().await.expect("load ends");
        assert_eq!(report.inversions("v1", "v2").causal, 0, "{report}");
        assert_eq!(site.json(&["show", "1"]).await["state"], "done");
        assert_eq!(site.route("web").await, "web_all");
        let events = site.teeter(&["show", "1"]).await.out;
        assert!(events.contains("another process"), "{events}");
    }
}

#[tokio::test]
async fn old_map_value_is_corrected() {
    // teeter does not write the file: a reload brings the old value back, and teeter corrects it.
    let site = Site::start_sample(Sample::Route, &[("sticky = ", "write_map = false\nsticky = ")]).await;
    let before = site.map_file();
    assert_eq!(site.teeter(&["flip", "web", "b"]).await.code, 0);
    assert_eq!(site.map_file(), before);
    site.farm.haproxy().reload().await.expect("HAProxy reloads");
    // Wait until teeter has read the map back: before that it cannot recognise an outside change.
    until(|| async { site.json(&["status"]).await["instances"][0]["agrees"] == true }).await;
    assert_eq!(site.route("web").await, "web_b");
    // teeter corrects and records an outside change.
    let outside = format!("set map {} web web_a", site.farm.map().display());
    site.farm.haproxy().cmd(&outside).await.expect("HAProxy answers");
    until(|| async { site.route("web").await == "web_b" }).await;
    until(|| async { site.teeter(&["events"]).await.out.contains("set web in map") }).await;
}

#[tokio::test]
async fn killed_daemon_switches_the_route_it_had_stored() {
    let mut site = Site::start_sample(Sample::Route, &[]).await;
    assert_eq!(site.teeter(&["flip", "web", "b"]).await.code, 0);
    site.daemon.kill().await;
    let map = site.farm.map();
    site.farm.haproxy().cmd(&format!("set map {} web web_a", map.display())).await.expect("HAProxy answers");
    std::fs::write(&map, "# mine\nweb web_all\n").expect("it is written");
    site.daemon.restart().await;
    until(|| async { site.route("web").await == "web_b" }).await;
    until(|| async { site.map_file() == "# mine\nweb web_b\n" }).await;
    site.farm.haproxy().restart().await.expect("HAProxy restarts");
    assert_eq!(site.route("web").await, "web_b");
    site.wait_for_bits([DRAIN, DRAIN, 0, 0]).await;
}

#[tokio::test]
async fn abort_returns_the_traffic_to_all_healthy_servers() {
    let site = Site::start_sample(Sample::Route, &[]).await;
    let hook = site.hook();
    let load = load(&site);
    let ended = site.teeter(&["deploy", "web", "--to", "v2", "--", "sh", "-c", &format!("{hook}; exit 3")]).await;
    assert_eq!(ended.code, exit::FAILED, "{ended:?}");
    assert_eq!(site.route("web").await, "web_b");
    assert_eq!(site.teeter(&["abort", "1"]).await.code, 0);
    assert_eq!((site.route("web").await.as_str(), site.bits().await), ("web_all", vec![MAINT, MAINT, 0, 0]));
    let report = load.stop().await.expect("load ends");
    assert!(report.failed().is_empty(), "{report}");
    assert_eq!(report.by_version().keys().collect::<Vec<_>>(), ["v1"], "{report}");
}

#[tokio::test]
async fn two_sides_alternate() {
    let site = Site::start_sample(Sample::BlueGreen, &[]).await;
    let load = load(&site);
    let refused = site.teeter(&["flip", "shop", "all"]).await;
    assert_eq!(refused.code, exit::REFUSED, "{refused:?}");
    for (to, backend, bits) in
        [("green", "shop_green", [DRAIN, DRAIN, 0, 0]), ("blue", "shop_blue", [0, 0, DRAIN, DRAIN])]
    {
        let flipped = site.teeter(&["flip", "shop", to]).await;
        assert_eq!(flipped.code, 0, "{flipped:?}\n{}", site.daemon.log());
        assert_eq!((site.route("shop").await.as_str(), site.bits().await), (backend, bits.to_vec()));
        // After a restart the same side is live, and the other is still out.
        site.farm.haproxy().restart().await.expect("HAProxy restarts");
        assert_eq!(site.route("shop").await, backend);
        site.wait_for_bits(bits).await;
    }
    load.stop().await.expect("load ends");
}

#[tokio::test]
async fn several_keys_switch_at_once() {
    let version = teeter_lab::Haproxy::version().expect("there is a HAProxy");
    if version.starts_with("2.2") {
        teeter_lab::skip("transactions on maps came with 2.4; the test checks the refusal instead");
    }
    let map = "str(web),map_str(/etc/haproxy/maps/live.map,web_all)";
    let backends: String = ["a web01 web02", "b web03 web04", "all web01 web02 web03 web04"]
        .map(|line| {
            let (side, servers) = line.split_once(' ').expect("it has a name");
            let group = |server: &str| if matches!(server, "web01" | "web02") { "a" } else { "b" };
            let port = |server: &str| server.replace("web0", "900");
            let lines = servers.split(' ').map(|server| {
                format!("    server {server} 127.0.0.1:{} track web_{}/{server}\n", port(server), group(server))
            });
            format!("backend api_{side}\n{}", lines.collect::<String>())
        })
        .concat();
    let api = format!(
        "http-request set-var(txn.api) {}\n    use_backend %[var(txn.api)] if {{ path_beg /api }}\n    \
         http-request set-var(txn.live) {map}",
        map.replace("str(web)", "str(api)").replace("web_all", "api_all")
    );
    let site = Site::start_sample(Sample::Route, &[]).await;
    let config = std::fs::read_to_string(site.farm.haproxy().config()).expect("it is there");
    let ports = ["web01", "web02", "web03", "web04"]
        .map(|name| (name.replace("web0", "127.0.0.1:900"), site.farm.app(name).addr()));
    let mut backends = backends;
    for (sample, addr) in ports {
        backends = backends.replace(&sample, &addr.to_string());
    }
    let path = site.farm.map().display().to_string();
    let lookup = format!("http-request set-var(txn.live) str(web),map_str({path},web_all)");
    assert!(config.contains(&lookup), "{config}");
    let api = api.replace("/etc/haproxy/maps/live.map", &path);
    let config = format!("{}\n{backends}", config.replace(&lookup, &api));
    std::fs::write(site.farm.map(), "web web_all\napi api_all\nother x\n").expect("it is written");
    site.farm.haproxy().write_config(&config).expect("it is written");
    site.farm.haproxy().restart().await.expect("HAProxy restarts");
    let keys = |key: &str| {
        format!("{{ map = {path:?}, key = {key:?}, all = \"{key}_all\", a = \"{key}_a\", b = \"{key}_b\" }}")
    };
    let add_api = |toml: &str| {
        let line = toml.lines().find(|line| line.starts_with("route = ")).expect("there is a route");
        toml.replace(line, &format!("route = [{}, {}]", keys("web"), keys("api")))
            .replace("\"web_all/web0[1-4]\"", "\"web_all/web0[1-4]\", \"api_*/web0[1-4]\"")
    };
    site.daemon.reconfigure(add_api).await;
    let flipped = site.teeter(&["flip", "web", "b"]).await;
    if version.starts_with("2.2") {
        assert!(flipped.code == exit::REFUSED && flipped.err.contains("only HAProxy 2.4 and later"), "{flipped:?}");
        return;
    }
    assert_eq!(flipped.code, 0, "{flipped:?}\n{}", site.daemon.log());
    assert_eq!((site.route("web").await.as_str(), site.route("api").await.as_str()), ("web_b", "api_b"));
    assert_eq!(site.route("other").await, "x");
    assert_eq!(site.map_file(), "web web_b\napi api_b\nother x\n");
    let answer = teeter_lab::get(site.farm.addr(), "/api").await.expect("it answers");
    assert!(matches!(answer.server(), "web03" | "web04"), "{answer:?}");
}
