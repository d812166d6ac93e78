//! The samples with a route, on a real HAProxy: the tests send the commands of teeter, in teeter's order.

use std::collections::BTreeSet;
use std::io;

use teeter_lab::sample::render;
use teeter_lab::{FarmSpec, Haproxy, Held, Inversions, Load, LoadSpec, Sample, TestFarm, get};

async fn farm(sample: Sample) -> io::Result<TestFarm> {
    TestFarm::start_spec(FarmSpec { sample, version: "v1".to_owned(), ..FarmSpec::default() }).await
}

/// Switches the route of a key to a backend.
async fn switch(farm: &TestFarm, key: &str, backend: &str) -> io::Result<()> {
    farm.haproxy().tell(&format!("set map {} {key} {backend}", farm.map().display())).await
}

/// Waits until these backends have no requests in flight, then installs a version on these servers.
async fn replace(farm: &TestFarm, backends: &[&str], names: &[&str], version: &str) -> io::Result<()> {
    // Twice, because HAProxy chooses a backend before it counts the request there.
    for _ in 0..2 {
        for backend in backends {
            farm.haproxy().wait_for(&format!("{backend}/BACKEND"), "scur", |now| now == "0").await?;
        }
    }
    for name in names {
        farm.app(name).replace(version).await?;
    }
    farm.all_up().await
}

