//! The map file: concurrent commands, other programs that write it, and files of a killed daemon.

use teeter_lab::Sample;

use crate::fixtures::site::{Site, until};

/// The names of the files in the directory of the map.
fn names(site: &Site) -> Vec<String> {
    let map = site.farm.map();
    let dir = std::fs::read_dir(map.parent().expect("it is in a directory")).expect("it is read");
    dir.map(|entry| entry.expect("it is read").file_name().to_string_lossy().into_owned()).collect()
}

/// A site with another farm, `pay`, whose route is an entry of the same map.
async fn site_with_two_farms() -> Site {
    let site = Site::start_sample(Sample::Route, &[]).await;
    let config = std::fs::read_to_string(site.farm.haproxy().config()).expect("it is there");
    let backends = config[config.find("\nbackend web_a").expect("it has backends")..].replace("web_", "pay_");
    site.farm.haproxy().write_config(&format!("{config}{backends}")).expect("it is written");
    std::fs::write(site.farm.map(), format!("{}pay pay_all\n", site.map_file())).expect("it is written");
    site.farm.haproxy().restart().await.expect("HAProxy restarts");
    let add_pay = |toml: &str| {
        let web = &toml[toml.find("[farm.web]").expect("it has a farm")..];
        let pay = web.replace("farm.web", "farm.pay").replace("web_", "pay_").replace("key = \"web\"", "key = \"pay\"");
        format!("{toml}\n{pay}")
    };
    site.daemon.reconfigure(add_pay).await;
    // Wait for the checks of its servers.
    until(|| async { site.teeter(&["begin", "pay", "--dry-run"]).await.code == 0 }).await;
    site
}

#[tokio::test]
async fn doctor_and_plans_do_not_disturb_flips() {
    let site = Site::start_sample(Sample::Route, &[]).await;
    let before = site.map_file();
    let flips = async {
        for to in ["b", "a", "b", "a", "b"] {
            let flipped = site.teeter(&["flip", "web", to]).await;
            assert_eq!(flipped.code, 0, "{flipped:?}\n{}", site.daemon.log());
            assert_eq!(site.map_file(), before.replace("web web_all", &format!("web web_{to}")));
        }
    };
    let readers = async {
        loop {
            let (one, other, plan) = tokio::join!(
                site.teeter(&["doctor"]),
                site.teeter(&["doctor"]),
                site.teeter(&["flip", "web", "all", "--dry-run"])
            );
            for doctor in [one, other] {
                assert!(!doctor.out.contains("map file"), "{doctor:?}");
            }
            assert!(!plan.err.contains("map file"), "{plan:?}");
        }
    };
    tokio::select! {
        () = flips => {}
        () = readers => {}
    }
    assert_eq!(names(&site), ["live.map"]);
}

#[tokio::test]
async fn two_farms_of_one_map_flip_at_once() {
    let site = site_with_two_farms().await;
    for to in ["b", "a", "b", "all"] {
        let (web, pay) = (["flip", "web", to], ["flip", "pay", to]);
        let (web, pay) = tokio::join!(site.teeter(&web), site.teeter(&pay));
        assert_eq!((web.code, pay.code), (0, 0), "{web:?} {pay:?}\n{}", site.daemon.log());
        let file = site.map_file();
        assert!(file.contains(&format!("\nweb web_{to}\n")) && file.contains(&format!("\npay pay_{to}\n")), "{file}");
        assert!(file.contains("\nshop shop_blue\n") && file.starts_with('#'), "{file}");
    }
    assert_eq!(names(&site), ["live.map"]);
}

#[tokio::test]
async fn map_file_emptied_by_another_program_is_reported() {
    let site = Site::start_sample(Sample::Route, &[]).await;
    assert_eq!(site.teeter(&["flip", "web", "b"]).await.code, 0);
    let before = site.map_file();
    std::fs::write(site.farm.map(), "").expect("it is written");
    // teeter writes its own entry again, and no other.
    until(|| async { site.map_file() == "web web_b\n" }).await;
    until(|| async { site.teeter(&["events"]).await.out.contains("another program has emptied it: shop") }).await;
    let doctor = site.teeter(&["doctor"]).await;
    assert!(doctor.out.contains("another program has taken away shop"), "{doctor:?}");
    // With the old file, there is no finding.
    std::fs::write(site.farm.map(), &before).expect("it is written");
    let doctor = site.teeter(&["doctor"]).await;
    assert!(doctor.code == 0 && !doctor.out.contains("taken away"), "{doctor:?}");
    assert_eq!(site.map_file(), before);
}

#[tokio::test]
async fn temporary_map_files_of_a_killed_daemon_are_removed_at_start() {
    let mut site = Site::start_sample(Sample::Route, &[]).await;
    site.daemon.kill().await;
    let map = site.farm.map();
    // No process has an id as high as that.
    for left in [".live.map.teeter-2147483000", ".live.map.teeter-2147483000-7"] {
        std::fs::copy(&map, map.with_file_name(left)).expect("it is copied");
    }
    site.daemon.restart().await;
    until(|| async { names(&site) == ["live.map"] }).await;
}
