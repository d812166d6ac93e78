//! Routes that cannot be meant: refused before anything moves, with the line to change.

use teeter_lab::Sample;

use crate::fixtures::exit;
use crate::fixtures::site::{Ended, Site, finish, until};

/// What `teeterd --check` says of the site's configuration with one part of it replaced.
async fn checked(site: &Site, edits: &[(&str, &str)]) -> Ended {
    let text = std::fs::read_to_string(site.daemon.config()).expect("it is there");
    let path = site.daemon.config().with_extension("other.toml");
    std::fs::write(&path, crate::fixtures::site::edited(&text, edits)).expect("it is written");
    check(tokio::process::Command::new(env!("CARGO_BIN_EXE_teeterd")), &path).await
}

async fn check(mut command: tokio::process::Command, path: &std::path::Path) -> Ended {
    command.arg("--check").arg("--config").arg(path);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).kill_on_drop(true);
    finish(command.spawn().expect("teeterd starts")).await
}

#[tokio::test]
async fn mismatched_route_is_reported_with_its_line() {
    let site = Site::on(Sample::Route, &[]).await;
    let well = checked(&site, &[]).await;
    assert_eq!(well.code, 0, "{well:?}");
    let text = std::fs::read_to_string(site.daemon.config()).expect("it is there");
    let place = |part: &str| {
        let line = text.lines().position(|line| line.starts_with(part)).expect("it is there") + 1;
        format!("toml:{line}:1")
    };
    let map = site.farm.map().display().to_string();
    for (edit, words) in [
        (("b = \"web_b\"", "c = \"web_b\""), "group b has no backend"),
        ((map.as_str(), "#0"), "is a number"),
        ((map.as_str(), "maps/live.map"), "not an absolute path"),
        (("sticky = \"break\"", "mode = \"servers\""), "is servers, and there is a route"),
    ] {
        let said = checked(&site, &[edit]).await;
        assert_eq!(said.code, exit::USAGE, "{said:?}");
        let at = if words.contains("is servers") { place("sticky") } else { place("route") };
        assert!(said.err.contains(words) && said.err.contains(&at), "{at}: {said:?}");
    }
    let twice =
        format!("route = {{ map = {map:?}, key = \"web\", all = \"web_all\", a = \"web_a\", b = \"web_b\" }}\n");
    let other =
        format!("[farm.other]\nmembers = [\"web_all/*\"]\nhalves = \"auto\"\n[farm.other.flip]\n{twice}\n[farm.web]");
    let said = checked(&site, &[("[farm.web]", &other)]).await;
    assert!(said.code == exit::USAGE && said.err.contains("belongs to farm other already"), "{said:?}");
}

#[tokio::test]
async fn route_missing_in_haproxy_is_reported_before_anything_moves() {
    let site = Site::on(Sample::Route, &[]).await;
    let map = site.farm.map().display().to_string();
    for (edits, words) in [
        (vec![("key = \"web\"", "key = \"nobody\"")], "has no key nobody: write the line `nobody web_all` into it"),
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
        let said = checked(&site, &edits).await;
        assert!(said.code == exit::USAGE && said.err.contains(words), "{words}: {said:?}");
    }
    // The same before a deploy, and from the doctor.
    let text = std::fs::read_to_string(site.daemon.config()).expect("it is there");
    std::fs::write(site.daemon.config(), text.replace("key = \"web\"", "key = \"nobody\"")).expect("it is written");
    site.daemon.signal("-HUP").await;
    until(|| async { site.daemon.log().contains("configuration read again") }).await;
    for args in [&["deploy", "web", "--", "true"][..], &["flip", "web", "b"], &["begin", "web", "--dry-run"]] {
        let refused = site.teeter(args).await;
        assert!(refused.code == exit::REFUSED && refused.err.contains("has no key nobody"), "{refused:?}");
    }
    let doctor = site.teeter(&["doctor"]).await;
    assert!(doctor.code == exit::FAILED && doctor.out.contains("has no key nobody"), "{doctor:?}");
    assert_eq!((site.route("web").await.as_str(), site.bits().await), ("web_all", vec![0; 4]));
    assert_eq!(site.json(&["runs"]).await["runs"].as_array().map(Vec::len), Some(0));
}

#[tokio::test]
async fn unwritable_map_file_is_reported_before_anything_moves() {
    let site = Site::on(Sample::Route, &[]).await;
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
    let site = Site::on(Sample::Route, &[]).await;
    let refused = site.teeter(&["flip", "web", "c"]).await;
    assert!(
        refused.code == exit::REFUSED && refused.err.contains("there is no group c: the groups are a, b"),
        "{refused:?}"
    );
    let unknown = site.teeter(&["flip", "nobody", "a"]).await;
    assert_eq!(unknown.code, exit::NOT_FOUND, "{unknown:?}");
    let well = site.teeter(&["doctor"]).await;
    assert!(well.code == 0 && well.out.contains("the traffic goes to all"), "{well:?}");
}

#[tokio::test]
async fn map_in_a_read_only_directory_is_reported() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let site = Site::on(Sample::Route, &[]).await;
    let map = site.farm.map();
    let dir = map.parent().expect("it is in a directory");
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o555)).expect("it is set");
    // Root may write anywhere, so root does without that right.
    let teeterd = env!("CARGO_BIN_EXE_teeterd");
    let mut command = tokio::process::Command::new(teeterd);
    if std::fs::metadata(dir).expect("it is there").uid() == 0 {
        command = tokio::process::Command::new("setpriv");
        command.args(["--bounding-set", "-dac_override", "--", teeterd]);
    }
    let said = check(command, site.daemon.config()).await;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).expect("it is set");
    let words = format!("cannot write the map file {}: Permission denied", site.farm.map().display());
    assert!(
        said.code == exit::USAGE && said.err.contains(&words) && said.err.contains("write_map = false"),
        "{said:?}"
    );
}
