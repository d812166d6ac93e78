//! Routes that do not fit the farm or HAProxy: refused before any change, with the line to correct.

use teeter_lab::Sample;

use crate::fixtures::exit;
use crate::fixtures::site::{Ended, Site, check_config, check_config_by, edited};

/// Runs `teeterd --check` on the site's configuration with these edits.
async fn checked(site: &Site, edits: &[(&str, &str)]) -> Ended {
    let text = std::fs::read_to_string(site.daemon.config()).expect("it is there");
    let path = site.daemon.config().with_extension("other.toml");
    std::fs::write(&path, edited(&text, edits)).expect("it is written");
    check_config(&path).await
}

#[tokio::test]
async fn mismatched_route_is_reported_with_its_line() {
    let site = Site::start_sample(Sample::Route, &[]).await;
    let unchanged = checked(&site, &[]).await;
    assert_eq!(unchanged.code, 0, "{unchanged:?}");
    let text = std::fs::read_to_string(site.daemon.config()).expect("it is there");
    let position = |part: &str| {
        let line = text.lines().position(|line| line.starts_with(part)).expect("it is there") + 1;
        format!("toml:{line}:1")
    };
    let map = site.farm.map().display().to_string();
    for (edit, words) in [
        (("b = \"web_b\"", "c = \"web_b\""), "group b has no backend"),
        ((map.as_str(), "#0"), "is a number"),
        ((map.as_str(), "maps/live.map"), "not an absolute path"),
        (("sticky = \"break\"", "mode = \"servers\""), "flip.mode is servers, and there is a route"),
    ] {
        let checked = checked(&site, &[edit]).await;
        assert_eq!(checked.code, exit::USAGE, "{checked:?}");
        let at = if words.contains("is servers") { position("sticky") } else { position("route") };
        assert!(checked.err.contains(words) && checked.err.contains(&at), "{at}: {checked:?}");
    }
    let twice =
        format!("route = {{ map = {map:?}, key = \"web\", all = \"web_all\", a = \"web_a\", b = \"web_b\" }}\n");
    let other =
        format!("[farm.other]\nmembers = [\"web_all/*\"]\nhalves = \"auto\"\n[farm.other.flip]\n{twice}\n[farm.web]");
    let checked = checked(&site, &[("[farm.web]", &other)]).await;
    assert!(checked.code == exit::USAGE && checked.err.contains("belongs to farm other already"), "{checked:?}");
}

#[tokio::test]
async fn route_missing_in_haproxy_is_reported_before_any_change() {
    let site = Site::start_sample(Sample::Route, &[]).await;
    let map = site.farm.map().display().to_string();
    for (edits, words) in [
        (
            vec![("key = \"web\"", "key = \"absent\"")],
            "has no key absent: write the line `absent web_all` into the map",
        ),
        (
            vec![(map.as_str(), "/nowhere/live.map"), ("sticky = ", "write_map = false\nsticky = ")],
            "has no map /nowhere/live.map",
        ),
        (vec![("a = \"web_a\"", "a = \"nowhere\"")], "has no backend nowhere"),
        (
            vec![("all = \"web_all\"", "all = \"web_b\""), ("b = \"web_b\" }", "b = \"web_all\" }")],
            "backend web_b for all lacks web01, web02",
        ),
        (vec![("key = \"web\"", "key = \"shop\"")], "which is none of web_all, web_a, web_b"),
        (vec![("\"web_all/web0[1-4]\", ", "")], "must name web_all/web01"),
    ] {
        let checked = checked(&site, &edits).await;
        assert!(checked.code == exit::USAGE && checked.err.contains(words), "{words}: {checked:?}");
    }
    // A deploy and the doctor report the same.
    site.daemon.reconfigure(|toml| toml.replace("key = \"web\"", "key = \"absent\"")).await;
    for args in [&["deploy", "web", "--", "true"][..], &["flip", "web", "b"], &["begin", "web", "--dry-run"]] {
        let refused = site.teeter(args).await;
        assert!(refused.code == exit::REFUSED && refused.err.contains("has no key absent"), "{refused:?}");
    }
    let doctor = site.teeter(&["doctor"]).await;
    assert!(doctor.code == exit::FAILED && doctor.out.contains("has no key absent"), "{doctor:?}");
    assert_eq!((site.route("web").await.as_str(), site.bits().await), ("web_all", vec![0; 4]));
    assert_eq!(site.json(&["runs"]).await["runs"].as_array().map(Vec::len), Some(0));
}

#[tokio::test]
async fn unwritable_map_file_is_reported_before_any_change() {
    let site = Site::start_sample(Sample::Route, &[]).await;
    let (map, real) = (site.farm.map(), site.farm.dir().join("real.map"));
    std::fs::rename(&map, &real).expect("it is moved");
    std::os::unix::fs::symlink(&real, &map).expect("it is linked");
    let refused = site.teeter(&["flip", "web", "b"]).await;
    assert!(refused.code == exit::REFUSED && refused.err.contains("write_map = false"), "{refused:?}");
    let doctor = site.teeter(&["doctor"]).await;
    assert!(doctor.code == exit::FAILED && doctor.out.contains("symbolic link"), "{doctor:?}");
    assert_eq!((site.route("web").await.as_str(), site.bits().await), ("web_all", vec![0; 4]));
}

#[tokio::test]
async fn unknown_groups_are_refused() {
    let site = Site::start_sample(Sample::Route, &[]).await;
    let refused = site.teeter(&["flip", "web", "c"]).await;
    assert!(
        refused.code == exit::REFUSED && refused.err.contains("there is no group c: the groups are a, b"),
        "{refused:?}"
    );
    let unknown = site.teeter(&["flip", "absent", "a"]).await;
    assert_eq!(unknown.code, exit::NOT_FOUND, "{unknown:?}");
    let doctor = site.teeter(&["doctor"]).await;
    assert!(doctor.code == 0 && doctor.out.contains("the traffic goes to all"), "{doctor:?}");
}

#[tokio::test]
async fn map_in_a_read_only_directory_is_reported() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let site = Site::start_sample(Sample::Route, &[]).await;
    let map = site.farm.map();
    let dir = map.parent().expect("it is in a directory");
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o555)).expect("it is set");
    // Root may write everywhere: run teeterd without that capability.
    let teeterd = env!("CARGO_BIN_EXE_teeterd");
    let mut command = tokio::process::Command::new(teeterd);
    if std::fs::metadata(dir).expect("it is there").uid() == 0 {
        command = tokio::process::Command::new("setpriv");
        command.args(["--bounding-set", "-dac_override", "--", teeterd]);
    }
    let checked = check_config_by(command, site.daemon.config()).await;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).expect("it is set");
    let words = format!("cannot write the map file {}: Permission denied", site.farm.map().display());
    assert!(
        checked.code == exit::USAGE && checked.err.contains(&words) && checked.err.contains("write_map = false"),
        "{checked:?}"
    );
}
