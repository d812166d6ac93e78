//! Deploys from a manifest: its builds in their order, farm by farm.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::fixtures::exit;
use crate::fixtures::site::{DRAIN, Ended, MAINT, Site};

/// A site with two farms of two servers each, `left` and `right`, in place of `web`.
async fn two_farms() -> Site {
    let site = Site::start().await;
    let split = |config: &str| {
        let farm = config.find("[farm.web]").expect("it has a farm");
        let (head, web) = config.split_at(farm);
        let farms = [("left", "web0[12]", "web01", "web02"), ("right", "web0[34]", "web03", "web04")];
        let farms = farms.map(|(name, members, first, second)| {
            let groups = format!("groups = {{ a = [\"{first}\"], b = [\"{second}\"] }}");
            let farm = web.replace("[farm.web]", &format!("[farm.{name}]")).replace("web0[1-4]", members);
            farm.replace(r#"groups = { a = ["web01", "web02"], b = ["web03", "web04"] }"#, &groups)
        });
        format!("{head}{}\n{}", farms[0], farms[1])
    };
    site.daemon.reconfigure(split).await;
    site
}

fn write(site: &Site, text: &str) -> PathBuf {
    let path = site.farm.dir().join("deploy.json");
    std::fs::write(&path, text).expect("it is written");
    path
}

/// A manifest with one build: for `left` in QA, and for both farms in PROD.
fn shop(hook: &[&str]) -> Value {
    json!({"builds": [{"name": "shop 4.2", "version": "v2", "hook": hook, "environments": {
        "QA": {"farms": ["left"], "version": "v2-qa"},
        "PROD": {"farms": ["left", "right"]},
    }}]})
}

async fn deploy(site: &Site, manifest: &Value, environment: &str, more: &[&str]) -> Ended {
    let path = write(site, &manifest.to_string()).display().to_string();
    site.teeter(&[&["deploy", "--manifest", &path, "--environment", environment], more].concat()).await
}

/// Whether no run was begun and no server is out.
async fn is_untouched(site: &Site) -> bool {
    site.json(&["runs"]).await["runs"].as_array().is_some_and(Vec::is_empty) && site.bits().await == [0; 4]
}

#[tokio::test]
async fn manifest_deploys_farms_in_order() {
    let site = two_farms().await;
    let hook = site.hook();
    let planned = deploy(&site, &shop(&[&hook]), "PROD", &["--dry-run"]).await;
    assert_eq!(planned.code, 0, "{planned:?}");
    assert!(planned.out.contains("of left to v2") && planned.out.contains("of right to v2"), "{planned:?}");
    assert!(is_untouched(&site).await);
    let ended = deploy(&site, &shop(&[&hook]), "QA", &[]).await;
    assert_eq!(ended.code, 0, "{ended:?}\n{}", site.daemon.log());
    assert_eq!(site.farm.versions(), ["v2-qa", "v2-qa", "v1", "v1"]);
    // The hook gets the names of the build and of the environment.
    let script = format!("echo \"$TEETER_BUILD in $TEETER_ENVIRONMENT\"; {hook}");
    let ended = deploy(&site, &shop(&["sh", "-c", &script]), "PROD", &[]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(site.farm.versions(), ["v2"; 4]);
    assert!(ended.out.contains("b | shop 4.2 in PROD"), "{ended:?}");
    let table: Vec<Vec<&str>> = ended.out.lines().rev().take(3).map(|line| line.split("  ").collect()).collect();
    let cells =
        |line: &[&str]| line.iter().map(|cell| cell.trim().to_owned()).filter(|cell| !cell.is_empty()).collect();
    let rows: Vec<Vec<String>> = table.iter().rev().map(|line| cells(line)).collect();
    assert_eq!(rows[0], ["BUILD", "FARM", "RUN", "RESULT", "TIME"]);
    assert_eq!(rows[1][..4], ["shop 4.2", "left", "2", "done"]);
    assert_eq!(rows[2][..4], ["shop 4.2", "right", "3", "done"]);
}

#[tokio::test]
async fn manifest_stops_at_the_farm_that_fails() {
    let site = two_farms().await;
    let hook = site.hook();
    let script = format!("if [ $TEETER_FARM = right ]; then exit 3; fi; {hook}");
    let mut manifest = shop(&["sh", "-c", &script]);
    let third = json!({"name": "other", "hook": ["true"], "environments": {"PROD": {"farms": ["left"]}}});
    manifest["builds"].as_array_mut().expect("a list").push(third);
    let ended = deploy(&site, &manifest, "PROD", &["--json"]).await;
    assert_eq!(ended.code, exit::FAILED, "{ended:?}");
    let report: Value = serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    let results: Vec<&str> =
        report["deploys"].as_array().unwrap().iter().filter_map(|d| d["result"].as_str()).collect();
    assert_eq!(results, ["done", "failed", "not begun"], "{report}");
    assert_eq!((&report["environment"], &report["deploys"][1]["exit"]), (&json!("PROD"), &json!(1)));
    assert!(report["deploys"][1]["why"].as_str().is_some_and(|why| why.contains("code 3")), "{report}");
    assert_eq!(site.farm.versions(), ["v2", "v2", "v1", "v1"]);
    assert_eq!(site.bits().await, [0, 0, MAINT, 0]);
    assert!(ended.err.contains("teeter advance 2"), "{ended:?}");
}

#[tokio::test]
async fn manifest_refusals_come_before_any_change() {
    let site = two_farms().await;
    let drained = site.teeter(&["drain", "web04", "--reason", "kernel"]).await;
    assert_eq!(drained.code, 0, "{drained:?}");
    let ended = deploy(&site, &shop(&["true"]), "PROD", &[]).await;
    // An operator drains the only server of its group.
    assert_eq!(ended.code, exit::REFUSED, "{ended:?}");
    assert!(ended.err.contains("shop 4.2 on right: ") && ended.err.contains("no run was started"), "{ended:?}");
    assert_eq!(site.bits().await, [0, 0, 0, DRAIN]);
    assert!(site.json(&["runs"]).await["runs"].as_array().is_some_and(Vec::is_empty));
}

#[tokio::test]
async fn manifest_mistakes_are_reported_before_any_request() {
    let site = two_farms().await;
    let text = shop(&["true"]).to_string().replace("{\"builds\"", "{\n  \"bilds\"");
    let path = write(&site, &text).display().to_string();
    let ended = site.teeter(&["deploy", "--manifest", &path, "--environment", "QA"]).await;
    assert_eq!(ended.code, exit::USAGE, "{ended:?}");
    assert!(ended.err.contains("deploy.json:2:9: unknown field `bilds`"), "{ended:?}");
    let ended = deploy(&site, &shop(&["true"]), "STAGE", &[]).await;
    assert_eq!(ended.code, exit::NOT_FOUND, "{ended:?}");
    assert!(ended.err.contains("there are: PROD QA"), "{ended:?}");
    let ended = deploy(&site, &shop(&["./no-such-hook"]), "PROD", &[]).await;
    assert_eq!(ended.code, exit::USAGE, "{ended:?}");
    assert!(ended.err.contains("there is no hook ./no-such-hook"), "{ended:?}");
    let mut elsewhere = shop(&["true"]);
    elsewhere["builds"][0]["environments"]["PROD"]["farms"] = json!(["left", "nowhere"]);
    let ended = deploy(&site, &elsewhere, "PROD", &[]).await;
    assert_eq!(ended.code, exit::NOT_FOUND, "{ended:?}");
    assert!(ended.err.contains("nowhere"), "{ended:?}");
    assert!(is_untouched(&site).await);
}