/// The servers that answer sixteen requests of sixteen visitors.
async fn serving(farm: &TestFarm) -> io::Result<BTreeSet<String>> {
    let mut seen = BTreeSet::new();
    for _ in 0..16 {
        let answer = get(farm.addr(), "/").await?;
        assert_eq!(answer.status, 200);
        seen.insert(answer.server().to_owned());
    }
    Ok(seen)
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn haproxy_accepts_every_sample_without_a_warning() -> io::Result<()> {
    let dir = tempfile::tempdir()?;
    let (socket, map) = (dir.path().join("admin.sock"), dir.path().join("live.map"));
    for sample in Sample::ALL {
        let text = map.display().to_string();
        let extra = [("/etc/haproxy/maps/live.map", text.as_str())];
        let extra = if let Some(entries) = sample.map() {
            std::fs::write(&map, entries)?;
            extra.as_slice()
        } else {
            &[]
        };
        let path = dir.path().join("haproxy.cfg");
        std::fs::write(&path, render(sample.text(), &socket, 8080, &[], extra)?)?;
        assert_eq!(Haproxy::check_config(&path), Ok(()), "{sample:?}");
    }
    Ok(())
}

#[test]
fn the_two_configurations_of_a_sample_agree() {
    for sample in Sample::ALL {
        let toml: toml::Table = sample.toml().parse().unwrap_or_else(|error| panic!("{sample:?}: {error}"));
        let (_, farm) = toml["farm"].as_table().and_then(|farms| farms.iter().next()).expect("a farm");
        if farm.get("halves").is_none() {
            let groups = farm["groups"].as_table().expect("groups").values();
            let names = groups.flat_map(|names| names.as_array().expect("names").iter());
            assert!(names.map(|name| name.as_str().unwrap_or_default()).eq(sample.names()), "{sample:?}");
        }
        let Some(map) = sample.map() else { continue };
        let route = farm["flip"]["route"].as_table().expect("a route");
        for (key, value) in route {
            let value = value.as_str().expect("text");
            match key.as_str() {
                "map" => assert!(sample.text().contains(&format!("map_str({value}")), "{sample:?}: {value}"),
                "key" => {
                    assert!(sample.text().contains(&format!("str({value}),map_str")), "{sample:?}: {value}");
                    assert!(map.lines().any(|line| line.starts_with(&format!("{value} "))), "{sample:?}: {value}");
                }
                _ => assert!(sample.text().contains(&format!("\nbackend {value}\n")), "{sample:?}: {value}"),
            }
        }
    }
}

#[tokio::test]
async fn a_switched_route_moves_every_request_at_once() -> io::Result<()> {
    let farm = farm(Sample::Route).await?;
    let load = Load::start(LoadSpec::new(farm.addr()))?;
    assert!(load.more(500).await);
    let (a, b) = (["web01", "web02"], ["web03", "web04"]);
    let flips = [("web_a", "web_b", b), ("web_b", "web_a", a), ("web_a", "web_b", b), ("web_b", "web_a", a)];
    for ((live, idle, names), version) in flips.into_iter().zip(["v2", "v3", "v4", "v5"]) {
        switch(&farm, "web", live).await?;
        replace(&farm, &[idle, "web_all"], &names, version).await?;
        switch(&farm, "web", idle).await?;
        assert!(load.more(500).await);
    }
    replace(&farm, &["web_b", "web_all"], &b, "v5").await?;
    switch(&farm, "web", "web_all").await?;
    assert!(load.more(500).await);
    let report = load.stop().await?;
    assert_eq!((report.failed().len(), farm.broken()), (0, 0), "{report}");
    for (old, new) in [("v1", "v2"), ("v2", "v3"), ("v3", "v4"), ("v4", "v5")] {
        assert!(report.answers_of(new).count() > 0, "{report}");
        assert_eq!(report.inversions(old, new), Inversions::default(), "{old} to {new}\n{report}");
    }
    assert_eq!(serving(&farm).await?, set(&NAMES));
    Ok(())
}

const NAMES: [&str; 4] = teeter_lab::farm::NAMES;

#[tokio::test]
async fn a_websocket_follows_the_route() -> io::Result<()> {
    let farm = farm(Sample::Route).await?;
    switch(&farm, "web", "web_b").await?;
    let mut before = Held::open(farm.addr(), "/ws", &[]).await?;
    assert!(set(&NAMES[2..]).contains(before.answer().server()));
    switch(&farm, "web", "web_a").await?;
    let after = Held::open(farm.addr(), "/ws", &[]).await?;
    assert!(set(&NAMES[..2]).contains(after.answer().server()));
    before.echo(b"still here").await?;
    assert_eq!(farm.haproxy().stat("web_b/BACKEND").await?["scur"], "1");
    Ok(())
}

#[tokio::test]
async fn without_a_valid_entry_all_servers_serve() -> io::Result<()> {
    for sample in [Sample::Route, Sample::RouteSticky, Sample::Pin] {
        let farm = farm(sample).await?;
        switch(&farm, "web", "web_b").await?;
        assert_eq!(serving(&farm).await?, set(&NAMES[2..]), "{sample:?}");
        switch(&farm, "web", "web_c").await?;
        assert_eq!(serving(&farm).await?, set(&NAMES), "{sample:?}: no such backend");
        switch(&farm, "web", "web_a").await?;
        assert_eq!(serving(&farm).await?, set(&NAMES[..2]), "{sample:?}");
        farm.haproxy().tell(&format!("del map {} web", farm.map().display())).await?;
        assert_eq!(serving(&farm).await?, set(&NAMES), "{sample:?}: no entry");
    }
    Ok(())
}

#[tokio::test]
async fn a_state_of_a_group_line_reaches_the_line_for_all() -> io::Result<()> {
    let farm = farm(Sample::Route).await?;
    farm.haproxy().tell("set server web_a/web01 state maint").await?;
    assert_eq!(serving(&farm).await?, set(&NAMES[1..]));
    farm.haproxy().tell("set server web_a/web01 state ready").await?;
    farm.app("web04").set_healthy(false);
    farm.haproxy().wait_for("web_all/web04", "status", |now| now.starts_with("DOWN")).await?;
    assert_eq!(serving(&farm).await?, set(&NAMES[..3]));
    Ok(())
}

#[tokio::test]
async fn requests_to_a_live_group_without_servers_fail() -> io::Result<()> {
    let farm = farm(Sample::Route).await?;
    switch(&farm, "web", "web_a").await?;
    for name in &NAMES[..2] {
        farm.haproxy().tell(&format!("set server web_a/{name} state maint")).await?;
    }
    assert_eq!(get(farm.addr(), "/").await?.status, 503);
    Ok(())
}

#[tokio::test]
async fn a_reload_reads_the_route_from_the_map_file() -> io::Result<()> {
    let farm = farm(Sample::Route).await?;
    switch(&farm, "web", "web_b").await?;
    farm.haproxy().reload().await?;
    farm.all_up().await?;
    assert_eq!(serving(&farm).await?, set(&NAMES), "a reload loses the entry that was set on the socket");
    let text = std::fs::read_to_string(farm.map())?;
    std::fs::write(farm.map(), text.replace("web web_all", "web web_b"))?;
    switch(&farm, "web", "web_b").await?;
    farm.haproxy().reload().await?;
    farm.all_up().await?;
    assert_eq!(serving(&farm).await?, set(&NAMES[2..]));
    Ok(())
}

#[tokio::test]
async fn the_route_switches_from_blue_to_green_and_back() -> io::Result<()> {
    let farm = farm(Sample::BlueGreen).await?;
    let [blue1, blue2, green1, green2] = farm.sample().names();
    assert_eq!(serving(&farm).await?, set(&[blue1, blue2]));
    let load = Load::start(LoadSpec::new(farm.addr()))?;
    assert!(load.more(500).await);
    replace(&farm, &["shop_green"], &[green1, green2], "v2").await?;
    switch(&farm, "shop", "shop_green").await?;
    assert!(load.more(500).await);
    assert_eq!(serving(&farm).await?, set(&[green1, green2]));
    replace(&farm, &["shop_blue"], &[blue1, blue2], "v3").await?;
    switch(&farm, "shop", "shop_blue").await?;
    assert!(load.more(500).await);
    let report = load.stop().await?;
    assert_eq!((report.failed().len(), farm.broken()), (0, 0), "{report}");
    for (old, new) in [("v1", "v2"), ("v2", "v3")] {
        assert_eq!(report.inversions(old, new), Inversions::default(), "{old} to {new}\n{report}");
    }
    switch(&farm, "shop", "shop_red").await?;
    assert_eq!(serving(&farm).await?, set(&[blue1, blue2]), "no such backend");
    Ok(())
}

#[tokio::test]
async fn a_stick_table_keeps_visitors_and_spare_lines_get_no_requests() -> io::Result<()> {
    let farm = farm(Sample::Site).await?;
    let seen = serving(&farm).await?;
    // All visitors of this test have one address.
    let home = seen.first().expect("a server").clone();
    assert_eq!(seen.len(), 1, "{seen:?}");
    let table = farm.haproxy().cmd("show table app").await?;
    assert!(table.contains(&format!("={home}\n")), "{table}");
    farm.haproxy().tell(&format!("set server app/{home} state drain")).await?;
    assert_eq!(serving(&farm).await?, set(&[&home]), "in drain");
    farm.haproxy().tell(&format!("set server app/{home} state maint")).await?;
    let moved = serving(&farm).await?;
    assert!(moved.len() == 1 && !moved.contains(&home) && moved.is_subset(&set(&NAMES)), "{moved:?}");
    assert_eq!(farm.haproxy().cmd("set server legacy/web01 state drain").await?.trim(), "Proxy is disabled.");
    Ok(())
}
